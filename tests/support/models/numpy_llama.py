"""A Llama written in numpy, in float64, for one text: the reference of the parity tests.

It shares only the weights and the token ids with the product. It has its own forward pass, no hooks and no
packing, and it uses the definitions of docs/metrics.md literally (1 − cos is computed as 1 − cos, which is
accurate enough in float64).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaForCausalLM

from layerscope.names import METRICS

Array = NDArray[np.float64]
Contribution = tuple[
    Array, Array
]  # h, the residual that enters a component, and δ, what it adds: (T, D) each


def contributions(
    model: LlamaForCausalLM, ids: list[int]
) -> tuple[list[tuple[Contribution, Contribution, Contribution]], list[Array]]:
    """For each layer block, attention and MLP; and the residuals h[0] … h[L], (T, D) each."""
    w, config = weights(model), model.config
    h = w["embed_tokens.weight"][ids]
    steps, residuals = [], [h]
    for layer in range(config.num_hidden_layers):
        part = f"layers.{layer}"
        x = norm(h, w[f"{part}.input_layernorm.weight"], config.rms_norm_eps)
        a = attend(x, w, f"{part}.self_attn", config)
        x = norm(h + a, w[f"{part}.post_attention_layernorm.weight"], config.rms_norm_eps)
        gate, up = (x @ w[f"{part}.mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        m = (gate / (1 + np.exp(-gate)) * up) @ w[f"{part}.mlp.down_proj.weight"].T
        steps.append(((h, a + m), (h, a), (h + a, m)))
        h = h + a + m
        residuals.append(h)
    return steps, residuals


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
