"""Polls that arrive while the database is read share the next read."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from uuid import uuid4

import httpx
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from tests.support.databases.counting import statements
from tests.support.http.over_http import submit

Sessions = sessionmaker[Session]
POLLS = 20


def blocked(sessions: Sessions, stack: ExitStack) -> Session:
    """A transaction that no poll can pass until it ends."""
    session = stack.enter_context(sessions())
    session.execute(text("lock table job in access exclusive mode"))
    return session


def polls(api: httpx.Client, pool: ThreadPoolExecutor, *paths: str) -> list[Future[httpx.Response]]:
    found = [pool.submit(api.get, paths[i % len(paths)]) for i in range(POLLS)]
    time.sleep(0.5)  # the first one is being read, the others wait
    return found


def test_they_share_one_read(api: httpx.Client, sessions: Sessions) -> None:
    paths = [f"/v1/jobs/{submit(api)['id']}" for _ in range(3)]
    absent = f"/v1/jobs/{uuid4()}"
    with ExitStack() as stack, statements(Engine) as executed:
        session = blocked(sessions, stack)
        waiting = polls(api, stack.enter_context(ThreadPoolExecutor(POLLS)), *paths, absent)
        session.rollback()
        answers = [poll.result() for poll in waiting]
    assert {answer.status_code for answer in answers} == {200, 404}
    for answer in answers:
        if answer.status_code == 200:
            assert answer.url.path.endswith(answer.json()["id"])
    assert 1 <= len([statement for statement in executed if "FROM job" in statement]) <= 2


def test_no_poll_gets_a_state_from_before_it_arrived(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(lambda: [api.get(path) for _ in range(10)]) for _ in range(8)]
        assert api.post(f"{path}/cancel").status_code == 202
        assert api.get(path).json()["status"] == "cancelled"
        assert all(answer.status_code == 200 for other in others for answer in other.result())
