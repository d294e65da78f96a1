"""Compares the values in texts.csv with plain transformers, one text at a time.

The reference is the model in float64 with eager attention. It shares only the weights and the texts with the
measurement: no packing, none of our hooks, and the definitions of docs/metrics.md, literally. (transformers
computes norms and softmax in float32 also in a float64 model.)

On the first token of a model with massive activations, float32 itself is the limit: near 29,300 neighbouring
numbers are 0.002 apart, and a layer may add less than 1 to each unit. Plain transformers in float32, compared
in the same way, shows this limit.
"""

import csv
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from layerscope.core.loading.transformers_logging import silenced_transformers
from layerscope.names import COMPONENTS, METRICS, SCOPES, Metric, Scope

Array = NDArray[np.float64]
TOLERANCE = 1e-5  # relative, for a float32 model
MASSIVE_FACTOR = 3


@dataclass(frozen=True)
class Errors:
    """The largest relative errors by scope, over all texts, components, layers and metrics.

    `delta_mean` and `cosine` can be near 0: their errors are relative to `delta_abs_mean` and to 1.
    """

    measured: dict[str, float]
    float32: dict[str, float]  # of plain transformers in float32

    def __str__(self) -> str:
        scopes = ", ".join(
            f"{scope} {self.measured[scope]:.1e} ({self.float32[scope]:.1e})" for scope in SCOPES
        )
        return f"the largest relative errors (in brackets: plain transformers in float32) are {scopes}"


def worst_errors(folder: Path, texts_csv: Path, texts: Mapping[int, str]) -> Errors:
    """Compares some texts of a job, and plain transformers in float32, with the reference.

    Args:
        folder: the model.
        texts_csv: the file of a job.
        texts: the texts to compare, by their ordinals in that job.
    """
    with silenced_transformers():
        exact, rounded = (
            AutoModel.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
            for dtype in (torch.float64, torch.float32)
        )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    measured = read_values(texts_csv, texts.keys(), exact.config.num_hidden_layers)
    found: list[tuple[Array, Array]] = []
    for ordinal, text in texts.items():
        ids = tokenizer(text)["input_ids"]
        want = reference(exact, ids)
        found.append((_errors(measured[ordinal], want), _errors(reference(rounded, ids), want)))
    worst = np.max(found, axis=0).tolist()  # (2, scope)
    return Errors(*(dict(zip(SCOPES, errors, strict=True)) for errors in worst))


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
    residuals, attention, mlp = forward(model, ids)
    steps = {
        "block": (residuals[:-1], residuals[1:] - residuals[:-1]),
        "attention": (residuals[:-1], attention),
        "mlp": (residuals[:-1] + attention, mlp),
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


def forward(model: Any, ids: list[int]) -> tuple[Array, Array, Array]:
    """The residuals h[0] … h[L], (L + 1, T, D); what attention and MLP of each layer add, (L, T, D) each.

    transformers returns its last hidden state only after the final norm, so h[L] is what enters this norm.
    """
    last: list[torch.Tensor] = []
    attention: list[torch.Tensor] = []
    mlp: list[torch.Tensor] = []
    with ExitStack() as hooks:
        hooks.enter_context(model.norm.register_forward_pre_hook(lambda _, args: last.append(args[0])))
        for layer in model.layers:
            hook = layer.self_attn.register_forward_hook(lambda _, __, output: attention.append(output[0]))
            hooks.enter_context(hook)
            hook = layer.mlp.register_forward_hook(lambda _, __, output: mlp.append(output))
            hooks.enter_context(hook)
        states = model(torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states
    residuals, a, m = (torch.cat(parts).double().numpy() for parts in ([*states[:-1], *last], attention, mlp))
    return residuals, a, m


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


def _errors(got: Array, want: Array) -> Array:
    """The largest relative error in each scope."""
    scale = np.abs(want)
    scale[..., METRICS.index(Metric.DELTA_MEAN)] = scale[..., METRICS.index(Metric.DELTA_ABS_MEAN)]
    scale[..., METRICS.index(Metric.COSINE)] = 1
    worst: Array = (np.abs(got - want) / scale).max(axis=(0, 2, 3))
    return worst
