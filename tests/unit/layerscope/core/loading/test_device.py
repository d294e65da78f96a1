from pathlib import Path

import pytest
import torch

from layerscope.core import load_model
from layerscope.core.loading.device import choose_dtype, exceeds_memory
from layerscope.errors import ModelError


@pytest.mark.parametrize(
    ("saved", "device", "chosen"),
    [
        (torch.bfloat16, "cpu", "float32"),
        (torch.bfloat16, "cuda:0", "bfloat16"),
        (torch.float16, "cuda:0", "bfloat16"),
        (torch.float32, "cuda:0", "float32"),
        (None, "cuda:0", "bfloat16"),
    ],
)
def test_dtype_auto(saved: torch.dtype | None, device: str, chosen: str) -> None:
    assert choose_dtype("auto", saved, device) == chosen


@pytest.mark.parametrize("dtype", ["float64", "int8", ""])
def test_unknown_dtype(folder: Path, dtype: str) -> None:
    with pytest.raises(ModelError, match=r"dtype = .* is not one of auto, float32, bfloat16, float16"):
        load_model(folder, dtype=dtype)


@pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:x", ""])
def test_unknown_device(folder: Path, device: str) -> None:
    with pytest.raises(ModelError, match="is not one of auto, cpu"):
        load_model(folder, device=device)


def test_a_device_that_does_not_exist(folder: Path) -> None:
    with pytest.raises(ModelError, match="this machine has"):
        load_model(folder, device="cuda:99")


@pytest.mark.parametrize(
    ("gpus", "free", "too_large"), [(2, 2_300, True), (2, 2_400, False), (1, 2_300, False)]
)
def test_a_model_too_large_for_one_gpu_is_spread(
    monkeypatch: pytest.MonkeyPatch, gpus: int, free: int, too_large: bool
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (free, free))
    assert exceeds_memory(1_000, torch.bfloat16, "cuda:0") == too_large  # 2,000 bytes
    assert not exceeds_memory(1_000, torch.bfloat16, "cpu")
