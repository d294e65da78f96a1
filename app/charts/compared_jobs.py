"""Several jobs in one chart: the same metric of each, by layer or by relative depth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind, series_of
from app.charts.comparability import Axis, ComparedJob, different_layers, obstacle_of, remarks
from app.charts.selection import Selection
from app.files.results import layer_rows
from app.files.rows import Row
from layerscope.names import MEAN_AND_INTERVAL, POOLED_DOMAIN

MOST_LINES = 16
NO_NUMBERS = "Job {} has no such numbers: no text has a token in this scope, or no text could be measured."

RowsOfJob = dict[str, list[Row]]  # the rows of each domain, in the order of the layers


@dataclass(frozen=True)
class JobComparison:
    """What the page shows. `obstacles`: why jobs, or all of them, are not in the chart, which may be None."""

    chart: Chart | None
    obstacles: list[str]
    remarks: list[str]
    domains: Sequence[str]  # that are shown
    choices: Sequence[str]  # all domains
    axis: Axis
    by_depth: str | None = None  # the address of the comparison by relative depth, which is possible


def compare_jobs(
    session: Session, jobs: Sequence[ComparedJob], selection: Selection, axis: Axis | None
) -> JobComparison:
    """`axis` None: by layer, or by relative depth if the models have different numbers of layers."""
    found = {each.letter: obstacle_of(each, selection) for each in jobs}
    rows = {each.letter: _rows(session, each, selection) for each in jobs if not found[each.letter]}
    found |= {letter: NO_NUMBERS.format(letter) for letter, of_job in rows.items() if not of_job}
    usable = [each for each in jobs if not found[each.letter]]
    obstacles = [reason for reason in found.values() if reason]
    differ = different_layers(usable)
    axis = axis or (Axis.DEPTH if differ else Axis.LAYER)
    choices = sorted(dict.fromkeys(name for of_job in rows.values() for name in of_job), key=_is_pooled)
    domains = _domains(selection, [rows[compared.letter] for compared in usable])
    if len(usable) < 2:
        obstacles.append("A comparison needs two jobs with these numbers.")
    elif differ and axis == Axis.LAYER:
        by_depth = "/compare?" + address_of(jobs, selection, domains, Axis.DEPTH)
        return JobComparison(None, [*obstacles, differ], [], domains, choices, axis, by_depth)
    else:
        chart = _chart(usable, rows, domains, selection, axis)
        return JobComparison(chart, obstacles, remarks(session, usable, selection), domains, choices, axis)
    return JobComparison(None, obstacles, [], domains, choices, axis)


def _is_pooled(domain: str) -> bool:
    return domain == POOLED_DOMAIN


def _rows(session: Session, compared: ComparedJob, selection: Selection) -> RowsOfJob:
    columns = ("domain", "layer", "texts", *(selection.metric + end for end in MEAN_AND_INTERVAL))
    found: RowsOfJob = {name: [] for name in (*compared.state.domains, POOLED_DOMAIN)}
    for row in layer_rows(
        session, compared.job, columns, scope=selection.scope, component=selection.component
    ):
        found[row["domain"]].append(row)
    return {name: rows for name, rows in found.items() if rows}


def _domains(selection: Selection, jobs: Sequence[RowsOfJob]) -> list[str]:
    """The selected domains; without a selection those that all jobs have, or else all of them."""
    names = list(dict.fromkeys(name for rows in jobs for name in rows))
    if selected := [name for name in names if name in selection.domains]:
        return selected
    own = [name for name in names if name != POOLED_DOMAIN]
    common = [name for name in own if all(name in rows for rows in jobs)]
    return (common or own)[: max(1, MOST_LINES // max(1, len(jobs)))]


def _chart(
    jobs: Sequence[ComparedJob],
    rows: Mapping[str, RowsOfJob],
    domains: Sequence[str],
    selection: Selection,
    axis: Axis,
) -> Chart:
    lines = [
        (compared, name, rows[compared.letter][name])
        for name in domains
        for compared in jobs
        if name in rows[compared.letter]
    ]
    hidden = len(lines) - MOST_LINES
    more = f" Not drawn: {hidden} more, which are in compare.csv. Select fewer domains." if hidden > 0 else ""
    by = "layer" if axis == Axis.LAYER else "relative depth (0: the first layer, 1: the last)"
    return Chart(
        "compared",
        "The jobs by layer" if axis == Axis.LAYER else "The jobs by relative depth",
        f"{selection.metric} of component {selection.component}, scope {selection.scope}, by {by}: the mean "
        f"over texts with its 95 % confidence interval.{more}",
        Kind.LINES,
        selection.unit,
        tuple(range(max(compared.layers for compared, *_ in lines))),
        tuple(
            _series(compared, name, of_domain, selection, axis)
            for compared, name, of_domain in lines[:MOST_LINES]
        ),
        "compare.csv?" + address_of(jobs, selection, domains, axis),
    )


def _series(
    compared: ComparedJob, domain: str, rows: Sequence[Row], selection: Selection, axis: Axis
) -> ChartSeries:
    what = "all texts" if domain == POOLED_DOMAIN else domain
    texts = str(max(row["texts"] for row in rows))
    at = tuple(depth_of(row["layer"], compared.layers) for row in rows) if axis == Axis.DEPTH else ()
    return series_of(f"{compared.letter}, {what}", rows, selection.metric, texts, at)


def depth_of(layer: int, layers: int) -> float:
    """0 for the first layer, 1 for the last."""
    return layer / (layers - 1) if layers > 1 else 0.0


def address_of(jobs: Sequence[ComparedJob], selection: Selection, domains: Sequence[str], axis: Axis) -> str:
    """The query of this comparison."""
    shown = {"metric": selection.metric, "scope": selection.scope, "component": selection.component}
    ids = [str(compared.state.id) for compared in jobs]
    return urlencode({"job": ids, **shown, "domain": domains, "axis": axis}, doseq=True)


def csv_rows(session: Session, jobs: Sequence[ComparedJob], selection: Selection) -> Iterator[Row]:
    """A row for each job, domain and layer. Jobs without these numbers have none."""
    for compared in jobs:
        if obstacle_of(compared, selection):
            continue
        rows = _rows(session, compared, selection)
        for domain in selection.domains or rows:
            for row in rows.get(domain, ()):
                yield {
                    "job": str(compared.state.id),
                    "name": compared.state.name,
                    "model": compared.state.model.name,
                    "domain": domain,
                    "scope": selection.scope.value,
                    "component": selection.component.value,
                    "layer": row["layer"],
                    "depth": depth_of(row["layer"], compared.layers),
                    "texts": row["texts"],
                    **{selection.metric + end: row[selection.metric + end] for end in MEAN_AND_INTERVAL},
                }


def csv_columns(selection: Selection) -> tuple[str, ...]:
    key = ("job", "name", "model", "domain", "scope", "component", "layer", "depth", "texts")
    return (*key, *(selection.metric + end for end in MEAN_AND_INTERVAL))
