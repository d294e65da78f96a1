"""The memory that this process uses now and at its peak."""

import gc
import re
from pathlib import Path

import torch
from torch import nn

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20


class PeakMemory:
    """The highest memory use since `start()`, above the memory in use when this object was created.

    On a CUDA device it is the memory that PyTorch has allocated there; on a CPU it is the resident memory of
    the process (Linux only).
    """

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self._base = torch.cuda.memory_allocated() if self._cuda else _resident("VmRSS")

    def start(self) -> None:
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        elif _RESET.exists():
            _RESET.write_text("5")  # resets the peak (VmHWM) to the memory that is resident now

    def above_base(self) -> float | None:
        """MiB; None if the system does not provide the figure."""
        peak = torch.cuda.max_memory_allocated() if self._cuda else _resident("VmHWM")
        return None if peak is None or self._base is None else (peak - self._base) / MIB


def touch_weights() -> None:
    """Reads every weight of every model in this process once.

    The pages of a memory-mapped file count as resident from the first access. Without this, the weights would
    count as memory that the first text needs.
    """
    for found in gc.get_objects():
        if type(found) is nn.Parameter and found.layout == torch.strided:
            found.detach().sum()


def _resident(field: str) -> int | None:
    """Bytes, from /proc; None without /proc."""
    if not _STATUS.exists():
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
