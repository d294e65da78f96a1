"""The kernels that a CPU can run, too, give the loop's numbers; the others are tried where there is a GPU."""

from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from layerscope.core import Model, profile_texts
from layerscope.core.attention import kernels
from layerscope.core.attention.kernels import KERNELS, agrees, choose_kernel
from layerscope.core.attention.packed import loop

LENGTHS = (5, 1, 130, 64)


def parts(groups: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(sum(LENGTHS), heads, 16).to(dtype) for heads in (2 * groups, 2, 2)]


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", ["flex", "padded"])
@pytest.mark.parametrize("groups", [1, 3])
def test_a_row_in_one_call_is_the_loop(name: str, groups: int) -> None:
    row = parts(groups)
    found, wanted = (kernel(row[0], row[1], row[2], LENGTHS, 0.25) for kernel in (KERNELS[name], loop))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    if name == "padded":
        assert agrees(KERNELS[name], loop, *parts(groups, torch.bfloat16))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", KERNELS)
def test_on_a_gpu(name: str) -> None:
    row = [part.cuda() for part in parts(3, torch.bfloat16)]
    if name == "flash":
        pytest.importorskip("flash_attn")
    assert agrees(KERNELS[name], loop, *row)


def test_what_varlen_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel needs a GPU; its arguments don't."""
    asked: dict[str, Any] = {}

    def varlen_attn(query: Tensor, *bounds: Any, num_splits: int | None = None, **named: Any) -> Tensor:
        asked.update(named, bounds=bounds[2:], num_splits=num_splits)
        return query

    monkeypatch.setattr(kernels, "_varlen", lambda: varlen_attn)
    row = parts(3)
    assert KERNELS["varlen"](row[0], row[1], row[2], LENGTHS, 0.25) is row[0]
    start, end, longest, _ = asked.pop("bounds")
    assert start.tolist() == end.tolist() == [0, 5, 6, 136, 200]
    assert (start.dtype, longest) == (torch.int32, 130)
    assert asked == {"scale": 0.25, "window_size": (-1, 0), "enable_gqa": True, "num_splits": 1}


def test_varlen_has_the_arguments_that_it_is_given() -> None:
    varlen = pytest.importorskip("torch.nn.attention.varlen")
    names = set(signature(varlen.varlen_attn).parameters)
    assert {"query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k", "scale"} <= names
    assert "window_size" in names


def test_the_first_that_works_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here varlen and flash raise for want of a GPU or of a package, and the next in the list is right."""

    def broken(*_: Any) -> Tensor:
        raise RuntimeError

    def wrong(query: Tensor, *_: Any) -> Tensor:
        return query

    monkeypatch.setattr(kernels, "KERNELS", {"varlen": broken, "flex": wrong, "padded": KERNELS["padded"]})
    assert choose_kernel(loop, "cpu", torch.float32, (6, 2, 16)) == "padded"
    monkeypatch.setattr(kernels, "KERNELS", {"varlen": broken})
    assert choose_kernel(loop, "cpu", torch.float32, (6, 2, 16)) is None


def test_profiles_do_not_depend_on_the_kernel(model: Model) -> None:
    texts = ["a text", "x", "another text, which is longer", "the end"]
    assert model.attention == "loop"
    one, other = (list(profile_texts(replace(model, attention=name), texts)) for name in ("loop", "padded"))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left.values, right.values, rtol=2e-5, atol=2e-6)
