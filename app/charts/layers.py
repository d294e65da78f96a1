"""Charts of what layers write: profile, heat map, and components."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind, series_of
from app.charts.selection import Selection
from app.files.results import layer_rows
from app.files.rows import Row
from app.tables import Job
from layerscope.names import MEAN_AND_INTERVAL, Component, Metric, Scope

MOST_LINES = 16


def layer_charts(session: Session, job: Job, selection: Selection) -> list[Chart]:
    domains = _by_domain(session, job, selection, selection.component, selection.metric)
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
    heat_map = replace(
        profile,
        name="heatmap",
        title="Layers and domains",
        about=f"{what}, as a colour.",
        kind=Kind.MAP,
        plot="heatmap" if selection.is_of_plots else None,
        same_as=profile.name,
        has_table=False,
    )
    return [profile, *([heat_map] if len(series) > 1 else []), *_components(session, job, selection)]


def _components(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """What attention and MLP write, for each domain, if the job has both."""
    both = (Component.ATTENTION, Component.MLP)
    if not set(both) <= set(job.options["components"]):
        return []
    parts = {
        component: _by_domain(session, job, selection, component, Metric.DELTA_RMS) for component in both
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


def _by_domain(
    session: Session, job: Job, selection: Selection, component: Component, metric: Metric
) -> dict[str, list[Row]]:
    columns = ("domain", "layer", "texts", *(metric + end for end in MEAN_AND_INTERVAL))
    rows = layer_rows(session, job, columns, scope=selection.scope, component=component)
    return selection.by_domain(rows)


def _series(name: str, rows: Sequence[Row], metric: Metric) -> ChartSeries:
    return series_of(name, rows, metric, str(max(row["texts"] for row in rows)))
