from collections import Counter

import pytest
import torch
from torch import Tensor

from layerscope.core.contribution import delta
from layerscope.core.hooks import contributions
from layerscope.core.model import blocks
from tests.support.models.tiny import causal_model, count_hooks

IDS = torch.tensor([[0, 5, 9, 5]])


def observe(
    components: tuple[str, ...], dtype: torch.dtype = torch.float32
) -> tuple[dict[tuple[int, str], tuple[Tensor, Tensor]], tuple[Tensor, ...]]:
    """What was recorded, and the model's own hidden states."""
    module = causal_model(dtype=dtype).model
    seen: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}

    def record(layer: int, component: str, residual: Tensor, *parts: Tensor, after: bool = False) -> None:
        assert component == "block" or (len(parts), after) == (1, False)
        seen[layer, component] = (
            residual,
            delta(residual, parts, after) if component == "block" else parts[0],
        )

    with torch.inference_mode():
        states = module(input_ids=IDS, output_hidden_states=True).hidden_states
        transformers_own = count_hooks(module)  # they collect the hidden states and are never removed
        with contributions(blocks(module), components, record):
            module(input_ids=IDS)
    assert count_hooks(module) == transformers_own
    return seen, states


def test_residuals_are_the_models_own() -> None:
    seen, states = observe(("block", "attention", "mlp"))
    assert Counter(component for _, component in seen) == {"block": 4, "attention": 4, "mlp": 4}
    for layer in range(4):
        assert torch.equal(seen[layer, "block"][0], states[layer][0])
        assert torch.equal(seen[layer, "attention"][0], states[layer][0])
        assert torch.equal(seen[layer, "mlp"][0], states[layer][0] + seen[layer, "attention"][1])
    for layer in range(3):  # the last hidden state is the output of the final norm
        assert torch.equal(seen[layer, "block"][1], states[layer + 1][0] - states[layer][0])


@pytest.mark.parametrize("component", ["block", "attention", "mlp"])
def test_one_component_alone_is_the_same(component: str) -> None:
    alone, together = observe((component,))[0], observe(("block", "attention", "mlp"))[0]
    assert len(alone) == 4
    for key, (residual, added) in alone.items():
        assert torch.equal(residual, together[key][0])
        assert torch.equal(added, together[key][1])


def test_half_precision_adds_the_parts_in_float32() -> None:
    seen, _ = observe(("block", "attention", "mlp"), torch.bfloat16)
    for layer in range(4):
        added = seen[layer, "block"][1]
        assert added.dtype == torch.float32
        assert torch.equal(added, seen[layer, "attention"][1].float() + seen[layer, "mlp"][1].float())


def test_block_alone_in_float32_needs_only_two_hooks_per_layer() -> None:
    module = causal_model().model
    with contributions(blocks(module), ("block",), lambda *_, **__: None):
        assert count_hooks(module) == 2 * 4
    assert count_hooks(module) == 0


def test_hooks_are_removed_after_an_exception() -> None:
    module = causal_model().model

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("in the middle of a pass")

    with (
        pytest.raises(RuntimeError, match="in the middle"),
        contributions(blocks(module), ("block", "attention", "mlp"), fails),
    ):
        module(input_ids=IDS)
    assert count_hooks(module) == 0
