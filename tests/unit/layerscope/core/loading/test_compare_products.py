"""The command that finds the faster matrix product for a model."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from layerscope.core.loading import compare_products
from layerscope.core.loading.compare_products import Effort, faster_product, fastest_of_each, main
from layerscope.core.loading.matmul import is_correct

needs_onednn = pytest.mark.skipif(
    not is_correct(8, 8, torch.float32), reason="this PyTorch has no oneDNN product"
)


@needs_onednn
@pytest.mark.parametrize(("onednn_seconds", "faster"), [(1.0, "onednn"), (2.0, "default"), (1.99, "default")])
def test_the_faster_product_is_printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    onednn_seconds: float,
    faster: str,
) -> None:
    monkeypatch.setattr(compare_products, "fastest_of_each", lambda *_: (2.0, onednn_seconds))
    monkeypatch.setattr(compare_products, "settle_threads", lambda _: None)
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f'matmul = "{faster}"\n'


def test_a_model_without_onednn_gets_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert faster_product(nn.Sequential(nn.Linear(8, 8).half())) == "default"
    assert "not available" in capsys.readouterr().err


def test_both_functions_are_measured() -> None:
    large, small = torch.randn(700, 700), torch.randn(7, 7)
    slow, fast = fastest_of_each(lambda: large @ large, lambda: small @ small, Effort(5, 0.0))
    assert slow > fast > 0


def test_a_model_that_cannot_be_loaded_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare_products, "settle_threads", lambda _: None)
    assert main(["/no/such/folder"]) == 1
    assert "neither an existing folder nor a valid hub id" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_of_the_documentation(folder: Path) -> None:
    command = [sys.executable, "-m", "layerscope.core.loading.compare_products", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.stdout in ('matmul = "onednn"\n', 'matmul = "default"\n'), done.stderr
