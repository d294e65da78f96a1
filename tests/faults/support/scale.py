"""How many faults are injected: few by default, the numbers of docs/operations.md with FAULTS=whole."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    name: str
    texts: int
    lease_seconds: float  # also the longest time that a worker spends on one message, as by default
    sweep_seconds: float
    unreachable_seconds: float  # of fault 6
    disconnecting_seconds: float  # of fault 8
    numbers: dict[int, int]  # fault -> number of injections

    @property
    def recovery_seconds(self) -> float:
        """The longest recovery after a worker was killed: lease, sweep, and 5 s for a busy machine."""
        return self.lease_seconds + self.sweep_seconds + 5


SHORT = Scale(
    name="short",
    texts=320,
    lease_seconds=2,
    sweep_seconds=0.5,
    unreachable_seconds=2,
    disconnecting_seconds=2,
    numbers={
        **{1: 2, 2: 1, 3: 2, 4: 2, 5: 2, 6: 2, 7: 1, 8: 1, 9: 2, 10: 1},
        **{12: 1, 13: 2, 14: 20, 15: 6, 16: 20},
    },
)
WHOLE = Scale(
    name="whole",
    texts=2_000,
    lease_seconds=4,
    sweep_seconds=1,
    unreachable_seconds=20,
    disconnecting_seconds=20,
    numbers={
        **{1: 50, 2: 5, 3: 10, 4: 20, 5: 10, 6: 3, 7: 5, 8: 5, 9: 20, 10: 5},
        **{12: 2, 13: 50, 14: 100, 15: 50, 16: 200},
    },
)
SCALE = WHOLE if os.environ.get("FAULTS") == "whole" else SHORT

TEXTS_PER_SHARD = 16
WORKERS = 3
SEED = int(os.environ.get("FAULTS_SEED", "20260701"))
