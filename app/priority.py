"""The priority of processes that share a processor with the API."""

import os
from enum import IntEnum


class Niceness(IntEnum):
    """How much a process gives way to others, from 0 to 19. Without others, it loses nothing."""

    DRAWING = 5  # requests are more urgent than plots
    WORKER = 10  # a worker that uses all processors would otherwise delay every request


def give_way(niceness: Niceness) -> None:
    """Call it before the process starts threads: on Linux, each thread has the priority of its creator."""
    if hasattr(os, "nice"):  # not on Windows
        os.nice(niceness)
