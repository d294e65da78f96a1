"""Compares every number of every text with a Llama written in numpy, in float64, one text at a time.

The reference shares only the weights and the token ids with the product. It has its own forward pass, no
hooks and no packing, and it uses the definitions of docs/metrics.md literally (1 − cos is computed as
1 − cos, which is accurate enough in float64).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaForCausalLM

from layerscope.core import load_model, profile_texts
from layerscope.names import METRICS, SCOPES
from tests.support.tiny import add_massive_activation, byte_tokenizer, causal_model, save

Array = NDArray[np.float64]

SHARED = Path(__file__).parents[3] / "shared" / "data"
FLOAT32, BFLOAT16 = 1e-5, 2e-2
TEXTS = [
    "int main() { return 0; }",
    "def f(x):\n    return x * x  # squares\n" * 5,
    "Revenue rose 12.4 % to $3,456 million in the year to 31 March.",
    "π ≈ 3.14159, und die Größe zählt. 数字",
    "x",
    "the same sentence again and again, " * 20,
]


def weights(model: LlamaForCausalLM) -> dict[str, Array]:
    return {name: value.double().numpy() for name, value in model.model.state_dict().items()}


def norm(x: Array, weight: Array, epsilon: float) -> Array:
    scaled: Array = x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight
    return scaled


def rotate(x: Array, theta: float) -> Array:
    """Rotary positions. The angles are in float32, as the model defines them; the rest is in float64."""
    tokens, _, size = x.shape
    frequencies = 1.0 / theta ** (torch.arange(0, size, 2).float() / size)
    angles = (torch.arange(tokens).float()[:, None] * frequencies).double().numpy()[:, None]
    cos, sin = np.cos(angles), np.sin(angles)
    left, right = np.split(x, 2, -1)
    return np.concatenate([left * cos - right * sin, right * cos + left * sin], -1)


def attend(x: Array, w: dict[str, Array], prefix: str, config: Any) -> Array:
    size = config.hidden_size // config.num_attention_heads
    q, k, v = ((x @ w[f"{prefix}.{name}_proj.weight"].T).reshape(len(x), -1, size) for name in "qkv")
    theta = config.rope_parameters["rope_theta"]
    q, k = rotate(q, theta), rotate(k, theta)
    k, v = (np.repeat(part, q.shape[1] // k.shape[1], 1) for part in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size)
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    out: Array = np.einsum("hqk,khd->qhd", shares, v).reshape(len(x), -1) @ w[f"{prefix}.o_proj.weight"].T
    return out


def metrics(h: Array, delta: Array) -> list[float]:
    """The definitions, literally, for the given tokens: (T, D) each."""
    if not len(h):
        return [np.nan] * len(METRICS)
    sizes, steps, after = (np.linalg.norm(x, axis=-1) for x in (h, delta, h + delta))
    return [
        delta.mean(),
        np.abs(delta).mean(),
        np.sqrt((delta**2).mean()),
        (steps / sizes).mean(),
        ((h * delta).sum(-1) / (sizes * steps)).mean(),
        (1 - (h * (h + delta)).sum(-1) / (sizes * after)).mean(),
        np.sqrt((h**2).mean()),
    ]


def reference(model: LlamaForCausalLM, ids: list[int]) -> Array:
    """(component, scope, layer, metric) of one text."""
    w, config = weights(model), model.config
    h = w["embed_tokens.weight"][ids]
    table = np.empty((3, len(SCOPES), config.num_hidden_layers, len(METRICS)))
    steps, residuals = [], [h]
    for layer in range(config.num_hidden_layers):
        part = f"layers.{layer}"
        x = norm(h, w[f"{part}.input_layernorm.weight"], config.rms_norm_eps)
        a = attend(x, w, f"{part}.self_attn", config)
        x = norm(h + a, w[f"{part}.post_attention_layernorm.weight"], config.rms_norm_eps)
        gate, up = (x @ w[f"{part}.mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        m = (gate / (1 + np.exp(-gate)) * up) @ w[f"{part}.mlp.down_proj.weight"].T
        steps.append([(h, a + m), (h, a), (h + a, m)])
        h = h + a + m
        residuals.append(h)
    typical = np.setdiff1d(np.arange(1, len(ids)), massive(residuals))
    scopes: list[Any] = [slice(None), slice(1, None), slice(1), typical]
    for layer, components in enumerate(steps):
        for i, (entering, delta) in enumerate(components):
            for j, scope in enumerate(scopes):
                table[i, j, layer] = metrics(entering[scope], delta[scope])
    return table


def massive(residuals: list[Array]) -> NDArray[np.int64]:
    """The positions of the massive tokens, by the definition; `residuals`: h[0] … h[L], (T, D) each."""
    found: set[int] = set()
    for h in residuals[1:]:
        norms = np.linalg.norm(h, axis=-1)
        if len(norms) > 1:
            found |= set(np.flatnonzero(norms > 3 * np.median(norms[1:])).tolist())
    return np.array(sorted(found), dtype=np.int64)


def errors(got: Array, want: Array) -> Array:
    """The largest relative error of each metric.

    `delta_mean` and `cosine` can be near 0: the errors are relative to `delta_abs_mean` and to 1.
    """
    scale = np.abs(want)
    scale[..., METRICS.index("delta_mean")] = scale[..., METRICS.index("delta_abs_mean")]
    scale[..., METRICS.index("cosine")] = 1.0
    assert (np.isnan(got) == np.isnan(want)).all()
    worst: Array = np.nanmax(np.abs(got - want) / scale, axis=(0, 1, 2))
    return worst


def worst_errors(model: LlamaForCausalLM, folder: Path, texts: list[str], dtype: str = "float32") -> Array:
    loaded = load_model(save(model, folder), dtype=dtype)
    tokenizer = byte_tokenizer()
    found = [
        errors(text.values, reference(model, tokenizer(texts[text.ordinal])["input_ids"][: text.tokens]))
        for text in profile_texts(loaded, texts)
    ]
    assert len(found) == len(texts)
    worst: Array = np.max(found, axis=0)
    print(dtype, {name: f"{error:.1e}" for name, error in zip(METRICS, worst, strict=True)})
    return worst


def test_every_value_of_built_in_texts(tmp_path: Path) -> None:
    assert worst_errors(causal_model(), tmp_path, TEXTS).max() < FLOAT32


def test_every_value_with_a_massive_activation_at_the_first_token(tmp_path: Path) -> None:
    model = causal_model()
    add_massive_activation(model)
    rms = reference(model, byte_tokenizer()(TEXTS[0])["input_ids"])[0, :, 2, METRICS.index("residual_rms")]
    assert rms[2] > 20 * rms[1]  # scope first compared with scope rest: the massive activation exists
    assert worst_errors(model, tmp_path, TEXTS).max() < FLOAT32


def test_bfloat16_model(tmp_path: Path) -> None:
    model = causal_model(dtype=torch.bfloat16, initializer_range=0.1)
    assert worst_errors(model, tmp_path, TEXTS, "bfloat16").max() < BFLOAT16


@pytest.mark.parametrize("domain", ["cpp", "python", "finance", "numbers"])
def test_every_value_of_real_texts(domain: str, tmp_path: Path) -> None:
    path = SHARED / f"{domain}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in the folder shared/data next to the repository")
    texts = json.loads(path.read_text(encoding="utf-8"))[:4]
    model = causal_model(hidden_size=64, num_hidden_layers=6, max_position_embeddings=512)
    assert worst_errors(model, tmp_path, texts).max() < FLOAT32
