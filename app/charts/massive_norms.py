"""The chart of the massive tokens: their share of the squared norms in each layer."""

from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind
from app.charts.selection import Selection
from app.files.massive_tokens import massive_tokens_rows
from app.tables import Job


def massive_charts(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """None for jobs without scope `typical`."""
    domains = selection.by_domain(massive_tokens_rows(session, job))
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
            tuple(row["layer"] for row in next(iter(domains.values()))),
            tuple(
                ChartSeries(name, str(of_domain[0]["texts"]), tuple(row["norm_share"] for row in of_domain))
                for name, of_domain in domains.items()
            ),
            "massive_tokens.csv",
            "massive",
        )
    ]
