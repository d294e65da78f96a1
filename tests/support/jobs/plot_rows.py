"""Rows of every table that plots are drawn of."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from app.plots import PLOTS, Plot
from layerscope.names import (
    ANALYSIS_METRICS,
    ANALYSIS_PLACE,
    ANALYSIS_STATISTIC_COLUMNS,
    COMPARISON_STATISTICS,
    COMPONENTS,
    METRICS,
    POOLED_DOMAIN,
    SCOPES,
    STATISTIC_COLUMNS,
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


def massive_rows(domains: Sequence[str] = DOMAINS, layers: int = 4, texts: int = 5) -> Rows:
    random = np.random.default_rng(0)
    rows = []
    for place, domain in enumerate((*domains, POOLED_DOMAIN)):
        counts = {"texts": texts, "tokens": 1000 + place, "massive": 20 + place, "massive_first": texts}
        for layer in range(layers):
            share = {"massive_share": 0.02, "norm_share": float(random.uniform())}
            rows.append({"domain": domain, "layer": layer, **counts, **share})
    return rows


def analysis_rows(domains: Sequence[str] = DOMAINS, layers: int = 4, texts: int = 5) -> Rows:
    """Layer rows with the numbers of analyses, which stand in component `block` and scope `all` alone."""
    random = np.random.default_rng(1)
    rows = layer_rows(domains, layers, texts)
    for row in rows:
        row |= {"analysis_texts": None} | dict.fromkeys(ANALYSIS_STATISTIC_COLUMNS)
        if (row["scope"], row["component"]) == ANALYSIS_PLACE:
            row["analysis_texts"] = min(3, texts)
            for metric in ANALYSIS_METRICS:
                mean = float(random.normal() if metric == "ablation_nll" else random.uniform())
                row[metric] = mean
                if texts > 1:
                    row |= {f"{metric}_ci_low": mean - 0.1, f"{metric}_ci_high": mean + 0.1}
    return rows


def rows_for(name: str, domains: Sequence[str] = DOMAINS, layers: int = 4, texts: int = 5) -> Rows:
    """The rows that the service reads for the plot."""
    plot = PLOTS[name]
    if plot.table != "results":
        return TABLES[plot.table](domains, layers, texts)
    rows = analysis_rows(domains, layers, texts) if plot.analysis else layer_rows(domains, layers, texts)
    return of_places(plot, rows)


def of_places(plot: Plot, rows: Rows) -> Rows:
    """Those rows of the file that the service reads for the plot."""
    if plot.table != "results":
        return rows
    return [row for place in plot.places for row in rows if (row["scope"], row["component"]) == place]


TABLES = {
    "comparison": comparison_rows,
    "first_token": first_token_rows,
    "massive_tokens": massive_rows,
}


def values_of(rows: Rows, column: str, **where: str) -> list[float]:
    return [row[column] for row in rows if all(row[name] == value for name, value in where.items())]
