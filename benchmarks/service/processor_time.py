"""The processor time of a process and all that it started, by /proc; nothing where there is none."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    below = [
        int(word)
        for each in Path(f"/proc/{pid}/task").glob("*/children")
        for word in each.read_text().split()
    ]
    return [pid, *(found for child in below for found in family(child))]


def processor_seconds(pids: Iterable[int]) -> float:
    """What they have used so far, with the children that they have already buried."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        total += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return total / _TICK
