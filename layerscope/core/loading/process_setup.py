"""What a process that does nothing but measure should tell its operating system."""

import ctypes
import os
from pathlib import Path

import torch

_CGROUP = Path("/sys/fs/cgroup")
# The names of malloc.h. 32 MiB is the most that glibc accepts for the first.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
HEAP_BLOCK = 32 * 2**20
# oneDNN's cache of compiled products, and PyTorch's before it; both read them at their first product.
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_CACHED = "8"  # a layer has four shapes


def settle_threads(processes: int = 1, cgroup: Path = _CGROUP) -> int:
    """Gives PyTorch as many threads as this process may really use; returns their number.

    Left alone, PyTorch counts the processors of the affinity mask, and in a container that is limited to two
    processors of a large machine starts a thread for each of the machine's, all of which then wait for each
    other. Where OMP_NUM_THREADS is set its owner has decided.

    Args:
        processes: how many share the machine, each to get its part.
        cgroup: the mount point of this process's control group.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_processors(cgroup) // processes))
    return torch.get_num_threads()


def usable_processors(cgroup: Path = _CGROUP) -> int:
    """Processors of the affinity mask, or of the control group's quota (version 2 or 1) if that is less."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return there if quota is None else max(1, min(there, int(quota)))


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
    """Keeps freed memory for the next tensor of its size; returns whether the C library took the advice.

    glibc hands blocks of an activation's size back at once, and each layer gets them again page by page,
    zeroed: a tenth of a forward pass. The process stays as large as it once had to be. Without glibc nothing
    happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    taken = mallopt(_M_MMAP_THRESHOLD, HEAP_BLOCK), mallopt(_M_TRIM_THRESHOLD, 2**30)
    return taken == (1, 1)


def keep_caches_small() -> None:
    """Limits what oneDNN remembers, unless the environment says otherwise; before the first product.

    It compiles each product for the exact number of tokens, and remembers 1,024 of them: with rows of ever
    new lengths 200 MiB and more. A row needs its own few, once a layer, and no others.
    """
    for name in _CACHES:
        os.environ.setdefault(name, _CACHED)
