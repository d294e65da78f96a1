"""Runs `layerscope corpus` in a process and observes the memory of its processes."""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.2
MIB = 2**20


@dataclass(frozen=True)
class CorpusRun:
    """`seconds`: of the whole command. `steady`: texts per second between the first and the last part.

    `memory`: the highest resident memory in MiB of the process that plans and finalizes (driver), of one
    actor (actor), and of all other processes together (Ray).
    """

    seconds: float
    steady: float | None
    memory: dict[str, float]


def write_texts(path: Path, texts: Iterable[str]) -> Path:
    """In two domains, as JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        for i, text in enumerate(texts):
            file.write(json.dumps({"domain": ("a", "b")[i % 2], "text": text}) + "\n")
    return path


def run_corpus(source: Path, out: Path, model: Path, actors: int) -> CorpusRun:
    """Raises: RuntimeError with the messages of the command if it fails."""
    arguments = ("corpus", str(source), str(out), "--model", str(model), "--actors", str(actors))
    started = time.monotonic()
    with (out.parent / "messages").open("w+") as messages:
        command = (sys.executable, "-m", "app.cli", *arguments)
        process = subprocess.Popen(command, stdout=messages, stderr=messages, env=os.environ)
        try:
            memory = _highest_memory(process)
        finally:
            process.terminate()
            process.wait()
        messages.seek(0)
        if process.returncode:
            raise RuntimeError(messages.read())
    return CorpusRun(time.monotonic() - started, _steady(out), memory)


def _highest_memory(process: "subprocess.Popen[bytes]") -> dict[str, float]:
    """Of each role, until the process ends."""
    memory: dict[str, float] = defaultdict(float)
    while process.poll() is None:
        for role, size in _sizes(process.pid).items():
            memory[role] = max(memory[role], size)
        time.sleep(SAMPLE_SECONDS)
    return dict(memory)


def _sizes(pid: int) -> dict[str, float]:
    """The resident memory of each role at this moment, in MiB."""
    sizes: dict[str, float] = defaultdict(float)
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                role, size = _role(child.cmdline()), child.memory_info().rss / MIB
                sizes[role] = max(sizes[role], size) if role == "actor" else sizes[role] + size
    return sizes


def _role(command: list[str]) -> str:
    words = " ".join(command)
    if "worker.corpus" in words:
        return "driver"
    return "actor" if "MapWorker" in words else "Ray"


def _steady(out: Path) -> float | None:
    """Texts per second after the first part, by the times of the files. None if there are few parts."""
    parts = sorted((out / "texts").glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    manifest = json.loads((out / "corpus.json").read_text(encoding="utf-8"))
    if len(parts) < 4:
        return None
    seconds = (parts[-1].stat().st_mtime_ns - parts[0].stat().st_mtime_ns) / 1e9
    return float(manifest["texts"] * (len(parts) - 1) / len(parts) / seconds)
