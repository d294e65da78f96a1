"""How long the process for plots takes for each plot. Reading the rows from the database is not included."""

import time
from collections.abc import Sequence
from itertools import combinations, product
from typing import Any, get_args

import numpy as np

from app.plots import PLOTS, Format, Plot, PlotRow
from app.plots.drawing_process import DrawingProcess
from benchmarks.measuring.timing import spread
from benchmarks.report import Report
from layerscope.names import (
    ANALYSES,
    COMPARISON_STATISTICS,
    COMPONENTS,
    MASSIVE_TOKENS_COLUMNS,
    RESULTS_COLUMNS,
    SHARES,
    analysis_columns,
)

SIZES = ((1, 28), (4, 28), (16, 28), (16, 80))  # domains and layers
TEXTS = 45
LONGEST_SECONDS = 600
CAPTION = "Model demo at revision sha256:0123, float32; job 01a21713-fdd1-78e0-8d36-e3f9fea8d284"


def report_plots(report: Report, rounds: int) -> None:
    drawing = DrawingProcess(LONGEST_SECONDS)
    try:
        for domains, layers in SIZES:
            report.heading(f"Plots of {layers} layers × {domains} domains, median [quartiles] of {rounds}")
            available = {name: plot for name, plot in PLOTS.items() if plot.domains <= domains}
            rows = [
                _measured(drawing, name, plot, domains, layers, rounds) for name, plot in available.items()
            ]
            report.table(("", "PNG, s", "PNG, kB", "SVG, s", "SVG, kB"), rows)
    finally:
        drawing.close()


def random_rows(plot: Plot, domains: Sequence[str], layers: int) -> list[PlotRow]:
    """The rows that the service reads for a plot: random values above 0. A tenth of the layers stand out."""
    random = np.random.default_rng(0)
    keys: Sequence[dict[str, Any]]
    level = np.where(random.uniform(size=layers) < 0.1, 10.0, 1.0)

    def row(layer: int, columns: Sequence[str], **key: Any) -> PlotRow:
        values = level[layer] * random.uniform(0.2, 0.5, len(columns))
        counts = {"texts": TEXTS, "tokens": 9000, "analysis_texts": 8, "massive": 200, "massive_first": TEXTS}
        return dict(zip(columns, values.tolist(), strict=True)) | counts | key | {"layer": layer}

    match plot.table:
        case "results":
            columns = (*RESULTS_COLUMNS, *analysis_columns(ANALYSES))
            keys = [
                {"scope": scope, "component": component, "domain": domain}
                for (scope, component), domain in product(plot.places, domains)
            ]
        case "comparison":
            columns = COMPARISON_STATISTICS
            counts = {"texts_a": TEXTS, "texts_b": TEXTS}
            keys = [{"domain_a": a, "domain_b": b, **counts} for a, b in combinations(domains, 2)]
        case "first_token":
            columns = SHARES
            keys = [
                {"domain": domain, "component": component}
                for domain, component in product(domains, COMPONENTS)
            ]
        case "massive_tokens":
            columns = MASSIVE_TOKENS_COLUMNS
            keys = [{"domain": domain} for domain in domains]
    return [row(layer, columns, **key) for key in keys for layer in range(layers)]


def _measured(
    drawing: DrawingProcess, name: str, plot: Plot, domains: int, layers: int, rounds: int
) -> list[str]:
    rows = random_rows(plot, [f"domain-{i}" for i in range(domains)], layers)
    cells = [name]
    for file_format in get_args(Format):
        drawing.draw(plot, rows, CAPTION, file_format)
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            image = drawing.draw(plot, rows, CAPTION, file_format)
            seconds.append(time.perf_counter() - start)
        cells += [f"{spread(seconds):.2f}", f"{len(image) / 1e3:.0f}"]
    return cells
