"""The test's side of the injected faults: it writes token files for the processes and reads their events.

`injected/sitecustomize.py` is the other side.
"""

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.programs.processes import wait_for

INJECTED = Path(__file__).parents[1] / "injected"
KILLS_PROCESS = "this text kills the process"
OUT_OF_MEMORY, LOSES_DEVICE = "\x07", "\x06"
ACTIONS = ("kill", "stop", "disconnect", "delay")


@dataclass(frozen=True)
class Event:
    """A line that a process wrote. `at` is a time of the monotonic clock, which all processes share."""

    at: float
    pid: int
    point: str
    facts: dict[str, Any]

    @property
    def shard(self) -> tuple[str, int]:
        return self.facts["job"], self.facts["shard"]


class Injection:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._numbers = count()
        self._events: list[Event] = []
        self._read_bytes = 0
        (folder / "events").touch()
        self.slow_down(0)
        self.shift_clock(0)

    def slow_down(self, seconds: float) -> None:
        """From now on every shard takes this much longer."""
        self._write("slow", seconds)

    def shift_clock(self, seconds: float) -> None:
        """The clock of every process that starts from now on is wrong by this much."""
        self._write("clock", seconds)

    def _write(self, name: str, seconds: float) -> None:
        new = self.folder / f"new-{name}"
        new.write_text(str(seconds))
        new.replace(self.folder / name)

    def arm(self, action: str, point: str) -> None:
        """The next process that reaches the point performs the action."""
        (self.folder / f"{action}.{point}.{next(self._numbers)}").touch()

    def inject(self, action: str, point: str, seconds: float = 30) -> Event:
        """Arm the action, and return its event when a process has performed it."""
        known = len(self.events(action))
        self.arm(action, point)
        wait_for(lambda: len(self.events(action)) > known, seconds)
        return self.events(action)[-1]

    def events(self, point: str, since: float = 0) -> list[Event]:
        return [event for event in self._all() if event.point == point and event.at >= since]

    def _all(self) -> list[Event]:
        """Continues after the last event read before: the file of a whole matrix is long."""
        with (self.folder / "events").open("rb") as events:
            events.seek(self._read_bytes)
            *lines, _ = events.read().split(b"\n")
        for line in lines:
            facts = json.loads(line)
            self._events.append(Event(facts.pop("at"), facts.pop("pid"), facts.pop("point"), facts))
            self._read_bytes += len(line) + 1
        return self._events

    def held_by(self, pid: int, at: float) -> tuple[str, int] | None:
        """The shard that a process had claimed and not committed at that time."""
        own = [e for e in self._all() if e.pid == pid and e.at <= at and e.point in ("claimed", "committed")]
        return own[-1].shard if own and own[-1].point == "claimed" else None

    def disarm(self) -> None:
        for action in ACTIONS:
            for token in self.folder.glob(f"{action}.*"):
                token.unlink(missing_ok=True)
        self.slow_down(0)
        self.shift_clock(0)
