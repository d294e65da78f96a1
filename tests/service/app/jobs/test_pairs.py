"""The checks of pairs at the end of a submission."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.errors import InvalidRequest
from app.jobs import store
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft, PostedText
from app.tables import Job, Text
from tests.support.jobs.jobs_by_hand import MODEL, OPTIONS

Sessions = sessionmaker[Session]
VALID: list[PostedText] = [("a", "1", "p"), ("b", "2", "p"), ("b", "3", "q"), ("c", "4")]
ONLY_ONCE = "A domain must contain each pair only once."


def submit(sessions: Sessions, texts: list[PostedText]) -> Job:
    with sessions.begin() as session:
        return store.submit(session, Draft(MODEL, options=OPTIONS), texts, ShardSize(100, 100))[0]


def test_valid_pairs_make_a_job_paired(sessions: Sessions) -> None:
    assert submit(sessions, VALID).options["paired"] is True
    assert "paired" not in submit(sessions, [("a", "1"), ("b", "2")]).options


@pytest.mark.parametrize(
    ("texts", "detail"),
    [
        ([("b", "4", "p")], f"Two texts of the domain b have the pair p. {ONLY_ONCE}"),
        (
            [("c", "4", "x\ny, (z)=1"), ("b", "5", "q"), ("c", "6", "x\ny, (z)=1")],
            f"Two texts of the domain b have the pair q. {ONLY_ONCE}",
        ),
        (
            [("c", "4", "x\ny, (z)=1"), ("c", "6", "x\ny, (z)=1")],
            f"Two texts of the domain c have the pair x\ny, (z)=1. {ONLY_ONCE}",
        ),
    ],
    ids=["one", "the first of several", "any characters"],
)
def test_a_repeated_pair_is_named(sessions: Sessions, texts: list[PostedText], detail: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        submit(sessions, VALID + texts)
    assert refused.value.detail == detail
    assert_nothing_kept(sessions)


def test_at_least_one_pair_must_span_two_domains(sessions: Sessions) -> None:
    with pytest.raises(InvalidRequest, match=r"^No pair spans two domains"):
        submit(sessions, [("a", "1", "p"), ("b", "2", "q"), ("c", "3")])
    assert_nothing_kept(sessions)


def test_pairs_of_another_job_do_not_matter(sessions: Sessions) -> None:
    assert submit(sessions, VALID).id != submit(sessions, VALID).id


def assert_nothing_kept(sessions: Sessions) -> None:
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0
        assert session.scalar(select(func.count()).select_from(Text)) == 0
