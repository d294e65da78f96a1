"""One side of a comparison, in a process of its own: loads, then does as it is told, a line at a time.

In: `check` (a run that also saves the statistics) or `run`. Out: a JSON object a line.
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

from benchmarks.contestants.transformers_loops import Contestant
from benchmarks.measuring.memory import Peak, touch_weights

CONTESTANTS = {
    "study loop": "benchmarks.contestants.transformers_loops:study_loop",
    "output_hidden_states": "benchmarks.contestants.transformers_loops:hidden_states",
    "Layerscope, block": "benchmarks.contestants.layerscope_core:block",
    "Layerscope, all components": "benchmarks.contestants.layerscope_core:everything",
    "TransformerLens": "benchmarks.contestants.peers:transformer_lens",
    "nnsight, causal model": "benchmarks.contestants.peers:nnsight_causal",
    "nnsight, base model": "benchmarks.contestants.peers:nnsight_base",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.contestants.child_program", description=__doc__)
    parser.add_argument("name", choices=CONTESTANTS)
    parser.add_argument("folder", type=Path, help="the model")
    parser.add_argument("dtype")
    parser.add_argument("device")
    parser.add_argument("texts", type=Path, help="a JSON list")
    parser.add_argument("--values", type=Path, help="where `check` saves the statistics, as .npy")
    arguments = parser.parse_args()
    # Libraries may print; the answers have the standard output for themselves.
    with os.fdopen(os.dup(1), "w") as answers, contextlib.redirect_stdout(sys.stderr):
        os.dup2(2, 1)
        _serve(arguments, answers)


def _serve(arguments: Any, answers: IO[str]) -> None:
    texts: list[str] = json.loads(arguments.texts.read_text(encoding="utf-8"))
    module, _, function = CONTESTANTS[arguments.name].partition(":")
    try:
        load = getattr(importlib.import_module(module), function)
        contestant: Contestant = load(arguments.folder, arguments.dtype, arguments.device)
    except Exception as error:  # whatever it is that a library cannot do here, it is part of the result
        _answer(answers, error=f"{type(error).__name__}: {error}")
        return
    touch_weights()
    peak = Peak(arguments.device)
    _answer(answers, ready=True)
    for line in sys.stdin:
        try:
            _answer(answers, **_run(contestant, texts, peak, arguments, save=line.strip() == "check"))
        except Exception as error:
            _answer(answers, error=f"{type(error).__name__}: {error}")
            return


def _run(contestant: Contestant, texts: list[str], peak: Peak, arguments: Any, save: bool) -> dict[str, Any]:
    kept = []
    peak.start()
    wall, processor = time.perf_counter(), time.process_time()
    for statistics in contestant(texts):
        if save:
            kept.append(statistics.copy())
    if arguments.device.startswith("cuda"):
        torch.cuda.synchronize()
    answer = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    if save:
        np.save(arguments.values, np.stack(kept))
    return {**answer, "peak_mib": peak.above_base()}


def _answer(answers: IO[str], **what: Any) -> None:
    print(json.dumps(what), file=answers, flush=True)


if __name__ == "__main__":
    main()
