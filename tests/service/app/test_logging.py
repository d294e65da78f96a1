"""What a real API process logs: request and job in every line, never a text."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.access import keys
from app.local.listening import address_of, listen
from app.resources import ROOT
from app.settings import Settings
from app.tables import Job, KeyScope
from tests.support.http.keys import bearer
from tests.support.programs.processes import wait_for

Lines = Callable[[], list[dict[str, Any]]]
CANARY = "canary-93b1"


@pytest.fixture
def logging_api(settings: Settings, tmp_path: Path) -> Iterator[tuple[httpx.Client, Lines]]:
    log = tmp_path / "log"
    unreachable = {"LAYERSCOPE_REDIS_URL": "redis://127.0.0.1:1"}  # every notification fails: a warning
    environment = {
        **os.environ,
        **{"LAYERSCOPE_HOME": str(settings.home), "LAYERSCOPE_DATABASE_URL": settings.database_url or ""},
        **{"LAYERSCOPE_SWEEP_SECONDS": "3600", **unreachable},
    }
    with listen("127.0.0.1", 0) as listener, log.open("wb") as stderr:
        command = [sys.executable, "-P", "-m", "app.cli", "api", "--fd", str(listener.fileno())]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=stderr, pass_fds=(listener.fileno(),)
        )
        with httpx.Client(base_url=address_of(listener), timeout=60) as client:
            try:
                yield client, lambda: [json.loads(line) for line in log.read_text().splitlines()]
            finally:
                process.terminate()
                process.wait(30)


def test_lines_name_their_request_and_job_and_never_a_text(
    logging_api: tuple[httpx.Client, Lines], sessions: sessionmaker[Session]
) -> None:
    client, lines = logging_api
    answer = client.post(
        "/v1/jobs", json={"model": "demo", "texts": [CANARY]}, headers={"X-Request-Id": "submit-1"}
    )
    assert answer.status_code == 202
    job = answer.json()["id"]
    with sessions.begin() as session:  # the service fails at a job whose options it does not know
        session.get_one(Job, UUID(job)).options = {"unknown": 1}
    assert client.get(f"/v1/jobs/{job}", headers={"X-Request-Id": "read-1"}).status_code == 500
    wait_for(lambda: any(line.get("request") == "read-1" for line in lines()), 10)
    warned = [line for line in lines() if line.get("request") == "submit-1" and line["level"] == "warning"]
    (notification,) = [line for line in warned if "could not be notified" in line["event"]]
    assert notification["job"] == job
    (failed,) = [line for line in lines() if line.get("request") == "read-1"]
    assert (failed["level"], failed["job"]) == ("error", job)
    assert failed["exception"]
    assert CANARY not in json.dumps(lines())


INVALID_FORM = (
    b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Transfer-Encoding: %s\r\n\r\na\r\n--limitx"
)


def test_invalid_requests_do_not_fill_the_log(logging_api: tuple[httpx.Client, Lines]) -> None:
    client, lines = logging_api
    assert client.get("/v1/jobs", headers={"X-Request-Id": f"{CANARY} x"}).status_code == 200
    form = {"Content-Type": "multipart/form-data; boundary=limit"}
    for path in ("/v1/jobs", "/jobs/preview"):
        answer = client.post(path, content=INVALID_FORM % CANARY.encode(), headers=form)
        assert answer.status_code == 422
    assert client.post("/v1/jobs", content=b"{").status_code == 415
    assert client.get("/nothing").status_code == 404
    assert lines() == []


def audited(lines: list[dict[str, Any]]) -> list[tuple[str, str, str | None, str | None]]:
    found = [line for line in lines if line["logger"] == "audit"]
    return [(line["event"], line["owner"], line.get("key"), line.get("job")) for line in found]


def test_every_change_is_audited(
    logging_api: tuple[httpx.Client, Lines], sessions: sessionmaker[Session]
) -> None:
    client, lines = logging_api
    with sessions.begin() as session:
        key_id, key = keys.create(session, "alice", KeyScope.WRITE, None)
    client.headers.update(bearer(key))
    body = {"model": "demo", "texts": [CANARY]}
    for _ in range(2):  # the second one changes nothing
        job = client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "1"}).json()["id"]
    assert client.get("/v1/jobs").status_code == 200
    assert client.post("/v1/jobs", json=body | {"model": "absent"}).status_code == 422
    for status in (202, 409):
        assert client.post(f"/v1/jobs/{job}/cancel").status_code == status
    for status in (204, 404):
        assert client.delete(f"/v1/jobs/{job}").status_code == status
    for given in (key, "ls_unknown"):
        client.post("/session", data={"key": given})
    client.post("/session/end")
    client.post("/session/end")
    who = ("alice", str(key_id))
    assert audited(lines()) == [
        ("job submitted", *who, job),
        ("job cancelled", *who, job),
        ("job deleted", *who, job),
        ("signed in", *who, None),
        ("signed out", *who, None),
    ]
    assert not [secret for secret in (CANARY, key.removeprefix("ls_")) if secret in json.dumps(lines())]


def test_without_keys_changes_are_those_of_local(logging_api: tuple[httpx.Client, Lines]) -> None:
    client, lines = logging_api
    job = client.post("/v1/jobs", json={"model": "demo", "texts": [CANARY]}).json()["id"]
    assert audited(lines()) == [("job submitted", "local", None, job)]
