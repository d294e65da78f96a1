"""What a reviewer would ask about the texts of a finished job, from its stored statistics."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.tables import Job, massive_tokens, text_lengths
from layerscope.conclusions import more
from layerscope.names import POOLED_DOMAIN

LEAST_OVERLAP = 0.25
SHOWN = 3
MIDDLE = "the middle 80 %"


class Caution(NamedTuple):
    """A sentence. `only`: the filter of the list of texts that shows the texts in question."""

    text: str
    only: str | None = None


class DomainLengths(NamedTuple):
    """Of the texts of a domain, in tokens: the ends of the middle 80 %."""

    domain: str
    texts: int
    truncated: int
    low: int
    high: int


def cautions(session: Session, job: Job, domains: Sequence[str]) -> list[Caution]:
    """About lengths that hardly overlap, truncated texts and massive tokens, in the order of the domains.

    Jobs that were finished by an earlier version have no lengths.
    """
    columns = (text_lengths.c[name] for name in DomainLengths._fields)
    rows = session.execute(select(*columns).where(text_lengths.c.job_id == job.id))
    found = sorted((DomainLengths(*row) for row in rows), key=lambda row: domains.index(row.domain))
    return [*_of_lengths(found), *_of_truncation(found), *_of_massive_tokens(session, job, domains)]


def overlap(first: DomainLengths, second: DomainLengths) -> float:
    """The share of the shorter range of lengths that lies in the other range. Both ends belong to a range.

    Ranges are the middle 80 % of the lengths: from the 10th to the 90th percentile.
    """
    common = min(first.high, second.high) - max(first.low, second.low) + 1
    shorter = min(first.high - first.low, second.high - second.low) + 1
    return max(0, common) / shorter


def _of_lengths(rows: Sequence[DomainLengths]) -> Iterator[Caution]:
    apart = [pair for pair in combinations(rows, 2) if overlap(*pair) < LEAST_OVERLAP]
    if not apart:
        return
    shown = "; ".join(f"{_range(a)} and {_range(b)}" for a, b in apart[:SHOWN])
    yield Caution(
        f"The lengths of the texts hardly overlap, so that domain and length cannot be told apart: {shown} "
        f"({MIDDLE}){_more(apart, 'pair')}. The option window gives all texts the same length."
    )


def _range(row: DomainLengths) -> str:
    return f"{row.domain} {row.low:,} to {row.high:,} tokens"


def _of_truncation(rows: Sequence[DomainLengths]) -> Iterator[Caution]:
    cut = [row for row in rows if row.truncated]
    if cut:
        shown = ", ".join(f"{row.truncated:,} of {row.texts:,} in {row.domain}" for row in cut[:SHOWN])
        yield Caution(f"Texts were truncated: {shown}{_more(cut, 'domain')}.", "truncated")


def _of_massive_tokens(session: Session, job: Job, domains: Sequence[str]) -> Iterator[Caution]:
    columns = massive_tokens.c
    later = (columns.massive - columns.massive_first).label("later")
    of_job = (columns.job_id == job.id, columns.domain != POOLED_DOMAIN)
    first_layer = select(func.min(columns.layer)).where(*of_job).scalar_subquery()
    statement = select(columns.domain, later).where(*of_job, columns.layer == first_layer, later > 0)
    rows = sorted(session.execute(statement), key=lambda row: domains.index(row.domain))
    if rows:
        shown = ", ".join(f"{row.later:,} in {row.domain}" for row in rows[:SHOWN])
        yield Caution(
            f"Massive tokens after the first token: {shown}{_more(rows, 'domain')}. Scope rest contains "
            "them, scope typical does not.",
            "massive",
        )


def _more(items: Sequence[object], what: str) -> str:
    return f" and {more(len(items) - SHOWN, what)}" if len(items) > SHOWN else ""
