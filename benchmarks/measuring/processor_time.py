"""The processor time of other processes."""

from contextlib import suppress

import psutil


def processor_seconds(process: psutil.Process) -> float:
    """What the process and its descendants have used, including those that have ended."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has ended
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
