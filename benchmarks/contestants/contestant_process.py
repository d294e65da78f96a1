"""The other end of `contestant.py`: starts processes, and lets them run in turns."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.contestants.transformers_loops import Statistics
from benchmarks.measuring.interference import RepeatBudget, Run
from benchmarks.paths import ROOT

REST_SECONDS = 0.3  # threads of the run before spin for a while before they sleep


@dataclass(frozen=True)
class Entry:
    """Who runs, on what."""

    name: str
    folder: Path
    dtype: str
    device: str
    python: str = sys.executable

    @property
    def title(self) -> str:
        return f"{self.name}, {self.dtype}"


class Failed(Exception):
    """A contestant could not load or run; the message is its own."""


class ContestantProcess:
    """One contestant's process; loaded when entered, ended when left."""

    def __init__(self, entry: Entry, texts: Sequence[str]) -> None:
        self.entry = entry
        self._texts = texts
        self._exits = ExitStack()

    def __enter__(self) -> "ContestantProcess":
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory()))
        (folder / "texts.json").write_text(json.dumps(self._texts), encoding="utf-8")
        self._values = folder / "values.npy"
        log = self._exits.enter_context((folder / "log").open("w+"))
        entry = self.entry
        self._process = subprocess.Popen(
            (
                *(
                    entry.python,
                    "-P",
                    "-m",
                    "benchmarks.contestants.child_program",
                    entry.name,
                    str(entry.folder),
                ),
                *(entry.dtype, entry.device, str(folder / "texts.json"), "--values", str(self._values)),
            ),
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "HF_HUB_OFFLINE": "1",
                "TOKENIZERS_PARALLELISM": "false",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self._log = log
        try:
            self._hear()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._process.terminate()
        self._process.wait()
        self._exits.close()

    def check(self) -> tuple[Statistics, float | None]:
        """A first run: the statistics of every text, (texts, layers − 1, 2), and the peak memory in MiB above
        the loaded model."""
        answer = self._ask("check")
        return np.load(self._values), answer["peak_mib"]

    def run(self) -> tuple[Run, float | None]:
        """How long it took, and the peak memory in MiB above the loaded model."""
        answer = self._ask("run")
        return Run(answer["wall"], answer["processor"]), answer["peak_mib"]

    def _ask(self, what: str) -> dict[str, Any]:
        if self._process.stdin:
            print(what, file=self._process.stdin, flush=True)
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return f"ended with exit code {self._process.wait()}: {lines[-1] if lines else 'no word'}"


def interleave(sides: Sequence[Callable[[], Run]], rounds: int, budget: RepeatBudget) -> list[list[Run]]:
    """The runs of each side, one a round; every round begins with another side."""
    runs: list[list[Run]] = [[] for _ in sides]
    for number in range(rounds):
        for turn in range(len(sides)):
            index = (number + turn) % len(sides)
            time.sleep(REST_SECONDS)
            runs[index].append(budget.measure(sides[index]))
    return runs
