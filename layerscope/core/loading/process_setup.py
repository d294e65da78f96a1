"""Settings of a process that only measures: threads, heap, caches."""

import ctypes
import os
from pathlib import Path

import torch

_CGROUP = Path("/sys/fs/cgroup")
# Names from malloc.h. glibc accepts at most 32 MiB for the mmap threshold.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
HEAP_BLOCK = 32 * 2**20
# The caches of compiled products in oneDNN and in PyTorch; both read these variables at their first product.
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_CACHED = "8"  # a layer has four shapes


def settle_threads(processes: int = 1, cgroup: Path = _CGROUP) -> int:
    """Gives PyTorch as many threads as this process may use; returns their number.

    By default PyTorch counts the processors of the affinity mask. In a container that is limited to two
    processors of a large machine it would start one thread per processor of the machine, and these threads
    would wait for each other. OMP_NUM_THREADS takes precedence.

    Args:
        processes: the number of processes that share the machine; each gets its part.
        cgroup: the mount point of the control group of this process.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_processors(cgroup) // processes))
    return torch.get_num_threads()


def usable_processors(cgroup: Path = _CGROUP) -> int:
    """The smaller of the affinity mask and the quota of the control group (version 2 or 1)."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return available if quota is None else max(1, min(available, int(quota)))


def _quota(cgroup: Path) -> float | None:
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            return int(quota) / int(period)
    return None


def keep_heap() -> bool:
    """Keeps freed memory for the next tensor of the same size; returns whether the C library accepted it.

    By default glibc returns blocks of the size of an activation to the operating system immediately, and each
    layer gets them again page by page, filled with zeros. This takes a tenth of a forward pass. With this
    setting the process does not shrink after its peak. Without glibc the setting has no effect.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    accepted = mallopt(_M_MMAP_THRESHOLD, HEAP_BLOCK), mallopt(_M_TRIM_THRESHOLD, 2**30)
    return accepted == (1, 1)


def keep_caches_small() -> None:
    """Limits the caches of oneDNN, unless the environment sets them; call it before the first product.

    oneDNN compiles each product for an exact number of tokens and keeps 1,024 of them. With batches of many
    different lengths this takes more than 200 MiB. A batch needs only its own few products, once per layer.
    """
    for name in _CACHES:
        os.environ.setdefault(name, _CACHED)
