"""The field `texts_of` of a form measures the texts of an earlier job again."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from app.jobs.store import PostedText, StoredText
from app.settings import Settings
from app.tables import Job, Text
from tests.support.http.keys import client_with, new_key
from tests.support.jobs.jobs_by_hand import submit
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]
TEXTS: Sequence[PostedText] = (
    ("b", 'é "</script>\n'),
    StoredText("a", "[5,0]", "p", "token_ids"),
    StoredText("b", '[{"role":"user","content":"é <s>"}]', "p", "messages"),
    StoredText("a", "x", None, None),
)


def again(api: httpx.Client, job_id: object, **fields: str) -> httpx.Response:
    files = {"file": ("", b"")}
    return api.post("/v1/jobs", data={"model": "demo", "texts_of": str(job_id)} | fields, files=files)


def texts_of(sessions: Sessions, job_id: object) -> list[tuple[Any, ...]]:
    with sessions() as session:
        columns = Text.ordinal, Text.domain, Text.text, Text.pair, Text.form
        found = session.execute(select(*columns).where(Text.job_id == job_id).order_by(Text.ordinal))
        return [tuple(row) for row in found]


def test_the_texts_are_those_of_the_job_in_their_order(api: httpx.Client, sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    answer = again(api, job_id, window="4", name="again")
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["name"], job["options"]["window"], job["progress"]["texts"]) == ("again", 4, len(TEXTS))
    assert texts_of(sessions, job["id"]) == texts_of(sessions, job_id)


def test_a_text_that_was_invalid_fails_again(api: httpx.Client, sessions: Sessions) -> None:
    job_id = submit(sessions, [StoredText("a", "", error="is empty"), ("a", "x")])
    repeated = again(api, job_id).json()["id"]
    with sessions() as session:
        errors = session.scalars(select(Text.error).where(Text.job_id == repeated).order_by(Text.ordinal))
        first, second = errors.all()
    assert first
    assert second is None


def test_options_are_checked_against_the_texts(api: httpx.Client, sessions: Sessions) -> None:
    job_id = submit(sessions, [("a", "x"), ("b", "y"), ("b", "z")])
    answer = again(api, job_id, paired="true")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?paired")


@pytest.mark.parametrize("job_id", ["x", "01a21874-1023-78fa-9d97-3c1a27667768"])
def test_a_job_that_does_not_exist_has_no_texts(api: httpx.Client, sessions: Sessions, job_id: str) -> None:
    answer = again(api, job_id)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?texts_of")
    with sessions() as session:
        assert session.scalars(select(Job)).all() == []


def test_texts_are_sent_or_repeated_but_not_both(api: httpx.Client, sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    assert "Choose one of them" in again(api, job_id, pasted="x").json()["detail"]
    fields = {"model": "demo", "texts_of": str(job_id)}
    both = api.post("/v1/jobs", data=fields, files={"file": ("a.txt", b"x")})
    assert (both.status_code, "Choose one of them" in both.json()["detail"]) == (422, True)


def test_repeated_texts_have_no_preview(api: httpx.Client, sessions: Sessions) -> None:
    fields = {"model": "demo", "texts_of": str(submit(sessions, TEXTS))}
    answer = api.post("/jobs/preview", data=fields, files={"file": ("", b"")})
    assert (answer.status_code, "no preview" in answer.json()["detail"]) == (422, True)


def test_an_idempotency_key_repeats_the_request(api: httpx.Client, sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    request = {"data": {"model": "demo", "texts_of": str(job_id)}, "files": {"file": ("", b"")}}
    first, second = (api.post("/v1/jobs", headers={"Idempotency-Key": "k"}, **request) for _ in range(2))  # type: ignore[arg-type]
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]


def test_the_texts_of_another_owner_are_absent(settings: Settings, sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS, owner="bob")
    with (
        serving(settings.model_copy(update={"sweep_seconds": 3600})) as url,
        client_with(url, new_key(sessions, "alice")) as alice,
        client_with(url, new_key(sessions, "bob")) as bob,
    ):
        assert again(alice, job_id).status_code == 422
        assert again(bob, job_id).status_code == 202
    with sessions.begin() as session:
        session.execute(delete(Job))
