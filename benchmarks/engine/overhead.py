"""What measuring costs over the forward pass alone: the limit that no method can beat.

The bare pass is the engine's own: the same packed rows, the same attention, no hook on any layer. Two hooks
on the whole model look at the clock.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch

from benchmarks.contestants.contestant_process import interleave
from benchmarks.inputs.shapes import Shape
from benchmarks.inputs.texts import tokens_of
from benchmarks.measuring.interference import RepeatBudget, Run, neighbours
from benchmarks.measuring.product_rate import product_rate
from benchmarks.measuring.timing import Spread, ratios, spread
from benchmarks.report import Report
from layerscope.core import Model, profile, profile_texts
from layerscope.names import COMPONENTS


def limit(
    report: Report, shape: Shape, model: Model, texts: Sequence[str], rounds: int, budget: RepeatBudget
) -> None:
    """The engine's whole time (tokenising, packing, hooks, metrics) against its forward passes bare."""
    runs: dict[str, Callable[[], Run]] = {
        "bare forward": lambda: bare(model, texts),
        "block": lambda: whole(model, texts, ("block",)),
        "all components": lambda: whole(model, texts, COMPONENTS),
    }
    for run in runs.values():
        run()  # warm
    taken = dict(zip(runs, interleave(list(runs.values()), rounds, budget), strict=True))
    rate = product_rate(model.device, model.dtype)
    work = tokens_of(texts) * shape.flops_a_token
    rows = [
        (f"{name}, {model.dtype}", *_cells(took, taken["bare forward"], work / rate))
        for name, took in taken.items()
    ]
    head = ("", "seconds", "cost over bare, %", "at best, %", "by processor time, %", "of the product rate")
    report.table(head, rows)
    report.say(
        f"{len(texts)} texts, {tokens_of(texts):,} tokens, {rounds} rounds. Product rate: {rate / 1e12:.3g} "
        f"TFLOP/s, the fastest `torch.mm` measured here in {model.dtype}; counted are 2 × the layers' "
        "parameters a token, without the LM head. "
        + neighbours([run for side in taken.values() for run in side])
    )


def _cells(took: Sequence[Run], bare: Sequence[Run], ideal: float) -> tuple[str, ...]:
    """`ideal`: seconds at the product rate."""
    wall = [run.wall for run in took]
    cost = ratios(wall, [run.wall for run in bare])
    by_processor = ratios([run.processor for run in took], [run.processor for run in bare])
    return (
        f"{spread(wall):.3f}",
        _percent(cost),
        f"{100 * (cost.least - 1):+.1f}",
        _percent(by_processor),
        f"{ideal / spread(wall).median:.0%}",
    )


def _percent(ratio: Spread) -> str:
    low, median, high = (100 * (value - 1) for value in (ratio.low, ratio.median, ratio.high))
    return f"{median:+.1f} [{low:+.1f}–{high:+.1f}]"


def whole(model: Model, texts: Sequence[str], components: Sequence[str]) -> Run:
    """The engine as anybody calls it, texts in and numbers out."""
    wall, processor = time.perf_counter(), time.process_time()
    for text in profile_texts(model, texts, components=components):
        if text.error:
            raise RuntimeError(text.error)
    return Run(time.perf_counter() - wall, time.process_time() - processor)


def bare(model: Model, texts: Sequence[str]) -> Run:
    """The same forward passes with no hook on any layer, and nothing but them.

    The engine runs with its hooks left out; what it then makes of the sums that nobody wrote is thrown away.
    """
    without = mock.patch.object(profile, "contributions", return_value=nullcontext())
    with without, _clock(model) as passes:
        for _ in profile_texts(model, texts):
            pass
    return Run(sum(took.wall for took in passes), sum(took.processor for took in passes))


@contextmanager
def _clock(model: Model) -> Iterator[list[Run]]:
    """What every forward pass of the whole model takes."""
    passes: list[Run] = []
    started = Run(0, 0)

    def start(*_: Any) -> None:
        nonlocal started
        _settle(model)
        started = Run(time.perf_counter(), time.process_time())

    def stop(*_: Any) -> None:
        _settle(model)
        passes.append(Run(time.perf_counter() - started.wall, time.process_time() - started.processor))

    hooks = [model.module.register_forward_pre_hook(start), model.module.register_forward_hook(stop)]
    try:
        yield passes
    finally:
        for hook in hooks:
            hook.remove()


def _settle(model: Model) -> None:
    if model.device.startswith("cuda"):
        torch.cuda.synchronize()
