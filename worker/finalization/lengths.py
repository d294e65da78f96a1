"""How long the texts of each domain are: what a reader must know before comparing domains."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.tables import Job, StoredProfile, Text

LOW, HIGH = 0.1, 0.9  # the middle 80 %


def length_rows(session: Session, job: Job) -> list[dict[str, Any]]:
    """The rows of `text_lengths`, of the texts that were measured."""
    profile = StoredProfile
    statement = (
        select(
            Text.domain,
            func.count().label("texts"),
            func.count().filter(profile.truncated).label("truncated"),
            func.percentile_disc(LOW).within_group(profile.tokens).label("low"),
            func.percentile_disc(HIGH).within_group(profile.tokens).label("high"),
        )
        .join(Text, (Text.job_id == profile.job_id) & (Text.ordinal == profile.ordinal))
        .where(profile.job_id == job.id, profile.values.is_not(None))
        .group_by(Text.domain)
    )
    return [{"job_id": job.id, **row._mapping} for row in session.execute(statement)]
