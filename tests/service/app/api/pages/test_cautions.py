"""What the page of a job says about its texts next to its answer."""

import html
import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.tables import StoredProfile, Text, massive_tokens, text_lengths
from app.text_views.cautions import LEAST_OVERLAP, DomainLengths, overlap
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import MODEL, claim, commit, submit
from tests.support.jobs.lognormal_job import lognormal_job
from worker.finalization.finalize import finalize_jobs

Sessions = sessionmaker[Session]
CAUTION = re.compile(r"<li>(.*?)</li>")


def cautions(api: httpx.Client, job_id: UUID) -> list[str]:
    page = api.get(f"/jobs/{job_id}").text
    box = re.search(r'id="cautions">(.*?)</div>', page, re.DOTALL)
    return [html.unescape(found) for found in CAUTION.findall(box[1])] if box else []


def job_of(sessions: Sessions, lengths: dict[str, list[int]], truncated: int = 0) -> UUID:
    """A finished job whose texts have so many tokens; the first `truncated` of each domain were cut."""
    job_id = submit(sessions, [(name, "x") for name, of in lengths.items() for _ in of], texts_per_shard=999)
    claimed = claim(sessions)
    assert claimed is not None
    commit(sessions, claimed)
    tokens = [(count, place) for of in lengths.values() for place, count in enumerate(of)]
    with sessions.begin() as session:
        for ordinal, (count, place) in enumerate(tokens):
            row = (StoredProfile.job_id == job_id) & (StoredProfile.ordinal == ordinal)
            values: dict[str, Any] = {"tokens": count, "truncated": place < truncated}
            session.execute(update(StoredProfile).where(row).values(values))
    finalize_jobs(sessions, MODEL)
    return job_id


def test_the_lengths_are_the_middle_of_those_that_were_measured(sessions: Sessions) -> None:
    job_id = job_of(sessions, {"b": list(range(1, 101)), "a": [7]}, truncated=3)
    with sessions() as session:
        rows = {row.domain: DomainLengths(*row[1:]) for row in session.execute(select(text_lengths))}
        tokens = func.percentile_disc(0.1).within_group(StoredProfile.tokens)
        of_b = (Text.job_id == job_id) & (Text.ordinal == StoredProfile.ordinal) & (Text.domain == "b")
        assert session.scalar(select(tokens).join(Text, of_b)) == rows["b"].low
    assert rows == {"b": DomainLengths("b", 100, 3, 10, 90), "a": DomainLengths("a", 1, 1, 7, 7)}


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        ((10, 19), (10, 19), 1),
        ((10, 19), (15, 24), 0.5),
        ((10, 19), (20, 29), 0),
        ((10, 19), (100, 200), 0),
        ((10, 19), (1, 1000), 1),
        ((10, 10), (10, 10), 1),
        ((10, 19), (18, 1000), 0.2),
    ],
)
def test_the_overlap_is_a_share_of_the_shorter_range(
    first: tuple[int, int], second: tuple[int, int], share: float
) -> None:
    a, b = DomainLengths("a", 9, 0, *first), DomainLengths("b", 9, 0, *second)
    assert overlap(a, b) == overlap(b, a) == pytest.approx(share)


def test_lengths_that_hardly_overlap_are_named_in_the_submitted_order(
    api: httpx.Client, sessions: Sessions
) -> None:
    job_id = job_of(sessions, {"b": [*range(10, 20)] * 2, "a": [*range(1000, 1020)], "c": [*range(5, 20)]})
    (found,) = [caution for caution in cautions(api, job_id) if "hardly overlap" in caution]
    assert "b 10 to 18 tokens and a 1,001 to 1,017 tokens; a 1,001 to 1,017 tokens and c 6 to 18" in found
    assert "b 10 to 18 tokens and c" not in found
    assert overlap(DomainLengths("b", 20, 0, 10, 18), DomainLengths("c", 15, 0, 6, 18)) > LEAST_OVERLAP


def test_many_pairs_are_counted(api: httpx.Client, sessions: Sessions) -> None:
    job_id = job_of(sessions, {name: [10**place] * 8 for place, name in enumerate("abcd")})
    assert "and 3 more pairs" in cautions(api, job_id)[-1]


def test_truncated_texts_are_counted(api: httpx.Client, sessions: Sessions) -> None:
    job_id = job_of(sessions, {"a": [9] * 8, "b": [9] * 8}, truncated=2)
    (found,) = cautions(api, job_id)
    assert found.startswith("Texts were truncated: 2 of 8 in a, 2 of 8 in b.")
    assert f'href="/jobs/{job_id}/texts?only=truncated"' in found


def test_massive_tokens_after_the_first_are_counted(api: httpx.Client, sessions: Sessions) -> None:
    job_id = job_of(sessions, {"a": [9] * 8, "b": [9] * 8})
    assert cautions(api, job_id) == []
    later = update(massive_tokens).where(massive_tokens.c.domain == "b").values(massive=11)
    with sessions.begin() as session:
        session.execute(later)
    (found,) = cautions(api, job_id)
    assert found.startswith("Massive tokens after the first token: 3 in b. Scope rest contains them")
    assert f'href="/jobs/{job_id}/texts?only=massive"' in found


def test_few_and_failed_texts_are_named(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"b": 9, "c": 3}, failing=(0,))
    _lengths, failed = cautions(api, job_id)
    assert "fewer than 8 texts in c (3)" in api.get(f"/jobs/{job_id}").text
    assert failed.startswith("1 text could not be measured")


def test_domains_with_few_texts_are_named_once_with_their_whole_names(
    api: httpx.Client, sessions: Sessions
) -> None:
    job_id = job_of(sessions, {"a-name-that-is-long": [9] * 5, "b": [9] * 8, "c": [9] * 7}, truncated=1)
    page = api.get(f"/jobs/{job_id}").text
    assert (
        "fewer than 8 texts in a-name-that-is-long (5) and c (7). Their intervals assume normal values."
    ) in page
    assert "Fewer than 8" not in page
    (truncated,) = cautions(api, job_id)
    assert truncated.startswith("Texts were truncated")
    (warning,) = api.get(f"/v1/jobs/{job_id}").json()["warnings"]
    assert warning.startswith("Fewer than 8 texts: a-name-that… has 5, c has 7.")


@pytest.mark.parametrize("failing", [(), (1,)])
def test_without_a_sentence_the_warning_is_shown_once(
    api: httpx.Client, sessions: Sessions, failing: tuple[int, ...]
) -> None:
    texts = [("a", "x")] * (1 + len(failing))
    job_id = finished_job(sessions, texts, failing=failing, scopes=("all", "rest", "first")).id
    page = api.get(f"/jobs/{job_id}").text
    assert page.count("Fewer than 8 texts: a has 1") == 1
    assert "with care" not in page


def test_a_job_of_an_earlier_version_has_no_lengths(api: httpx.Client, sessions: Sessions) -> None:
    job_id = job_of(sessions, {"a": [9] * 8, "b": [900] * 8})
    assert len(cautions(api, job_id)) == 1
    with sessions.begin() as session:
        session.execute(delete(text_lengths))
    assert cautions(api, job_id) == []


def test_a_job_without_a_measured_text_has_no_numbers(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 2}, failing=(0, 1))
    page = api.get(f"/jobs/{job_id}").text
    assert "There are none: no text was measured." in page
    assert "They support no sentence" not in page
