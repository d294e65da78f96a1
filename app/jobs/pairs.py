"""Checks of the pairs of a new job. Only the database has seen all of them, so it finds the errors."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import InvalidRequest
from app.tables import Text


def check_pairs(session: Session, job_id: UUID) -> None:
    """A domain contains each pair only once, and at least one pair spans two domains.

    Raises: InvalidRequest.
    """
    with_pair = (Text.job_id == job_id, Text.pair.is_not(None))
    repeated = (
        select(Text.domain, Text.pair)
        .where(*with_pair)
        .group_by(Text.domain, Text.pair)
        .having(func.count() > 1)
        .order_by(func.min(Text.ordinal))
        .limit(1)
    )
    for domain, pair in session.execute(repeated):
        raise InvalidRequest(
            f"Two texts of the domain {domain} have the pair {pair}."
            " A domain must contain each pair only once."
        )
    spanning = select(Text.pair).where(*with_pair).group_by(Text.pair).having(func.count() > 1)
    if not session.scalar(select(spanning.exists())):
        raise InvalidRequest("No pair spans two domains, so there is nothing to compare in pairs.")
