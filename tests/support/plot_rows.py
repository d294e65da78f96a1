"""Rows of every table that plots are drawn of, and what can be read off a plot."""

import re
from collections.abc import Sequence
from html import unescape
from itertools import combinations
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from app.plots import PLOTS, draw
from app.plots.drawing.canvas import STYLE
from app.plots.drawing.plot import Plot, PlotRow
from layerscope.names import (
    COMPARISON_STATISTICS,
    COMPONENTS,
    METRICS,
    POOLED_DOMAIN,
    SCOPES,
    STATISTIC_COLUMNS,
    STATISTICS,
)

CAPTION = "Model demo: demo, float32"
DOMAINS = ("cpp", "finance", "numbers", "python")

Rows = list[dict[str, Any]]


def layer_rows(
    domains: Sequence[str] = DOMAINS,
    layers: int = 4,
    texts: int = 5,
    components: Sequence[str] = COMPONENTS,
) -> Rows:
    """Random numbers, all above zero; below two texts only the means."""
    random = np.random.default_rng(0)
    rows = []
    for domain in (*domains, POOLED_DOMAIN):
        for scope in SCOPES:
            for component in components:
                for layer in range(layers):
                    place = {"domain": domain, "scope": scope, "component": component, "layer": layer}
                    values: dict[str, float | None] = dict(
                        zip(STATISTIC_COLUMNS, random.uniform(0.1, 3, len(STATISTIC_COLUMNS)), strict=True)
                    )
                    if texts < 2:
                        values |= dict.fromkeys(set(STATISTIC_COLUMNS) - set(METRICS))
                    rows.append({**place, "texts": texts, "tokens": 100, **values})
    return rows


def comparison_rows(domains: Sequence[str] = DOMAINS, layers: int = 4, texts: int = 5) -> Rows:
    """Random effects with intervals of ± 0.5; below two texts no value."""
    random = np.random.default_rng(0)
    rows = []
    for layer in range(layers):
        for a, b in combinations(sorted(domains), 2):
            pair = {"domain_a": a, "domain_b": b, "texts_a": texts, "texts_b": texts + 1}
            values: dict[str, float | None] = dict.fromkeys(COMPARISON_STATISTICS)
            if texts > 1:
                g = float(random.normal())
                values |= {"hedges_g": g, "g_ci_low": g - 0.5, "g_ci_high": g + 0.5}
                values |= {"q_value": float(random.uniform(0, 0.1))}
            rows.append({"layer": layer, **pair, **values})
    return rows


def first_token_rows(domains: Sequence[str] = DOMAINS, layers: int = 4, texts: int = 5) -> Rows:
    random = np.random.default_rng(0)
    return [
        {
            **{"domain": domain, "component": component, "layer": layer, "texts": texts},
            **{"mean_share": float(random.uniform()), "variance_share": float(random.normal(0.5, 0.2))},
        }
        for domain in (*domains, POOLED_DOMAIN)
        for component in COMPONENTS
        for layer in range(layers)
    ]


def importance_rows(domains: Sequence[str] = DOMAINS, layers: int = 4, texts: int = 5) -> Rows:
    """Layer rows with the costs of an ablation, which stand in component `block` and scope `all` alone."""
    random = np.random.default_rng(1)
    rows = layer_rows(domains, layers, texts)
    for row in rows:
        row |= {"analysis_texts": None} | {f"ablation_nll{suffix}": None for suffix in STATISTICS}
        if (row["scope"], row["component"]) == ("all", "block"):
            mean = float(random.normal())
            row |= {"analysis_texts": 3, "ablation_nll": mean}
            row |= {"ablation_nll_ci_low": mean - 0.1, "ablation_nll_ci_high": mean + 0.1}
    return rows


def rows_for(name: str, domains: Sequence[str] = DOMAINS, layers: int = 4, texts: int = 5) -> Rows:
    if PLOTS[name].analysis is not None:
        return importance_rows(domains, layers, texts)
    return TABLES[PLOTS[name].table](domains, layers, texts)


TABLES = {"results": layer_rows, "comparison": comparison_rows, "first_token": first_token_rows}


def axes_of(plot: Plot, rows: Sequence[PlotRow]) -> list[Any]:
    with matplotlib.rc_context(STYLE):
        figure = Figure()
        plot.draw(figure, rows, CAPTION)
    return figure.axes


def words(name: str, rows: Sequence[PlotRow], caption: str = CAPTION) -> list[str]:
    """Matplotlib writes each text of an SVG into a comment before its outlines."""
    return re.findall(
        r"<!-- (.*?) -->", unescape(draw(PLOTS[name], rows, caption, "svg").decode()), re.DOTALL
    )


def run_into_each_other(texts: Sequence[Any]) -> bool:
    """Texts of a figure that was drawn."""
    boxes = [text.get_window_extent() for text in texts]
    return any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def values_of(rows: Rows, column: str, **where: str) -> list[float]:
    return [row[column] for row in rows if all(row[name] == value for name, value in where.items())]
