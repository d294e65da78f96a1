"""Compares every number of every family with the plain model of transformers in float64, one text at a time.

The reference uses no table of modules and no hooks of the product. What attention adds at a layer is what the
layer adds if the last matrix of its MLP is zero. The logit lens at a layer is the whole causal model with all
later layers replaced by the identity, and a skipped layer is replaced by the identity.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import special, stats
from torch import Tensor, nn

from layerscope.core import analyse_texts, load_model, profile_texts
from layerscope.names import METRICS
from tests.parity.test_core_parity import errors, massive
from tests.support.models.families import CASES, family_model
from tests.support.models.numpy_llama import metrics
from tests.support.models.tiny import byte_tokenizer, save

Array = NDArray[np.float64]

TOLERANCE = 1e-5
# Packed next to each other; the longest is longer than the original context of the cases with longrope and
# dynamic rope, so a short text next to it would get other positions.
TEXTS = [
    "int main() { return 0; }",
    "x",
    "π ≈ 3.14159, und die Größe zählt. 数字 and some more words to make it long enough",
    "the middle one",
]
TOKENS = (slice(None), slice(1, None), slice(1))  # of the scopes all, rest and first


class Identity(nn.Module):
    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden_states


@contextmanager
def without_mlp(layer: Any) -> Iterator[None]:
    """The last matrix of the MLP, and its bias, are zero."""
    before = deepcopy(layer.mlp.down_proj)
    for parameter in layer.mlp.down_proj.parameters():
        parameter.zero_()
    yield
    layer.mlp.down_proj = before


def exact(model: Any) -> Any:
    whole = deepcopy(model).double()
    whole.set_attn_implementation("eager")
    return whole


def components(model: Any, ids: list[int]) -> list[list[tuple[Array, Array]]]:
    """For each layer: h and δ of block, attention and mlp."""
    found: list[list[tuple[Array, Array]]] = []

    def visit(layer: Any, args: Any, named: dict[str, Any], output: Tensor) -> None:
        (handle,) = (hook for hook in layer._forward_hooks)
        hook = layer._forward_hooks.pop(handle)  # not called for the second call
        with without_mlp(layer):
            middle = layer(*args, **named)
        layer._forward_hooks[handle] = hook
        h, between, after = (state[0].numpy() for state in (args[0], middle, output))
        found.append([(h, after - h), (h, between - h), (between, after - between)])

    handles = [layer.register_forward_hook(visit, with_kwargs=True) for layer in model.model.layers]
    model.model(input_ids=torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    return found


@torch.no_grad()
def profile(model: Any, ids: list[int]) -> Array:
    """(component, scope, layer, metric) of one text."""
    layers = components(model, ids)
    residuals = [layers[0][0][0], *(h + delta for (h, delta), *_ in layers)]
    scopes = [*TOKENS, np.setdiff1d(np.arange(1, len(ids)), massive(residuals))]
    return np.array(
        [
            [[metrics(h[tokens], delta[tokens]) for h, delta in by_layer] for tokens in scopes]
            for by_layer in zip(*layers, strict=True)
        ]
    )


@torch.no_grad()
def logits(model: Any, ids: list[int], keep: set[int]) -> Array:
    """(T, V), the logits of the model in which all layers but those to keep are the identity."""
    shorter = deepcopy(model)
    for layer in range(len(shorter.model.layers)):
        if layer not in keep:
            shorter.model.layers[layer] = Identity()
    found: Array = shorter(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double().numpy()
    return found


def analysis(model: Any, ids: list[int]) -> Array:
    """(layer, metric) of one text."""
    table = np.empty((len(model.model.layers), 5))
    full = special.softmax(logits(model, ids, {*range(len(table))}), axis=1)
    following = np.arange(len(ids) - 1), ids[1:]
    for layer in range(len(table)):
        ablated = special.softmax(logits(model, ids, {*range(len(table))} - {layer}), axis=1)
        read = special.softmax(logits(model, ids, {*range(layer + 1)}), axis=1)
        table[layer] = [
            (np.log(full[following]) - np.log(ablated[following])).mean() if len(ids) > 1 else np.nan,
            stats.entropy(full[:-1], ablated[:-1], axis=1).mean() if len(ids) > 1 else np.nan,
            stats.entropy(read, axis=1).mean(),
            stats.entropy(full, read, axis=1).mean(),
            (full.argmax(1) == read.argmax(1)).mean(),
        ]
    return table


NEUTRAL_ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}}


@pytest.mark.parametrize(
    ("name", "neutral"),
    [
        ("llama, biases, tied", {"attention_bias": False}),
        ("llama, biases, tied", {"mlp_bias": False}),
        ("llama, llama3 rope", NEUTRAL_ROPE),
        ("llama, linear rope", NEUTRAL_ROPE),
        ("llama, dynamic rope", NEUTRAL_ROPE),
        ("llama, yarn rope", NEUTRAL_ROPE),
        ("llama, longrope", NEUTRAL_ROPE),
        ("mistral", {"sliding_window": None}),
        ("qwen2, windows", {"use_sliding_window": False}),
        ("qwen3, windows", {"use_sliding_window": False, "layer_types": ["full_attention"] * 4}),
        ("smollm3", {"no_rope_layers": [1] * 4}),
        ("smollm3, windows", {"use_sliding_window": False}),
        ("phi3", {"sliding_window": None}),
        ("phi3", {"partial_rotary_factor": 1.0}),
        ("granite", {"residual_multiplier": 1.0}),
        ("granite", {"embedding_multiplier": 1.0}),
        ("granite", {"attention_multiplier": 1.0}),
        ("gemma2", {"sliding_window": 999}),
        ("gemma2", {"attn_logit_softcapping": None}),
        ("gemma2", {"query_pre_attn_scalar": 12}),
        ("gemma3", {"sliding_window": 999}),
        ("gemma3", {"layer_types": ["full_attention"] * 4}),
    ],
    ids=str,
)
def test_the_settings_of_the_cases_matter(name: str, neutral: dict[str, Any]) -> None:
    """The reference itself: its values depend on every special setting by far more than the tolerance."""
    ids = byte_tokenizer()(TEXTS[2])["input_ids"]
    other = profile(exact(family_model(name, **neutral)), ids)
    assert errors(other, profile(exact(family_model(name)), ids)).max() > 1_000 * TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_every_value_of_every_text(name: str, tmp_path: Path) -> None:
    causal = family_model(name)
    model, whole = load_model(save(causal, tmp_path)), exact(causal)
    worst = np.zeros(len(METRICS))
    for text in profile_texts(model, TEXTS):
        assert text.error is None
        want = profile(whole, byte_tokenizer()(TEXTS[text.ordinal])["input_ids"])
        worst = np.maximum(worst, errors(text.values, want))
    print(name, dict(zip(METRICS, (f"{error:.1e}" for error in worst), strict=True)))
    assert worst.max() < TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_every_value_of_the_analyses(name: str, tmp_path: Path) -> None:
    causal = family_model(name)
    model, whole = load_model(save(causal, tmp_path)), exact(causal)
    for text in analyse_texts(model, TEXTS[:2]):
        want = analysis(whole, byte_tokenizer()(TEXTS[text.ordinal])["input_ids"])
        error = np.abs(text.values - want) / np.maximum(np.abs(want), 1)
        assert error.max() < TOLERANCE, text.ordinal
