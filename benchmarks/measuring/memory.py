"""How much memory this process has, and has had at most."""

import gc
import re
from pathlib import Path

import torch
from torch import nn

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20


class Peak:
    """The most memory in use since `start()`, above what was in use at `base()`: of the CUDA device where the
    work is done there, else of the process (Linux only)."""

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self._base = self._now()

    def start(self) -> None:
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        elif _RESET.exists():
            _RESET.write_text("5")  # sets the high water mark back to what is resident now

    def above_base(self) -> float | None:
        """MiB, or None where the system does not say."""
        most = torch.cuda.max_memory_allocated() if self._cuda else _resident("VmHWM")
        return None if most is None or self._base is None else (most - self._base) / MIB

    def _now(self) -> int | None:
        return torch.cuda.memory_allocated() if self._cuda else _resident("VmRSS")


def touch_weights() -> None:
    """Reads every weight once: a file that is mapped into memory counts from the first reading on, so without
    this the weights would count among what the first text needs."""
    for found in gc.get_objects():
        if type(found) is nn.Parameter and found.layout == torch.strided:
            found.detach().sum()


def _resident(field: str) -> int | None:
    if not _STATUS.exists():
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
