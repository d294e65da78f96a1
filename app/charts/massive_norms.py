"""The chart of the massive tokens: their share of the squared norms in each layer."""

from itertools import groupby

from sqlalchemy import collate, select
from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind
from app.charts.selection import Selection, in_selected_layers
from app.tables import Job, massive_tokens


def massive_charts(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """None for jobs without scope `typical`."""
    columns = massive_tokens.c
    rows = session.execute(
        select(columns.domain, columns.layer, columns.texts, columns.massive, columns.norm_share)
        .where(
            in_selected_layers(massive_tokens, job, selection),
            columns.domain.in_(selection.domains),
        )
        .order_by(collate(columns.domain, "C"), columns.layer)
    )
    found = {name: list(of_domain) for name, of_domain in groupby(rows, key=lambda row: row.domain)}
    domains = {name: found[name] for name in selection.domains if name in found}
    if not domains:
        return []
    return [
        Chart(
            "massive",
            "Massive tokens",
            "The share of the massive tokens in the sum of the squared norms of the residual that enters "
            "each layer (norm_share). Scope typical leaves these tokens out.",
            Kind.LINES,
            "share",
            tuple(row.layer for row in next(iter(domains.values()))),
            tuple(
                ChartSeries(name, str(of_domain[0].texts), tuple(row.norm_share for row in of_domain))
                for name, of_domain in domains.items()
            ),
            "massive_tokens.csv",
            "massive",
        )
    ]
