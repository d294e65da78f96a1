"""What comparing the domains of a job reads from the database, and writes to it."""

from array import array
from collections.abc import Iterable

import numpy as np
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from app.tables import Job, StoredProfile, Text
from layerscope.names import COMPARISON_COUNTS, COMPARISON_KEY, COMPARISON_STATISTICS
from worker.finalization.compare_domains import Comparison, comparison_rows
from worker.finalization.compared_texts import DomainTexts

ROWS_AT_A_TIME = 1024


def texts_by_domain(session: Session, job: Job) -> dict[str, DomainTexts]:
    """All texts of each domain of the job."""
    measured = case((StoredProfile.error.is_(None), StoredProfile.tokens))
    statement = (
        select(
            Text.domain,
            Text.ordinal,
            _place(session, job).label("place"),
            func.coalesce(measured, 0).label("tokens"),
        )
        .outerjoin(
            StoredProfile, (StoredProfile.job_id == Text.job_id) & (StoredProfile.ordinal == Text.ordinal)
        )
        .where(Text.job_id == job.id)
        .order_by(Text.ordinal)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    columns: dict[str, tuple[array[int], array[int], array[int]]] = {}
    for domain, *row in session.execute(statement):
        of_domain = columns.setdefault(domain, (array("q"), array("q"), array("q")))
        for column, value in zip(of_domain, row, strict=True):
            column.append(value)
    return {
        domain: DomainTexts(np.array(ordinals), np.array(places), np.array(tokens, np.float64))
        for domain, (ordinals, places, tokens) in columns.items()
    }


def _place(session: Session, job: Job) -> ColumnElement[int]:
    """The place of a text: its position in its domain or, if texts have pairs, that of its pair in the job.

    A text without a pair then has a unique negative place.
    """
    pairs = select(Text.pair).where(Text.job_id == job.id, Text.pair.is_not(None))
    if not job.options.get("paired") or not session.scalar(select(pairs.exists())):
        return func.row_number().over(partition_by=Text.domain, order_by=Text.ordinal) - 1
    among_pairs = func.dense_rank().over(order_by=Text.pair.collate("C")) - 1
    return case((Text.pair.is_not(None), among_pairs), else_=-1 - Text.ordinal)


def write_comparisons(session: Session, job: Job, comparisons: Iterable[Comparison]) -> None:
    rows = (row for comparison in comparisons for row in comparison_rows(comparison))
    connection = session.connection().connection.driver_connection
    assert connection is not None
    columns = ", ".join(("job_id", *COMPARISON_KEY, *COMPARISON_COUNTS, *COMPARISON_STATISTICS))
    with connection.cursor().copy(f"copy comparison ({columns}) from stdin") as copy:
        for row in rows:
            copy.write_row((job.id, *row))
