import math

import numpy as np
import pytest
import torch
from torch import Tensor

from layerscope.core import contribution
from layerscope.core.contribution import batch_finite, batch_metrics, finite_layers, text_metrics, token_sums
from layerscope.names import METRICS, SCOPES


def measure(h: Tensor, delta: Tensor) -> dict[str, list[float]]:
    """Metric → its value in scopes all, rest, first."""
    values = text_metrics(token_sums(h, delta)[None, None], h.shape[1])[0, :3, 0]  # (3, M)
    return {metric: values[:, i].tolist() for i, metric in enumerate(METRICS)}


def test_metrics_of_a_small_text_computed_by_hand() -> None:
    h = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    delta = torch.tensor([[-3.0, -4.0 + 5.0], [0.0, 2.0]])
    found = measure(h, delta)
    assert found["delta_mean"] == [0.0, 1.0, -1.0]
    assert found["delta_abs_mean"] == [1.5, 1.0, 2.0]
    assert found["delta_rms"] == pytest.approx([math.sqrt(14 / 4), math.sqrt(2), math.sqrt(5)])
    assert found["relative_norm"] == pytest.approx([(math.sqrt(10) / 5 + 2) / 2, 2, math.sqrt(10) / 5])
    cosine = -5 / (5 * math.sqrt(10))
    assert found["cosine"] == pytest.approx([cosine / 2, 0, cosine])
    influence = [1 - 20 / (5 * 5), 1 - 1 / math.sqrt(5)]
    assert found["block_influence"] == pytest.approx([sum(influence) / 2, influence[1], influence[0]])
    assert found["residual_rms"] == pytest.approx([math.sqrt(26 / 4), math.sqrt(0.5), math.sqrt(12.5)])


def test_a_text_of_one_token_has_no_values_in_scope_rest() -> None:
    found = measure(torch.ones(1, 4), torch.ones(1, 4))
    assert all(math.isnan(values[1]) for values in found.values())
    assert all(values[0] == values[2] and math.isfinite(values[0]) for values in found.values())


def test_ratios_of_a_zero_residual_have_no_value() -> None:
    h = torch.ones(3, 4)
    h[2] = 0
    assert finite_layers(token_sums(h, torch.full((3, 4), 0.5))[None, None]).all()  # the text does not fail
    found = measure(h, torch.full((3, 4), 0.5))
    for metric in ("relative_norm", "cosine", "block_influence"):
        all_tokens, rest, first = found[metric]
        assert math.isnan(all_tokens), metric
        assert math.isnan(rest), metric
        assert math.isfinite(first), metric
    assert found["delta_mean"] == [0.5, 0.5, 0.5]


def test_a_component_that_adds_nothing() -> None:
    found = measure(torch.ones(2, 4), torch.zeros(2, 4))
    assert found["relative_norm"] == [0, 0, 0]
    assert found["block_influence"] == [0, 0, 0]
    assert np.isnan(found["cosine"]).all()


def test_a_component_that_cancels_everything() -> None:
    found = measure(torch.ones(2, 4), -torch.ones(2, 4))
    assert found["cosine"] == [-1, -1, -1]
    assert np.isnan(found["block_influence"]).all()


def test_block_influence_is_accurate_if_the_cosine_is_nearly_one() -> None:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(50, 64, generator=generator)
    delta = torch.randn(50, 64, generator=generator) * 1e-3
    after = (h + delta).double()
    exact = 1 - torch.cosine_similarity(h.double(), after, dim=-1)
    naive = 1 - torch.cosine_similarity(h, h + delta, dim=-1)
    error = abs(measure(h, delta)["block_influence"][0] / exact.mean().item() - 1)
    print(f"stable {error:.1e}, naive {abs(naive.mean().item() / exact.mean().item() - 1):.1e}")
    assert error < 1e-5


def test_block_influence_is_accurate_if_a_massive_activation_is_written_or_removed() -> None:
    generator = torch.Generator().manual_seed(0)
    h, delta = torch.randn(2, 50, 64, generator=generator).unbind()
    h[:, 5], delta[:25, 5], delta[25:, 5] = 300.0, 3_000.0, -200.0
    exact = 1 - torch.cosine_similarity(h.double(), h.double() + delta.double(), dim=-1)
    for token in range(50):
        assert measure(h[[token]], delta[[token]])["block_influence"][0] == pytest.approx(
            exact[token].item(), rel=1e-5
        )


