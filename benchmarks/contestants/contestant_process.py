"""Starts the process of a contestant (`child_program.py`) and sends it commands."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from benchmarks.contestants.transition_statistics import Statistics
from benchmarks.measuring.interference import Run
from benchmarks.paths import ROOT


@dataclass(frozen=True)
class Entry:
    """A contestant, its model, and the Python interpreter that runs it."""

    name: str
    folder: Path
    dtype: str
    device: str
    python: str = sys.executable

    @property
    def title(self) -> str:
        return f"{self.name}, {self.dtype}"


class ContestantFailed(Exception):
    """A contestant could not load or run. The message is its own."""


class ContestantProcess:
    """The process of one contestant. Entering the context starts and loads it; leaving ends it.

    Raises:
        ContestantFailed: on entry and by all methods.
    """

    def __init__(self, entry: Entry, texts: Sequence[str]) -> None:
        self.entry = entry
        self._texts = texts
        self._exits = ExitStack()

    def __enter__(self) -> "ContestantProcess":
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory()))
        (folder / "texts.json").write_text(json.dumps(self._texts), encoding="utf-8")
        self._values = folder / "values.npy"
        self._log = self._exits.enter_context((folder / "log").open("w+"))
        self._process = _start(self.entry, folder / "texts.json", self._values, self._log)
        try:
            self._receive()
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
        """A first run: the statistics of every text, (texts, layers − 1, 2), and the peak memory.

        The peak memory is in MiB above the loaded model; None if it is unknown.
        """
        answer = self._execute("check")
        return np.load(self._values), answer["peak_mib"]

    def run(self) -> tuple[Run, float | None]:
        """The times of a run, and the peak memory in MiB above the loaded model."""
        answer = self._execute("run")
        return Run(answer["wall"], answer["processor"]), answer["peak_mib"]

    def _execute(self, command: str) -> dict[str, Any]:
        if self._process.stdin:
            print(command, file=self._process.stdin, flush=True)
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._exit_message()}
        if "error" in answer:
            raise ContestantFailed(answer["error"])
        return answer

    def _exit_message(self) -> str:
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return f"exit code {self._process.wait()}: {lines[-1] if lines else 'no output'}"


def _start(entry: Entry, texts: Path, values: Path, log: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (
            *(entry.python, "-P", "-m", "benchmarks.contestants.child_program"),
            *(entry.name, str(entry.folder), entry.dtype, entry.device),
            *(str(texts), "--values", str(values)),
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
