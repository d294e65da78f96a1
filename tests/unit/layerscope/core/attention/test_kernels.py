"""All attention kernels give the numbers of `loop`. Those that need a GPU are tested on a GPU only."""

from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from layerscope.core import Model, profile_texts
from layerscope.core.attention import kernels
from layerscope.core.attention.kernels import KERNELS, ONE_CALL, agrees, choose_kernel

LENGTHS = (5, 1, 130, 64)


def parts(groups: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(sum(LENGTHS), heads, 16).to(dtype) for heads in (2 * groups, 2, 2)]


@pytest.mark.parametrize("groups", [1, 3])
def test_padded_attention_agrees_with_the_loop(groups: int) -> None:
    query, key, value = parts(groups)
    found, expected = (KERNELS[name](query, key, value, LENGTHS, 0.25) for name in ("padded", "loop"))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    query, key, value = parts(groups, torch.bfloat16)
    assert agrees(KERNELS["padded"], query, key, value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize("name", KERNELS)
def test_on_a_gpu(name: str, window: int | None) -> None:
    query, key, value = (part.cuda() for part in parts(3, torch.bfloat16))
    assert agrees(KERNELS[name], query, key, value, window)


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_has_soft_caps_and_windows(name: str) -> None:
    """On a CPU `varlen` has no windows; a cap it leaves to `loop`."""
    query, key, value = parts(3)
    for window, cap in [(20, 2.0), (None, 2.0), (20, None)]:
        if name == "varlen" and cap is None:
            continue
        found, expected = (
            KERNELS[kernel](query, key, value, LENGTHS, 0.25, window, cap) for kernel in (name, "loop")
        )
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_arguments_of_varlen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel needs a GPU; its arguments can be checked without one."""
    given: dict[str, Any] = {}

    def varlen_attn(
        query: Tensor, *bounds: Any, enable_gqa: bool = False, num_splits: int | None = None, **named: Any
    ) -> Tensor:
        given.update(named, bounds=bounds[2:], enable_gqa=enable_gqa, num_splits=num_splits)
        return query

    monkeypatch.setattr(kernels, "_varlen", lambda: varlen_attn)
    query, key, value = parts(3)
    assert KERNELS["varlen"](query, key, value, LENGTHS, 0.25) is query
    start, end, longest, _ = given.pop("bounds")
    assert start.tolist() == end.tolist() == [0, 5, 6, 136, 200]
    assert (start.dtype, longest) == (torch.int32, 130)
    assert given == {"scale": 0.25, "window_size": (-1, 0), "enable_gqa": True, "num_splits": 1}
    KERNELS["varlen"](query, key, value, LENGTHS, 0.25, 20)
    assert given["window_size"] == (19, 0)  # a token and the 19 before it


def test_varlen_of_an_older_pytorch_gets_no_argument_that_it_does_not_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PyTorch 2.11 has neither `enable_gqa` nor `num_splits`."""

    def varlen_attn(query: Tensor, *_: Any, scale: float, window_size: tuple[int, int]) -> Tensor:
        return query

    monkeypatch.setattr(kernels, "_varlen", lambda: varlen_attn)
    query, key, value = parts(3)
    assert KERNELS["varlen"](query, key, value, LENGTHS, 0.25) is query


def test_pytorch_still_accepts_the_arguments_of_varlen() -> None:
    varlen = pytest.importorskip("torch.nn.attention.varlen")
    names = set(signature(varlen.varlen_attn).parameters)
    assert {"query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k", "scale"} <= names
    assert "window_size" in names


def test_the_first_kernel_that_works_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Tensor:
        raise RuntimeError

    def wrong(query: Tensor, *_: Any) -> Tensor:
        return query

    monkeypatch.setitem(KERNELS, "varlen", broken)
    assert choose_kernel("cpu", torch.float32, (6, 2, 16)) == "padded"
    monkeypatch.setitem(KERNELS, "varlen", wrong)
    assert choose_kernel("cpu", torch.float32, (6, 2, 16)) == "padded"
    monkeypatch.setitem(KERNELS, "padded", broken)
    assert choose_kernel("cpu", torch.float32, (6, 2, 16)) == "loop"


def test_a_kernel_without_windows_is_not_chosen_for_a_model_with_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def plain_only(*arguments: Any) -> Tensor:
        return KERNELS["loop"](*arguments[:5])

    monkeypatch.setitem(KERNELS, "varlen", plain_only)
    assert choose_kernel("cpu", torch.float32, (6, 2, 16)) == "varlen"
    assert choose_kernel("cpu", torch.float32, (6, 2, 16), windowed=True) == "padded"


@pytest.mark.skipif(torch.cuda.is_available(), reason="varlen may work on a GPU")
def test_varlen_does_not_work_on_a_cpu() -> None:
    query, key, value = parts(3)
    assert not agrees(KERNELS["varlen"], query, key, value)
    assert choose_kernel("cpu", torch.float32, (6, 2, 16)) == "padded"


def test_profiles_do_not_depend_on_the_kernel(model: Model) -> None:
    texts = ["a text", "x", "another text, which is longer", "the end"]
    assert model.attention == "loop"
    one, other = (list(profile_texts(replace(model, attention=name), texts)) for name in ("loop", "padded"))
    for found, expected in zip(other, one, strict=True):
        np.testing.assert_allclose(found.values, expected.values, rtol=2e-5, atol=2e-6)


def test_a_model_can_name_every_kernel() -> None:
    assert set(ONE_CALL) | {"loop"} == set(KERNELS)
