"""Compiled norms and MLPs give the numbers of the model, or are not used."""

from typing import Any

import pytest
import torch

from layerscope.core.loading.compiled_modules import compile_modules
from layerscope.core.model import blocks
from tests.support.models.tiny import causal_model

Residual = torch.Tensor


def outputs(module: Any, x: Residual) -> list[Residual]:
    with torch.inference_mode():
        return [part(x) for block in blocks(module) for part in (block.middle, block.mlp)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_compiled_modules_give_the_same_numbers_for_every_number_of_tokens() -> None:
    module = causal_model(num_hidden_layers=2).model
    x = torch.randn(1, 37, 32)
    expected = outputs(module, x)
    if not compile_modules(blocks(module)):
        pytest.skip("this machine has no compiler")
    for found, of_eager in zip(outputs(module, x), expected, strict=True):
        torch.testing.assert_close(found, of_eager, rtol=1e-5, atol=1e-5)


def wrong(forward: Any, **_: Any) -> Any:
    return lambda x: forward(x) * 1.1


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("no compiler")


@pytest.mark.parametrize("compiler", [wrong, broken])
def test_modules_stay_as_they_were_if_they_cannot_be_compiled(
    monkeypatch: pytest.MonkeyPatch, compiler: Any
) -> None:
    module = causal_model(num_hidden_layers=2).model
    x = torch.randn(1, 5, 32)
    expected = outputs(module, x)
    monkeypatch.setattr(torch, "compile", compiler)
    assert not compile_modules(blocks(module))
    assert all(torch.equal(*pair) for pair in zip(outputs(module, x), expected, strict=True))
