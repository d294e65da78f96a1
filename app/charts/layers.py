"""Charts of what layers write: profile, heat map, and components."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import collate, select
from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind, series_of
from app.charts.selection import Selection, in_selected_layers
from app.tables import Job, layer_profile
from layerscope.names import Component, Metric, Scope

MOST_LINES = 16


def layer_charts(session: Session, job: Job, selection: Selection) -> list[Chart]:
    rows = _rows(session, job, selection, selection.metric)
    domains = _by_domain([row for row in rows if row["component"] == selection.component], selection)
    if not domains:
        return []
    layers = tuple(row["layer"] for row in next(iter(domains.values())))
    series = tuple(_series(name, of_domain, selection.metric) for name, of_domain in domains.items())
    what = f"{selection.metric} of component {selection.component}, scope {selection.scope}"
    profile = Chart(
        "profile",
        "What each layer writes",
        f"{what}: the mean over texts with its 95 % confidence interval.",
        Kind.LINES,
        selection.unit,
        layers,
        series,
        "results.csv",
        "relative" if selection.is_of_plots else None,
    )
    heat_map = Chart(
        "heatmap",
        "Layers and domains",
        f"{what}, as a colour.",
        Kind.MAP,
        selection.unit,
        layers,
        series,
        "results.csv",
        "heatmap" if selection.is_of_plots else None,
        same_as="profile",
        has_table=False,
    )
    return [profile, *([heat_map] if len(series) > 1 else []), *_components(session, job, selection)]


def _components(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """What attention and MLP write, for each domain, if the job has both."""
    both = (Component.ATTENTION, Component.MLP)
    if not set(both) <= set(job.options["components"]):
        return []
    rows = _rows(session, job, selection, Metric.DELTA_RMS)
    parts = {
        component: _by_domain([row for row in rows if row["component"] == component], selection)
        for component in both
    }
    domains = list(parts[Component.ATTENTION])[: MOST_LINES // 2]
    if not domains:
        return []
    series = tuple(
        _series(f"{name}, {component}", parts[component][name], Metric.DELTA_RMS)
        for name in domains
        for component in both
    )
    return [
        Chart(
            "components",
            "Attention and MLP",
            f"{Metric.DELTA_RMS} of each component, scope {selection.scope}: the mean over texts with its "
            "95 % confidence interval.",
            Kind.LINES,
            "activation",
            tuple(row["layer"] for row in parts[Component.ATTENTION][domains[0]]),
            series,
            "results.csv",
            "components" if selection.scope == Scope.TYPICAL else None,
        )
    ]


def _rows(session: Session, job: Job, selection: Selection, metric: Metric) -> Sequence[dict[str, Any]]:
    columns = layer_profile.c
    names = ["domain", "component", "layer", "texts", *(metric + end for end in ("", "_ci_low", "_ci_high"))]
    statement = (
        select(*(columns[name] for name in names))
        .where(
            in_selected_layers(layer_profile, job, selection),
            columns.scope == selection.scope,
            columns.domain.in_(selection.domains),
        )
        .order_by(collate(columns.domain, "C"), columns.layer)
    )
    return [dict(row) for row in session.execute(statement).mappings()]


def _by_domain(rows: Iterable[dict[str, Any]], selection: Selection) -> dict[str, list[dict[str, Any]]]:
    """The rows of each domain, in the order of the selection."""
    found = {name: list(of_domain) for name, of_domain in groupby(rows, key=lambda row: row["domain"])}
    return {name: found[name] for name in selection.domains if name in found}


def _series(name: str, rows: Sequence[dict[str, Any]], metric: Metric) -> ChartSeries:
    return series_of(name, rows, metric, str(max(row["texts"] for row in rows)))
