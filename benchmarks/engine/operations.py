"""The operations that take most of the time of a profile, measured by PyTorch's profiler."""

from collections.abc import Sequence

from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiler

from benchmarks.report import Report
from layerscope.core import Model, profile_texts
from layerscope.names import COMPONENTS

ROWS = 14


def report_operations(report: Report, model: Model, texts: Sequence[str]) -> None:
    """The operations of a warm run with all components, sorted by the time of the operation itself."""
    cuda = model.device.startswith("cuda")
    list(profile_texts(model, texts, components=COMPONENTS))
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profiler(activities=activities) as profiled:
        list(profile_texts(model, texts, components=COMPONENTS))
    own = {
        event.key: (event.self_device_time_total if cuda else event.self_cpu_time_total, event.count)
        for event in profiled.key_averages()
    }
    total = sum(microseconds for microseconds, _ in own.values())
    rows = [
        (f"`{name}`", f"{microseconds / 1e3:.1f}", f"{microseconds / total:.1%}", f"{count:,}")
        for name, (microseconds, count) in sorted(own.items(), key=lambda item: -item[1][0])[:ROWS]
    ]
    report.say(
        f"Layerscope, all components, {model.dtype}: time by operation (the profiler slows the run down)."
    )
    report.table(("operation", "ms of its own", "share", "calls"), rows)
