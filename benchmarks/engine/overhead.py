"""The cost of measuring over the forward pass alone, which is the lower limit for every method.

The bare forward pass is Layerscope's own: the same packed batches and the same attention, but no hook on any
layer. Two hooks on the whole model read the clock.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from benchmarks.inputs.shapes import Shape
from benchmarks.inputs.texts import tokens_of
from benchmarks.measuring.interference import RepeatBudget, Run, interference_note
from benchmarks.measuring.interleaving import interleave
from benchmarks.measuring.product_rate import product_rate
from benchmarks.measuring.timing import Spread, ratios, spread
from benchmarks.report import Report
from layerscope.core import Model, profile_texts
from layerscope.core.batching import Encoded
from layerscope.core.pipeline import BatchNumbers, default_budget, encode_all, forward, in_batches
from layerscope.names import COMPONENTS

HEAD = ("", "seconds", "cost over bare, %", "at best, %", "by processor time, %", "of the product rate")


def report_overhead(
    report: Report, shape: Shape, model: Model, texts: Sequence[str], rounds: int, budget: RepeatBudget
) -> None:
    """Compares complete runs (tokenising, packing, hooks, metrics) with the bare forward passes."""
    sides: dict[str, Callable[[], Run]] = {
        "bare forward": lambda: bare_forward(model, texts),
        "block": lambda: full_profile(model, texts, ("block",)),
        "all components": lambda: full_profile(model, texts, COMPONENTS),
    }
    for run in sides.values():
        run()  # warm-up
    runs = dict(zip(sides, interleave(list(sides.values()), rounds, budget), strict=True))
    rate = product_rate(model.device, model.dtype)
    ideal = tokens_of(texts) * shape.flops_per_token / rate
    rows = [
        (f"{name}, {model.dtype}", *_cells(of_side, runs["bare forward"], ideal))
        for name, of_side in runs.items()
    ]
    report.table(HEAD, rows)
    report.say(
        f"{len(texts)} texts, {tokens_of(texts):,} tokens, {rounds} rounds. Product rate: {rate / 1e12:.3g} "
        f"TFLOP/s, the fastest `torch.mm` measured here in {model.dtype}. The work per token is 2 × the "
        "parameters of the layers, without the LM head. "
        + interference_note([run for side in runs.values() for run in side])
    )


def _cells(runs: Sequence[Run], bare: Sequence[Run], ideal: float) -> tuple[str, ...]:
    """`ideal`: the seconds that the work takes at the product rate."""
    wall = [run.wall for run in runs]
    cost = ratios(wall, [run.wall for run in bare])
    by_processor = ratios([run.processor for run in runs], [run.processor for run in bare])
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


def full_profile(model: Model, texts: Sequence[str], components: Sequence[str]) -> Run:
    """`profile_texts` as users call it, from texts to numbers."""
    wall, processor = time.perf_counter(), time.process_time()
    for text in profile_texts(model, texts, components=components):
        if text.error:
            raise RuntimeError(text.error)
    return Run(time.perf_counter() - wall, time.process_time() - processor)


def bare_forward(model: Model, texts: Sequence[str]) -> Run:
    """The forward passes of `profile_texts` without hooks on the layers. Only the passes are timed."""
    encoded, measure = encode_all(model, texts), partial(_forward_only, model)
    with _clock(model) as passes:
        for _ in in_batches(model, encoded, default_budget(model), measure, lambda text, numbers: None):
            pass
    return Run(sum(run.wall for run in passes), sum(run.processor for run in passes))


def _forward_only(model: Model, batch: Sequence[Encoded]) -> BatchNumbers:
    """Runs the model and measures nothing."""
    forward(model, batch)
    tokens = sum(text.tokens for text in batch)
    return BatchNumbers(*(torch.empty(count, 0, device=model.device) for count in (len(batch), tokens)))


@contextmanager
def _clock(model: Model) -> Iterator[list[Run]]:
    """Collects the times of every forward pass of the whole model."""
    passes: list[Run] = []
    started = Run(0, 0)

    def start(*_: Any) -> None:
        nonlocal started
        _synchronize(model)
        started = Run(time.perf_counter(), time.process_time())

    def stop(*_: Any) -> None:
        _synchronize(model)
        passes.append(Run(time.perf_counter() - started.wall, time.process_time() - started.processor))

    hooks = [model.module.register_forward_pre_hook(start), model.module.register_forward_hook(stop)]
    try:
        yield passes
    finally:
        for hook in hooks:
            hook.remove()


def _synchronize(model: Model) -> None:
    if model.device.startswith("cuda"):
        torch.cuda.synchronize()
