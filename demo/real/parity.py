"""Compares the values in texts.csv with plain transformers, one text at a time.

The reference is the model in float64 with eager attention. It shares only the weights and the texts with the
measurement: no packing, none of our hooks, and the definitions of docs/metrics.md, literally. (transformers
computes norms and softmax in float32 also in a float64 model.)
"""

import csv
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from layerscope.names import COMPONENTS, METRICS, SCOPES, Metric, Scope

Array = NDArray[np.float64]
TOLERANCE = 1e-5  # relative, for a float32 model
MASSIVE_FACTOR = 3


def worst_errors(folder: Path, texts_csv: Path, texts: Mapping[int, str]) -> dict[str, float]:
    """The largest relative error of each metric over all texts, scopes, components and layers.

    `delta_mean` and `cosine` can be near 0: their errors are relative to `delta_abs_mean` and to 1.

    Args:
        folder: the model.
        texts_csv: the file of a job.
        texts: the texts to compare, by their ordinals in that job.
    """
    model = AutoModel.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    measured = read_values(texts_csv, texts.keys(), model.config.num_hidden_layers)
    errors = [
        _relative_errors(measured[ordinal], reference(model, tokenizer(text)["input_ids"]))
        for ordinal, text in texts.items()
    ]
    return dict(zip(METRICS, np.max(errors, axis=0).tolist(), strict=True))


def read_values(texts_csv: Path, ordinals: Iterable[int], layers: int) -> dict[int, Array]:
    """(component, scope, layer, metric) of each of these texts."""
    shape = len(COMPONENTS), len(SCOPES), layers, len(METRICS)
    tables = {ordinal: np.full(shape, np.nan) for ordinal in ordinals}
    with texts_csv.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (ordinal := int(row["ordinal"])) in tables:
                place = COMPONENTS.index(row["component"]), SCOPES.index(row["scope"]), int(row["layer"])
                tables[ordinal][place] = [float(row[metric] or "nan") for metric in METRICS]
    return tables


@torch.inference_mode()
def reference(model: Any, ids: list[int]) -> Array:
    """(component, scope, layer, metric) of one text."""
    residuals, attention = forward(model, ids)
    middle = residuals[:-1] + attention
    steps = {
        "block": (residuals[:-1], residuals[1:] - residuals[:-1]),
        "attention": (residuals[:-1], attention),
        "mlp": (middle, residuals[1:] - middle),
    }
    tokens = np.arange(len(ids))
    typical = np.setdiff1d(tokens[1:], massive_positions(residuals, MASSIVE_FACTOR))
    scopes = {Scope.ALL: tokens, Scope.REST: tokens[1:], Scope.FIRST: tokens[:1], Scope.TYPICAL: typical}
    return np.array(
        [
            [metrics(*(part[:, scopes[Scope(scope)]] for part in steps[component])) for scope in SCOPES]
            for component in COMPONENTS
        ]
    )


def forward(model: Any, ids: list[int]) -> tuple[Array, Array]:
    """The residuals h[0] … h[L], (L + 1, T, D), and what the attention of each layer adds, (L, T, D).

    transformers returns its last hidden state only after the final norm, so h[L] is what enters this norm.
    """
    last: list[torch.Tensor] = []
    attention: list[torch.Tensor] = []
    with ExitStack() as hooks:
        hooks.enter_context(model.norm.register_forward_pre_hook(lambda _, args: last.append(args[0])))
        for layer in model.layers:
            hook = layer.self_attn.register_forward_hook(lambda _, __, output: attention.append(output[0]))
            hooks.enter_context(hook)
        states = model(torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states
    return torch.cat([*states[:-1], *last]).double().numpy(), torch.cat(attention).double().numpy()


def massive_positions(residuals: Array, factor: float) -> NDArray[np.int64]:
    """The tokens with a norm above `factor` times the median of the text after any layer."""
    norms = np.linalg.norm(residuals[1:], axis=-1)  # (L, T)
    medians = np.median(norms[:, 1:], axis=1, keepdims=True)
    return np.flatnonzero((norms > factor * medians).any(axis=0))


def metrics(h: Array, delta: Array) -> Array:
    """(L, metric), of the residuals that enter and of what is added to them: (L, tokens, D) each."""
    sizes, steps, after = (np.linalg.norm(part, axis=-1) for part in (h, delta, h + delta))  # (L, tokens)
    of_tokens = {
        Metric.RELATIVE_NORM: steps / sizes,
        Metric.COSINE: np.einsum("ltd,ltd->lt", h, delta) / (sizes * steps),
        Metric.BLOCK_INFLUENCE: 1 - np.einsum("ltd,ltd->lt", h, h + delta) / (sizes * after),
    }
    of_values = {
        Metric.DELTA_MEAN: delta.mean((1, 2)),
        Metric.DELTA_ABS_MEAN: np.abs(delta).mean((1, 2)),
        Metric.DELTA_RMS: np.sqrt((delta**2).mean((1, 2))),
        Metric.RESIDUAL_RMS: np.sqrt((h**2).mean((1, 2))),
    }
    values = of_values | {metric: numbers.mean(1) for metric, numbers in of_tokens.items()}
    return np.stack([values[Metric(metric)] for metric in METRICS], axis=1)


def _relative_errors(got: Array, want: Array) -> Array:
    """The largest error of each metric."""
    scale = np.abs(want)
    scale[..., METRICS.index(Metric.DELTA_MEAN)] = scale[..., METRICS.index(Metric.DELTA_ABS_MEAN)]
    scale[..., METRICS.index(Metric.COSINE)] = 1
    worst: Array = (np.abs(got - want) / scale).max(axis=(0, 1, 2))
    return worst
