"""Compares every number of every text with a Llama written in numpy, in float64, one text at a time."""

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
from tests.support.models.numpy_llama import contributions, metrics
from tests.support.models.tiny import add_massive_activation, byte_tokenizer, causal_model, save

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


def reference(model: LlamaForCausalLM, ids: list[int]) -> Array:
    """(component, scope, layer, metric) of one text."""
    steps, residuals = contributions(model, ids)
    table = np.empty((3, len(SCOPES), len(steps), len(METRICS)))
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


@pytest.mark.parametrize(
    "domain",
    ["cpp", "numbers", *[pytest.param(name, marks=pytest.mark.slow) for name in ("python", "finance")]],
)
def test_every_value_of_real_texts(domain: str, tmp_path: Path) -> None:
    path = SHARED / f"{domain}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in the folder shared/data next to the repository")
    texts = json.loads(path.read_text(encoding="utf-8"))[:4]
    model = causal_model(hidden_size=64, num_hidden_layers=6, max_position_embeddings=512)
    assert worst_errors(model, tmp_path, texts).max() < FLOAT32
