"""The chart of the differences between domains: Hedges' g of each pair in each layer."""

from dataclasses import replace

from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind
from app.charts.selection import Selection
from app.files.comparison import COMPARISON
from app.files.rows import Row, read_rows
from app.tables import Job
from layerscope.names import LARGEST_Q

DETAILED_PAIRS = 28  # of 8 domains; more intervals would make the page large. A selection has them
COLUMNS = (
    *("domain_a", "domain_b", "layer", "texts_a", "texts_b"),
    *("hedges_g", "g_ci_low", "g_ci_high", "q_value"),
)


def difference_charts(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """None where no difference is known: with one domain, or one text in each."""
    source = replace(COMPARISON, columns=COLUMNS)
    selected = {"metric": selection.metric, "scope": selection.scope, "component": selection.component}
    rows = read_rows(session, job, source, **selected)
    pairs: dict[tuple[str, str], list[Row]] = {}
    for row in filter(selection.includes, rows):
        pairs.setdefault((row["domain_a"], row["domain_b"]), []).append(row)
    if all(row["hedges_g"] is None for rows in pairs.values() for row in rows):
        return []
    return [
        Chart(
            "effect",
            "Differences between the domains",
            f"Hedges' g of {selection.metric}, component {selection.component}, scope {selection.scope}. "
            "Above 0, the first domain of the pair has the larger mean. Differences with "
            f"q ≥ {LARGEST_Q} (Benjamini and Hochberg, over all layers and pairs) have no colour.",
            Kind.DIVERGING_MAP if len(pairs) > 1 else Kind.LINES,
            "standard deviations",
            tuple(row["layer"] for row in next(iter(pairs.values()))),
            tuple(
                _series(f"{a} − {b}", rows, intervals=len(pairs) <= DETAILED_PAIRS)
                for (a, b), rows in pairs.items()
            ),
            "comparison.csv",
            "effect" if selection.is_of_plots else None,
            has_table=len(pairs) <= DETAILED_PAIRS,
        )
    ]


def _series(name: str, rows: list[Row], *, intervals: bool) -> ChartSeries:
    return ChartSeries(
        name,
        f"{max(row['texts_a'] for row in rows)} and {max(row['texts_b'] for row in rows)}",
        tuple(row["hedges_g"] for row in rows),
        tuple(row["g_ci_low"] for row in rows) if intervals else (),
        tuple(row["g_ci_high"] for row in rows) if intervals else (),
        tuple(row["q_value"] is None or row["q_value"] >= LARGEST_Q for row in rows),
    )
