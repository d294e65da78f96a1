"""Compares ablation and logit lens with the causal model of transformers, from which layers are removed.

The reference computes all logits at once and uses scipy for the definitions of docs/metrics.md.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import special, stats
from transformers import LlamaForCausalLM

from layerscope.core import analyse_texts, load_model
from tests.support.models.tiny import byte_tokenizer, causal_model, save

Array = NDArray[np.float64]

FLOAT32, BFLOAT16 = 1e-5, 2e-2
TEXTS = [
    "int main() { return 0; }",
    "def f(x):\n    return x * x  # squares\n" * 4,
    "Revenue rose 12.4 % to $3,456 million in the year to 31 March.",
    "π ≈ 3.14159, und die Größe zählt. 数字",
    "x",
]


def without(model: LlamaForCausalLM, layer: int) -> LlamaForCausalLM:
    shorter = deepcopy(model)
    del shorter.model.layers[layer]
    shorter.config.num_hidden_layers -= 1
    return shorter


@torch.no_grad()
def logits(model: LlamaForCausalLM, ids: list[int]) -> Array:
    """(T, V)"""
    causal: Any = model
    found: Array = causal(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double().numpy()
    return found


@torch.no_grad()
def lens_logits(model: LlamaForCausalLM, ids: list[int]) -> list[Array]:
    """(T, V) after each layer; after the last one the logits, since transformers returns its state normed."""
    causal: Any = model
    states = causal.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
    head, scale = (part.weight.double().numpy() for part in (causal.lm_head, causal.model.norm))
    between = [state[0].double().numpy() for state in states[1:-1]]
    epsilon = model.config.rms_norm_eps
    normed = [h / np.sqrt((h * h).mean(-1, keepdims=True) + epsilon) * scale for h in between]
    return [h @ head.T for h in normed] + [logits(model, ids)]


def reference(model: LlamaForCausalLM, ids: list[int]) -> Array:
    """(layer, metric) of one text."""
    layers = model.config.num_hidden_layers
    full = special.softmax(logits(model, ids), axis=1)  # (T, V)
    following = np.arange(len(ids) - 1), ids[1:]
    surprise = -np.log(full[following]).mean()
    table = np.empty((layers, 5))
    for layer, lens in enumerate(lens_logits(model, ids)):
        ablated = special.softmax(logits(without(model, layer), ids), axis=1)
        read = special.softmax(lens, axis=1)
        table[layer] = [
            -np.log(ablated[following]).mean() - surprise,
            stats.entropy(full[:-1], ablated[:-1], axis=1).mean(),
            stats.entropy(read, axis=1).mean(),
            stats.entropy(full, read, axis=1).mean(),
            (full.argmax(1) == read.argmax(1)).mean(),
        ]
    return table


@pytest.mark.parametrize(
    ("saved", "computed", "device", "tolerance", "flips", "config"),
    [
        (torch.float32, torch.float64, "auto", FLOAT32, 0, {}),
        (torch.float32, torch.float32, "auto", FLOAT32, 0, {}),
        (
            *(torch.float32, torch.float64, "auto", FLOAT32, 0),
            {"tie_word_embeddings": True, "num_hidden_layers": 6},
        ),
        # The reference rounds as a CPU does; a GPU rounds at other places.
        (torch.bfloat16, torch.bfloat16, "cpu", BFLOAT16, 1, {}),
    ],
    ids=["float64", "float32", "tied", "bfloat16"],
)
def test_every_value_of_every_text(
    saved: torch.dtype,
    computed: torch.dtype,
    device: str,
    tolerance: float,
    flips: int,
    config: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Errors are relative for values above 1, otherwise absolute. `flips`: the number of tokens for which
    rounding may exchange the two most probable next tokens."""
    causal: Any = causal_model(dtype=saved, **config)
    model = load_model(save(causal, tmp_path), dtype=str(saved).removeprefix("torch."), device=device)
    whole = causal.to(computed)
    errors = []
    for text in analyse_texts(model, TEXTS):
        want = reference(whole, byte_tokenizer()(TEXTS[text.ordinal])["input_ids"])
        error = np.abs(text.values - want) / np.maximum(np.abs(want), 1)
        error[:, -1] = np.maximum(error[:, -1] - flips / text.tokens, 0)
        errors.append(error.max(axis=0))
    worst = np.max(errors, axis=0)
    print(saved, computed, [f"{error:.1e}" for error in worst])
    assert len(errors) == len(TEXTS)
    assert worst.max() < tolerance
