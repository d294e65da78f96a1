"""A page of a job's texts, searched and filtered in the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.db import set_for_transaction
from app.tables import StoredProfile, Text

TEXTS_PER_PAGE = 50
EXCERPT_CHARACTERS = 160
SEARCH_LIMIT = "10s"  # for one statement: a search may have to read a million texts


class Only(StrEnum):
    """Which texts are listed."""

    FAILED = "failed"
    TRUNCATED = "truncated"
    MASSIVE = "massive"  # with massive tokens after the first token


@dataclass(frozen=True)
class TextFilter:
    """`after`: the ordinal before the first text of the page; -1 for the first page."""

    search: str = ""
    domain: str | None = None
    only: Only | None = None
    after: int = -1


@dataclass(frozen=True)
class ListedText:
    """`massive`: the number of massive tokens, or None if it is not known."""

    ordinal: int
    domain: str
    excerpt: str
    tokens: int | None
    truncated: bool
    massive: int | None
    error: str | None


@dataclass(frozen=True)
class TextPage:
    """`after` is that of the next page, or None after the last one."""

    texts: Sequence[ListedText]
    after: int | None


def read_text_page(session: Session, job_id: UUID, wanted: TextFilter) -> TextPage:
    """Raises: sqlalchemy.exc.OperationalError if a search takes too long."""
    set_for_transaction(session, "statement_timeout", SEARCH_LIMIT)
    profile = StoredProfile
    statement = (
        select(
            *(Text.ordinal, Text.domain, func.left(Text.text, EXCERPT_CHARACTERS + 1).label("excerpt")),
            func.coalesce(profile.error, Text.error).label("error"),
            *(profile.tokens, profile.truncated, profile.massive),
        )
        .outerjoin(profile, (profile.job_id == Text.job_id) & (profile.ordinal == Text.ordinal))
        .where(Text.job_id == job_id, Text.ordinal > wanted.after, *_conditions(wanted))
        .order_by(Text.ordinal)
        .limit(TEXTS_PER_PAGE + 1)
    )
    rows = session.execute(statement).all()
    shown = [_listed(row) for row in rows[:TEXTS_PER_PAGE]]
    return TextPage(shown, shown[-1].ordinal if len(rows) > TEXTS_PER_PAGE else None)


def _conditions(wanted: TextFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.search:
        yield Text.text.icontains(wanted.search, autoescape=True)
    if wanted.domain is not None:
        yield Text.domain == wanted.domain
    match wanted.only:
        case Only.FAILED:
            yield StoredProfile.error.is_not(None)
        case Only.TRUNCATED:
            yield StoredProfile.truncated.is_(True)
        case Only.MASSIVE:
            yield func.cardinality(func.array_remove(StoredProfile.massive, 0)) > 0


def _listed(row: Any) -> ListedText:
    cut = len(row.excerpt) > EXCERPT_CHARACTERS
    return ListedText(
        row.ordinal,
        row.domain,
        row.excerpt[:EXCERPT_CHARACTERS] + ("…" if cut else ""),
        None if row.error else row.tokens,
        bool(row.truncated),
        None if row.massive is None else len(row.massive),
        row.error,
    )
