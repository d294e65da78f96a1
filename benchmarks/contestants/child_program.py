"""The program of a contestant's process: loads the contestant, then executes one command per line of input.

Input: `check` (a run that also saves the statistics) or `run`. Output: one JSON object per line.
"""

import argparse
import contextlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from benchmarks.contestants.registry import CONTESTANTS
from benchmarks.contestants.transition_statistics import Contestant
from benchmarks.measuring.memory import PeakMemory, touch_weights


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.contestants.child_program", description=__doc__)
    parser.add_argument("name", choices=CONTESTANTS)
    parser.add_argument("folder", type=Path, help="the folder of the model")
    parser.add_argument("dtype")
    parser.add_argument("device")
    parser.add_argument("texts", type=Path, help="a JSON list")
    parser.add_argument("--values", type=Path, help="the .npy file in which `check` saves the statistics")
    arguments = parser.parse_args()
    # Libraries may print to the standard output. It is redirected, so that it contains the answers only.
    with os.fdopen(os.dup(1), "w") as answers, contextlib.redirect_stdout(sys.stderr):
        os.dup2(2, 1)
        _serve(arguments, answers)


def _serve(arguments: Any, answers: IO[str]) -> None:
    texts: list[str] = json.loads(arguments.texts.read_text(encoding="utf-8"))
    module, _, function = CONTESTANTS[arguments.name].partition(":")
    try:
        load = getattr(importlib.import_module(module), function)
        contestant: Contestant = load(arguments.folder, arguments.dtype, arguments.device)
    except Exception as error:  # a library that does not work here is a result, not an error of the benchmark
        _answer(answers, error=f"{type(error).__name__}: {error}")
        return
    touch_weights()
    memory = PeakMemory(arguments.device)
    _answer(answers, ready=True)
    for line in sys.stdin:
        try:
            _answer(answers, **_run(contestant, texts, memory, arguments, save=line.strip() == "check"))
        except Exception as error:
            _answer(answers, error=f"{type(error).__name__}: {error}")
            return


def _run(
    contestant: Contestant, texts: list[str], memory: PeakMemory, arguments: Any, save: bool
) -> dict[str, Any]:
    saved = []
    memory.start()
    wall, processor = time.perf_counter(), time.process_time()
    for statistics in contestant(texts):
        if save:
            saved.append(statistics.copy())
    if arguments.device.startswith("cuda"):
        torch.cuda.synchronize()
    answer = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    if save:
        np.save(arguments.values, np.stack(saved))
    return {**answer, "peak_mib": memory.above_base()}


def _answer(answers: IO[str], **content: Any) -> None:
    print(json.dumps(content), file=answers, flush=True)


if __name__ == "__main__":
    main()
