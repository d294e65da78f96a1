"""Runs several contestants in turns."""

import time
from collections.abc import Callable, Sequence

from benchmarks.measuring.interference import RepeatBudget, Run

PAUSE_SECONDS = 0.3  # after a run, its threads spin for a while before they sleep


def interleave(sides: Sequence[Callable[[], Run]], rounds: int, budget: RepeatBudget) -> list[list[Run]]:
    """The runs of each side, one per round. Each round begins with a different side."""
    runs: list[list[Run]] = [[] for _ in sides]
    for number in range(rounds):
        for turn in range(len(sides)):
            index = (number + turn) % len(sides)
            time.sleep(PAUSE_SECONDS)
            runs[index].append(budget.measure(sides[index]))
    return runs
