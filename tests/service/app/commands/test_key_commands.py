"""The commands `layerscope keys`, on a real database."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from uuid import uuid4

import psutil
import pytest
from sqlalchemy.orm import Session, sessionmaker
from typer.testing import CliRunner, Result

from app.access import keys
from app.cli import cli
from app.errors import KeyNotFound
from app.resources import ROOT
from app.tables import ApiKey
from tests.support.audit_lines import audit_lines

Layerscope = Callable[..., Result]
CREATE = ("create", "--owner", "alice", "--scope", "write")


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {"LAYERSCOPE_DATABASE_URL": database_url, "LAYERSCOPE_REDIS_URL": redis_url}


@pytest.fixture
def layerscope(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Layerscope:
    monkeypatch.setattr("app.logs.configure", lambda: None)  # it would change the log of the other tests
    return lambda *arguments: CliRunner().invoke(cli, ["keys", *arguments], env=environment)


def created(layerscope: Layerscope, *more: str) -> str:
    answer = layerscope(*CREATE, *more)
    assert answer.exit_code == 0, answer.output
    return answer.stdout.strip()


def test_a_key_is_printed_once_and_works(layerscope: Layerscope, sessions: sessionmaker[Session]) -> None:
    answer = layerscope(*CREATE)
    key = answer.stdout.strip()
    assert key.startswith("ls_")
    assert key not in answer.stderr
    with sessions.begin() as session:
        principal = keys.find(session, key)
    assert principal is not None
    assert (principal.owner, principal.scope) == ("alice", "write")
    assert str(principal.key_id) in answer.stderr
    assert key not in layerscope("list").output
    assert str(principal.key_id) in layerscope("list").stdout


@pytest.mark.parametrize(("given", "hours"), [("90m", 1.5), ("12h", 12), ("30d", 720)])
def test_a_key_expires_after_the_given_time(
    layerscope: Layerscope, sessions: sessionmaker[Session], given: str, hours: float
) -> None:
    created(layerscope, "--expires", given)
    with sessions.begin() as session:
        (key,) = keys.listed(session)
    assert key.expires_at is not None
    assert abs((key.expires_at - key.created_at).total_seconds() - hours * 3600) < 1


def test_the_list_is_a_table_or_json(layerscope: Layerscope) -> None:
    created(layerscope)
    created(layerscope, "--expires", "30d")
    head, *rows = layerscope("list").stdout.splitlines()
    assert head.split() == ["id", "owner", "scope", "created_at", "expires_at", "revoked_at"]
    assert [len(row.split()) for row in rows] == [4, 5]
    listed = json.loads(layerscope("list", "--json").stdout)
    assert [key["owner"] for key in listed] == ["alice", "alice"]
    assert [key["expires_at"] is None for key in listed] == [True, False]
    assert list(listed[0]) == head.split()


def test_a_revoked_key_does_not_work(layerscope: Layerscope, sessions: sessionmaker[Session]) -> None:
    key = created(layerscope)
    (listed,) = json.loads(layerscope("list", "--json").stdout)
    assert layerscope("revoke", listed["id"]).exit_code == 0
    with sessions.begin() as session:
        assert keys.find(session, key) is None
    assert json.loads(layerscope("list", "--json").stdout)[0]["revoked_at"] is not None


def test_revoking_an_absent_key_is_an_error(layerscope: Layerscope) -> None:
    answer = layerscope("revoke", str(uuid4()))
    assert isinstance(answer.exception, KeyNotFound)


def test_changes_of_keys_are_audited(layerscope: Layerscope) -> None:
    with audit_lines() as lines:
        created(layerscope)
        (listed,) = json.loads(layerscope("list", "--json").stdout)
        for _ in range(2):  # the second time, it changes nothing
            assert layerscope("revoke", listed["id"]).exit_code == 0
        layerscope("revoke", str(uuid4()))
    about = {"account": psutil.Process().username(), "owner": "alice", "key": listed["id"]}
    assert lines == [("key created", about), ("key revoked", about)]


def test_the_audit_line_is_written_to_stderr_and_has_no_key(environment: dict[str, str]) -> None:
    command = (sys.executable, "-P", "-m", "app.cli", "keys", *CREATE)
    variables = {**os.environ, **environment, "LOGNAME": "somebody-else"}
    answer = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    line, *note = answer.stderr.splitlines()
    written = json.loads(line)
    assert (written["logger"], written["event"], written["owner"]) == ("audit", "key created", "alice")
    assert written["account"] == psutil.Process().username()
    assert written["key"] in note[0]
    assert answer.stdout.strip().startswith("ls_")
    assert answer.stdout.strip().removeprefix("ls_") not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("create", "--owner", "a b", "--scope", "read"), "--owner"),
        (("create", "--owner", "", "--scope", "read"), "--owner"),
        (("create", "--owner", "alice", "--scope", "root"), "--scope"),
        ((*CREATE, "--expires", "30"), "--expires"),
        ((*CREATE, "--expires", "0d"), "--expires"),
        ((*CREATE, "--expires", "-1d"), "--expires"),
        (("revoke", "x"), "ID"),
    ],
)
def test_wrong_use_names_the_place_and_creates_nothing(
    layerscope: Layerscope, sessions: sessionmaker[Session], arguments: tuple[str, ...], place: str
) -> None:
    answer = layerscope(*arguments)
    assert answer.exit_code == 2
    assert place in answer.stderr
    with sessions.begin() as session:
        assert session.query(ApiKey).count() == 0
