"""Where a model is loaded, and in which number format."""

import re

import torch

from layerscope.core.model import DTYPES
from layerscope.errors import ModelError
from layerscope.names import DType

_SHARE = 0.85  # the part of a GPU's free memory that weights may occupy


def choose_device(wanted: str) -> str:
    """ "cpu" or "cuda:N". Raises: ModelError if this machine does not have the device."""
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        return wanted
    if not re.fullmatch(r"cuda:\d+", wanted):
        raise ModelError(
            f"device = {wanted!r} is not one of auto, cpu, cuda:0, cuda:1, …: correct it in models.toml."
        )
    if int(wanted.removeprefix("cuda:")) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ModelError(
            f"device = {wanted!r}, but this machine has {found} CUDA devices: "
            "set `device` in models.toml to auto."
        )
    return wanted


def check_dtype(wanted: str) -> None:
    """Raises: ModelError if it is neither "auto" nor a dtype."""
    if wanted != "auto" and wanted not in DTYPES:
        raise ModelError(
            f"dtype = {wanted!r} is not one of auto, {', '.join(DTYPES)}: correct it in models.toml."
        )


def choose_dtype(wanted: str, saved: torch.dtype | None, device: str) -> str:
    """The dtype that is wanted; for "auto" the one for this device and for a model saved as `saved`."""
    if wanted != "auto":
        return wanted
    return DType.FLOAT32.value if device == "cpu" or saved == torch.float32 else DType.BFLOAT16.value


def exceeds_memory(weights: int, dtype: torch.dtype, device: str) -> bool:
    """Whether so many weights leave too little memory for activations on the first of several GPUs."""
    if device == "cpu" or torch.cuda.device_count() < 2:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return weights * dtype.itemsize > _SHARE * free
