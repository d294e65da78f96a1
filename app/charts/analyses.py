"""Charts of the sampled analyses: the cost of skipping a layer, importance, and the logit lens."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import collate, select
from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind, series_of
from app.charts.selection import Selection, in_selected_layers
from app.tables import Job, layer_profile
from layerscope.names import Analysis, AnalysisMetric, Component, Metric, Scope

ENDS = ("", "_ci_low", "_ci_high")
MEASURED = (AnalysisMetric.ABLATION_NLL, AnalysisMetric.LENS_KL)


def analysis_charts(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """Those of the analyses that the job has."""
    if not set(job.analyses) & {Analysis.ABLATION, Analysis.LOGIT_LENS}:
        return []
    domains = _by_domain(_rows(session, job, selection), selection)
    if not domains:
        return []
    layers = tuple(row["layer"] for row in next(iter(domains.values())))
    charts = []
    if Analysis.ABLATION in job.analyses:
        charts += [_ablation(layers, domains), *_importance(session, job, selection, layers, domains)]
    if Analysis.LOGIT_LENS in job.analyses:
        charts.append(_lens(layers, domains))
    return charts


def _ablation(layers: tuple[int, ...], domains: dict[str, list[dict[str, Any]]]) -> Chart:
    return Chart(
        "ablation",
        "What skipping a layer costs",
        "Increase of the loss if the layer is skipped (ablation_nll): the mean over the ablated texts with "
        "its 95 % confidence interval.",
        Kind.LINES,
        "nats per token",
        layers,
        _all(domains, AnalysisMetric.ABLATION_NLL),
        "results.csv",
        "ablation",
    )


def _lens(layers: tuple[int, ...], domains: dict[str, list[dict[str, Any]]]) -> Chart:
    return Chart(
        "lens",
        "Logit lens",
        "How far the prediction after each layer is from the final one (lens_kl): the mean over the analysed "
        "texts with its 95 % confidence interval.",
        Kind.LINES,
        "nats",
        layers,
        _all(domains, AnalysisMetric.LENS_KL),
        "results.csv",
        "lens",
    )


def _importance(
    session: Session,
    job: Job,
    selection: Selection,
    layers: tuple[int, ...],
    domains: dict[str, list[dict[str, Any]]],
) -> list[Chart]:
    """What layers write against what skipping them costs, in the first selected domain."""
    name, costs = next(iter(domains.items()))
    columns = layer_profile.c
    written = session.execute(
        select(*(columns[Metric.RELATIVE_NORM + end] for end in ENDS), columns.texts)
        .where(
            columns.job_id == job.id,
            columns.domain == name,
            columns.component == Component.BLOCK,
            columns.scope == selection.scope,
            columns.layer.in_(layers),
        )
        .order_by(columns.layer)
    ).mappings()
    rows = [dict(row) for row in written]
    if len(rows) != len(layers):
        return []
    return [
        Chart(
            "importance",
            f"What layers write and what skipping them costs: {name}",
            f"Across: {Metric.RELATIVE_NORM}, scope {selection.scope}, on a logarithmic scale. Upwards: the "
            "increase of the loss if the layer is skipped, in nats per token. Each point is a layer.",
            Kind.POINTS,
            "",
            layers,
            (
                series_of(Metric.RELATIVE_NORM, rows, Metric.RELATIVE_NORM, str(rows[0]["texts"])),
                _series(AnalysisMetric.ABLATION_NLL, costs, AnalysisMetric.ABLATION_NLL),
            ),
            "results.csv",
            "importance",
        )
    ]


def _rows(session: Session, job: Job, selection: Selection) -> Sequence[dict[str, Any]]:
    columns = layer_profile.c
    names = ["domain", "layer", "analysis_texts", *(metric + end for metric in MEASURED for end in ENDS)]
    statement = (
        select(*(columns[name] for name in names))
        .where(
            in_selected_layers(layer_profile, job, selection),
            columns.scope == Scope.ALL,
            columns.component == Component.BLOCK,
            columns.domain.in_(selection.domains),
        )
        .order_by(collate(columns.domain, "C"), columns.layer)
    )
    return [dict(row) for row in session.execute(statement).mappings()]


def _by_domain(rows: Sequence[dict[str, Any]], selection: Selection) -> dict[str, list[dict[str, Any]]]:
    found = {name: [row for row in rows if row["domain"] == name] for name in selection.domains}
    return {name: of_domain for name, of_domain in found.items() if of_domain}


def _all(domains: dict[str, list[dict[str, Any]]], metric: AnalysisMetric) -> tuple[ChartSeries, ...]:
    return tuple(_series(name, rows, metric) for name, rows in domains.items())


def _series(name: str, rows: Sequence[dict[str, Any]], metric: AnalysisMetric) -> ChartSeries:
    return series_of(name, rows, metric, str(rows[0]["analysis_texts"]))
