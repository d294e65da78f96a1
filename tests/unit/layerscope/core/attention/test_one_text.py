"""Windows and soft caps against their definition, computed at once in float64."""

import pytest
import torch
from torch import Tensor

from layerscope.core.attention import one_text
from layerscope.core.attention.one_text import attend


def parts(tokens: int) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(1, 3, tokens, 8) for _ in range(3)]


def definition(query: Tensor, key: Tensor, value: Tensor, window: int | None, cap: float | None) -> Tensor:
    query, key, value = query.double(), key.double(), value.double()
    scores = query @ key.transpose(-1, -2) * 0.7
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    place = torch.arange(query.shape[2])
    back = place[:, None] - place
    hidden = (back < 0) | (back >= (window or len(place)))
    return (scores.masked_fill(hidden, -torch.inf).softmax(-1) @ value).float()


@pytest.mark.parametrize("rows", [1, 16, 50, 10_000])
@pytest.mark.parametrize("cap", [None, 1.5])
@pytest.mark.parametrize("window", [None, 1, 2, 17, 63, 64, 200])
@pytest.mark.parametrize("tokens", [1, 2, 64])
def test_the_definition(
    tokens: int, window: int | None, cap: float | None, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(one_text._SCORES, "cpu", rows * 4 * 3 * tokens)  # so many queries at a time
    monkeypatch.setattr(one_text, "_LEAST_ROWS", 1)
    query, key, value = parts(tokens)
    found, expected = attend(query, key, value, 0.7, window, cap), definition(query, key, value, window, cap)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("window", "cap"), [(9, None), (9, 1.5), (None, 1.5)])
def test_half_precision(dtype: torch.dtype, window: int | None, cap: float | None) -> None:
    query, key, value = (part.to(dtype) for part in parts(64))
    found = attend(query, key, value, 0.7, window, cap)
    assert found.dtype == dtype
    expected = definition(query, key, value, window, cap)
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


def test_plain_attention_uses_the_fast_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a window that no token leaves: no mask is built."""
    given: list[dict[str, object]] = []

    def recorded(*_: Tensor, **named: object) -> Tensor:
        given.append(named)
        return torch.empty(0)

    monkeypatch.setattr(one_text, "scaled_dot_product_attention", recorded)
    query, key, value = parts(64)
    for window in (None, 64):
        attend(query, key, value, 0.7, window, None)
    assert given == [{"is_causal": True, "scale": 0.7}] * 2
