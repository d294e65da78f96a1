"""The layers that contribute most in each domain, as a table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from layerscope.cli.output import print_line, print_table
from layerscope.names import POOLED_DOMAIN, Component, Metric, Scope

METRICS = (Metric.DELTA_ABS_MEAN.value, Metric.RELATIVE_NORM.value)  # absolute, and relative to the residual
TOP_LAYERS = 3  # of each domain


def print_top_layers(results: Iterable[Mapping[str, Any]]) -> None:
    """`results` are the rows of results.csv."""
    domains: dict[str, list[Mapping[str, Any]]] = {}
    for row in results:
        is_shown = (row["scope"], row["component"]) == (Scope.TYPICAL, Component.BLOCK)
        if is_shown and row["domain"] != POOLED_DOMAIN and row[METRICS[0]] is not None:
            domains.setdefault(row["domain"], []).append(row)
    if not domains:
        return
    print_line("Layers that contribute most (scope typical, component block):")
    header = ("domain", *(name for metric in METRICS for name in ("layer", metric)))
    print_table(header, [cells for domain, rows in domains.items() for cells in _cells(domain, rows)])


def _cells(domain: str, rows: Sequence[Mapping[str, Any]]) -> Iterable[Sequence[object]]:
    tops = [sorted(rows, key=lambda row: -row[metric])[:TOP_LAYERS] for metric in METRICS]
    for place, found in enumerate(zip(*tops, strict=True)):
        pairs = zip(found, METRICS, strict=True)
        shown = [cell for row, metric in pairs for cell in (row["layer"], f"{row[metric]:.3g}")]
        yield ("" if place else domain, *shown)
