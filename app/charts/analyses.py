"""Charts of the sampled analyses: the cost of skipping a layer, importance, and the logit lens."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind, series_of
from app.charts.selection import Selection
from app.files.results import layer_rows
from app.files.rows import Row
from app.tables import Job
from layerscope.names import MEAN_AND_INTERVAL, Analysis, AnalysisMetric, Component, Metric, Scope

MEASURED = (AnalysisMetric.ABLATION_NLL, AnalysisMetric.LENS_KL)


def analysis_charts(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """Those of the analyses that the job has."""
    if not set(job.analyses) & {Analysis.ABLATION, Analysis.LOGIT_LENS}:
        return []
    columns = ("domain", "layer", "analysis_texts", *_statistics(*MEASURED))
    rows = layer_rows(session, job, columns, scope=Scope.ALL, component=Component.BLOCK)
    domains = selection.by_domain(rows)
    if not domains:
        return []
    layers = tuple(row["layer"] for row in next(iter(domains.values())))
    charts = []
    if Analysis.ABLATION in job.analyses:
        charts += [_ablation(layers, domains), *_importance(session, job, selection, domains)]
    if Analysis.LOGIT_LENS in job.analyses:
        charts.append(_lens(layers, domains))
    return charts


def _ablation(layers: tuple[int, ...], domains: dict[str, list[Row]]) -> Chart:
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


def _lens(layers: tuple[int, ...], domains: dict[str, list[Row]]) -> Chart:
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
    session: Session, job: Job, selection: Selection, domains: dict[str, list[Row]]
) -> Iterator[Chart]:
    """What layers write against what skipping them costs, in the first selected domain that has both."""
    columns = ("domain", "layer", "texts", *_statistics(Metric.RELATIVE_NORM))
    only = {"scope": selection.scope, "component": Component.BLOCK}
    for name, costs in domains.items():
        rows = list(filter(selection.includes, layer_rows(session, job, columns, domain=name, **only)))
        if len(rows) == len(costs) and (chart := _points(name, rows, costs, selection)).has_values:
            yield chart
            return


def _points(name: str, rows: Sequence[Row], costs: Sequence[Row], selection: Selection) -> Chart:
    return Chart(
        "importance",
        f"What layers write and what skipping them costs: {name}",
        f"Across: {Metric.RELATIVE_NORM}, scope {selection.scope}. Upwards: the increase of the loss if "
        "the layer is skipped, in nats per token. Each point is a layer; a triangle is one outside the "
        "axes, with its values.",
        Kind.POINTS,
        "",
        tuple(row["layer"] for row in rows),
        (
            series_of(Metric.RELATIVE_NORM, rows, Metric.RELATIVE_NORM, str(rows[0]["texts"])),
            _series(AnalysisMetric.ABLATION_NLL, costs, AnalysisMetric.ABLATION_NLL),
        ),
        "results.csv",
        "importance",
    )


def _all(domains: dict[str, list[Row]], metric: AnalysisMetric) -> tuple[ChartSeries, ...]:
    return tuple(_series(name, rows, metric) for name, rows in domains.items())


def _series(name: str, rows: Sequence[Row], metric: AnalysisMetric) -> ChartSeries:
    return series_of(name, rows, metric, str(rows[0]["analysis_texts"]))


def _statistics(*metrics: Metric | AnalysisMetric) -> Iterator[str]:
    return (metric + end for metric in metrics for end in MEAN_AND_INTERVAL)