def test_block_influence_of_opposite_directions_is_two() -> None:
    assert measure(torch.ones(1, 4), -2 * torch.ones(1, 4))["block_influence"][0] == pytest.approx(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_are_float32_for_every_dtype(dtype: torch.dtype) -> None:
    h = torch.full((2, 3000), 1.0, dtype=dtype)
    sums = token_sums(h, h)
    assert sums.dtype == torch.float32
    assert sums[0].tolist() == [3000, 3000]  # a running sum in float16 or bfloat16 would be smaller


def test_pieces_do_not_change_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    h, delta = torch.randn(7, 5), torch.randn(7, 5)
    whole = token_sums(h, delta)
    monkeypatch.setattr(contribution, "_PIECE", 10)
    assert torch.equal(token_sums(h, delta), whole)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_finite_layers_finds_the_layer(value: float) -> None:
    h, delta = torch.ones(3, 4), torch.ones(3, 4)
    fine = token_sums(h, delta)
    delta[1, 2] = value
    sums = torch.stack([fine, token_sums(h, delta), fine])[None]  # (1, 3, 7, 3)
    assert finite_layers(sums).tolist() == [True, False, True]


def test_metrics_of_a_text_do_not_depend_on_the_other_texts_of_its_batch() -> None:
    lengths = [3, 1, 5, 2]
    sums = torch.stack([token_sums(*torch.randn(2, 11, 8).unbind()) for _ in range(4)]).view(2, 2, 7, 11)
    sums[0, 1, 4, 5] = torch.nan  # in the third text
    massive = torch.tensor([0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0]).bool()
    batch = batch_metrics(sums, lengths, 8, massive)
    parts = zip(torch.split(sums, lengths, -1), torch.split(massive, lengths), strict=True)
    for found, (text, of_text) in zip(batch, parts, strict=True):
        torch.testing.assert_close(found, text_metrics(text, 8, of_text), rtol=0, atol=0, equal_nan=True)
    assert torch.isfinite(batch[[0, 3]]).all()
    assert batch_finite(sums, lengths).tolist() == [[True] * 2, [True] * 2, [True, False], [True] * 2]


def test_scope_typical_leaves_out_the_first_and_the_massive_tokens() -> None:
    sums = torch.stack([token_sums(*torch.randn(2, 6, 8).unbind()) for _ in range(2)])[None]
    massive = torch.tensor([True, False, True, False, False, False])
    found = text_metrics(sums, 8, massive)
    # The metrics of a text of the same tokens, whose first token is not in scope `rest`.
    kept = text_metrics(sums[..., [0, 1, 3, 4, 5]], 8)
    typical, rest = SCOPES.index("typical"), SCOPES.index("rest")
    torch.testing.assert_close(found[:, typical], kept[:, rest], rtol=1e-12, atol=0)
    without = text_metrics(sums, 8)
    torch.testing.assert_close(without[:, typical], without[:, rest], rtol=1e-12, atol=0)


def test_scope_typical_has_no_value_if_all_tokens_are_massive_or_first() -> None:
    sums = token_sums(*torch.randn(2, 3, 8).unbind())[None, None]
    found = text_metrics(sums, 8, torch.tensor([False, True, True]))
    assert found[:, SCOPES.index("typical")].isnan().all()
    assert found[:, SCOPES.index("rest")].isfinite().all()


def test_delta_is_given_by_its_parts_or_by_the_residual_after_it() -> None:
    torch.manual_seed(0)
    h, a, m = torch.randn(3, 40, 96).unbind()
    assert torch.equal(token_sums(h, a, m), token_sums(h, a + m))
    assert torch.equal(token_sums(h, a, after=True), token_sums(h, a - h))
    rounded = [part.bfloat16() for part in (h, a, m)]
    assert torch.equal(token_sums(*rounded), token_sums(rounded[0], rounded[1].float() + rounded[2].float()))
