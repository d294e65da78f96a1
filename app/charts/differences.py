"""The chart of the differences between domains: Hedges' g of each pair in each layer."""

from typing import Any

from sqlalchemy import collate, select
from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind
from app.charts.selection import Selection, in_selected_layers
from app.tables import Job, comparison

SIGNIFICANT = 0.05  # the largest q
DETAILED_PAIRS = 28  # of 8 domains; more intervals would make the page large. A selection has them
COLUMNS = (
    *("domain_a", "domain_b", "layer", "texts_a", "texts_b"),
    *("hedges_g", "g_ci_low", "g_ci_high", "q_value"),
)


def difference_charts(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """None for jobs of one domain."""
    pairs: dict[tuple[str, str], list[Any]] = {}
    for row in session.execute(_statement(job, selection)):
        pairs.setdefault((row.domain_a, row.domain_b), []).append(row)
    if not pairs:
        return []
    return [
        Chart(
            "effect",
            "Differences between the domains",
            f"Hedges' g of {selection.metric}, component {selection.component}, scope {selection.scope}. "
            "Above 0, the first domain of the pair has the larger mean. Differences with "
            f"q ≥ {SIGNIFICANT} (Benjamini and Hochberg, over all layers and pairs) have no colour.",
            Kind.DIVERGING_MAP if len(pairs) > 1 else Kind.LINES,
            "standard deviations",
            tuple(row.layer for row in next(iter(pairs.values()))),
            tuple(
                _series(f"{a} − {b}", rows, intervals=len(pairs) <= DETAILED_PAIRS)
                for (a, b), rows in pairs.items()
            ),
            "comparison.csv",
            "effect" if selection.is_of_plots else None,
            has_table=len(pairs) <= DETAILED_PAIRS,
        )
    ]


def _statement(job: Job, selection: Selection) -> Any:
    columns = comparison.c
    return (
        select(*(columns[name] for name in COLUMNS))
        .where(
            in_selected_layers(comparison, job, selection),
            columns.metric == selection.metric,
            columns.scope == selection.scope,
            columns.component == selection.component,
            columns.domain_a.in_(selection.domains),
            columns.domain_b.in_(selection.domains),
        )
        .order_by(collate(columns.domain_a, "C"), collate(columns.domain_b, "C"), columns.layer)
    )


def _series(name: str, rows: list[Any], *, intervals: bool) -> ChartSeries:
    return ChartSeries(
        name,
        f"{max(row.texts_a for row in rows)} and {max(row.texts_b for row in rows)}",
        tuple(row.hedges_g for row in rows),
        tuple(row.g_ci_low for row in rows) if intervals else (),
        tuple(row.g_ci_high for row in rows) if intervals else (),
        tuple(row.q_value is None or row.q_value >= SIGNIFICANT for row in rows),
    )
