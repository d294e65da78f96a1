"""The test's side of the injected faults: tokens that processes find, events that they note."""

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.processes import wait_for

INJECTED = Path(__file__).parent / "injected"
KILLING = "this text kills the process"
TOO_MUCH, LOSING = "\x07", "\x06"


@dataclass(frozen=True)
class Event:
    """`at` is the machine's monotonic clock, which all processes share."""

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
        self._read = 0
        (folder / "events").touch()
        self.slow(0)
        self.clock(0)

    def slow(self, seconds: float) -> None:
        """So long every shard takes longer from now on."""
        self._write("slow", seconds)

    def clock(self, seconds: float) -> None:
        """So far off is the clock of every process that starts from now on."""
        self._write("clock", seconds)

    def _write(self, name: str, seconds: float) -> None:
        new = self.folder / f"new-{name}"
        new.write_text(str(seconds))
        new.replace(self.folder / name)

    def arm(self, deed: str, point: str) -> None:
        (self.folder / f"{deed}.{point}.{next(self._numbers)}").touch()

    def inflict(self, deed: str, point: str, seconds: float = 30) -> Event:
        """The next process to reach the point gets it; the event of its end or stop."""
        known = len(self.events(deed))
        self.arm(deed, point)
        wait_for(lambda: len(self.events(deed)) > known, seconds)
        return self.events(deed)[-1]

    def events(self, point: str, since: float = 0) -> list[Event]:
        return [event for event in self._all() if event.point == point and event.at >= since]

    def _all(self) -> list[Event]:
        """Read on from where the last look ended: a whole matrix has a long tale to tell."""
        with (self.folder / "events").open("rb") as events:
            events.seek(self._read)
            *lines, _ = events.read().split(b"\n")
        for line in lines:
            facts = json.loads(line)
            self._events.append(Event(facts.pop("at"), facts.pop("pid"), facts.pop("point"), facts))
            self._read += len(line) + 1
        return self._events

    def held_by(self, pid: int, at: float) -> tuple[str, int] | None:
        """The shard that a process had claimed and not committed at a moment."""
        mine = [e for e in self._all() if e.pid == pid and e.at <= at and e.point in ("claimed", "committed")]
        return mine[-1].shard if mine and mine[-1].point == "claimed" else None

    def disarm(self) -> None:
        for deed in ("kill", "stop", "cut", "long"):
            for token in self.folder.glob(f"{deed}.*"):
                token.unlink(missing_ok=True)
        self.slow(0)
        self.clock(0)
