"""Real servers from wheels: kept data, shut doors, and clear words where they cannot start."""

import os
import socket
import subprocess
from itertools import cycle
from pathlib import Path

import psycopg
import pytest
from redis import AuthenticationError, Redis
from sqlalchemy import make_url

from app.local import embedded, programs
from app.local.embedded import Servers, servers
from app.local.programs import EmbeddedServerError, ping
from app.local.supervisor import Child, Command, Supervisor
from tests.support.memory import remember, remembered
from tests.support.processes import wait_for


def setting(running: Servers, name: str) -> str:
    with psycopg.connect(running.database_url) as connection:
        row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    assert row
    return str(row[0])


def test_both_are_real_and_durable(embedded_servers: Servers) -> None:
    assert int(setting(embedded_servers, "server_version_num")) >= 18_00_00
    assert (setting(embedded_servers, "fsync"), setting(embedded_servers, "synchronous_commit")) == (
        "on",
        "on",
    )
    with psycopg.connect(embedded_servers.database_url) as connection:
        query = "select datlocale, upper('ä') from pg_database where datname = current_database()"
        assert connection.execute(query).fetchone() == ("C.UTF-8", "Ä")
    with Redis.from_url(embedded_servers.redis_url) as client:
        wanted = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_only_this_machine_and_only_with_the_password(embedded_servers: Servers) -> None:
    assert setting(embedded_servers, "listen_addresses") == "127.0.0.1"
    assert setting(embedded_servers, "unix_socket_directories") == ""
    without = make_url(embedded_servers.database_url).set(password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(without.render_as_string(hide_password=False))
    with Redis.from_url(embedded_servers.redis_url) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"
    with (
        pytest.raises(AuthenticationError),
        Redis(port=int(make_url(embedded_servers.redis_url).port or 0)) as stranger,
    ):
        stranger.ping()


def test_password_is_in_private_files_and_in_no_command_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with servers(home) as running:
        password = (home / "password").read_text()
        assert password in running.database_url
        assert password in running.redis_url
        assert password not in repr([child.process.args for child in running.children])
        modes = {file.name: file.stat().st_mode & 0o777 for file in (home, *home.iterdir())}
        assert modes["password"] == modes["servers.json"] == 0o600
        assert modes["home"] == modes["postgres"] == modes["valkey"] == 0o700
    assert not (home / "servers.json").exists()
    assert all(password not in log.read_text() for log in (home / "logs").iterdir())


def test_a_failing_statement_leaves_no_text_in_the_log(tmp_path: Path) -> None:
    with servers(tmp_path) as running, psycopg.connect(running.database_url, autocommit=True) as connection:
        connection.execute("create table text (text text check (length(text) < 3))")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("insert into text values ('canary-17')")
    log = (tmp_path / "logs" / "postgres.log").read_text()
    assert "violates check constraint" in log
    assert "canary-17" not in log


def test_data_are_kept_and_addresses_are_not_needed_again(tmp_path: Path) -> None:
    with servers(tmp_path) as first:
        remember(first, "one")
        assert all(child.is_alive() for child in first.children)
    assert [child.process.returncode for child in first.children] == [0, 0]
    with servers(tmp_path) as second:
        assert remembered(second) == (["one"], ["one"])


def test_after_a_restart_a_server_has_its_address_and_data_again(tmp_path: Path) -> None:
    with servers(tmp_path) as running:
        remember(running, "one")
        with Redis.from_url(running.redis_url) as client:
            client.waitaof(1, 0, timeout=10_000)  # Valkey writes its journal out every second
        for child in running.children:
            child.process.kill()
            child.process.wait()
        wait_for(lambda: kept_running(running.children) and embedded._both_answer(running), 60)
        assert remembered(running) == (["one"], ["one"])


def kept_running(children: tuple[Child, ...]) -> bool:
    """PostgreSQL refuses to start for as long as a session of the killed one is still there."""
    for child in children:
        child.check()
    return all(child.is_alive() for child in children)


def test_a_server_that_takes_connections_and_says_nothing_is_given_up_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "START_SECONDS", 0)
    with (
        Supervisor([Command("valkey", ("sleep", "60"))]) as silent,
        socket.create_server(("127.0.0.1", 0)) as s,
    ):
        url = f"redis://127.0.0.1:{s.getsockname()[1]}"
        with pytest.raises(EmbeddedServerError, match="valkey server has not answered"):
            embedded._wait_for_answer(silent.children[0], ping, url)


def test_number_of_a_process_that_is_another_by_now_is_left_alone(tmp_path: Path) -> None:
    with servers(tmp_path):
        pass
    stranger = subprocess.Popen(("sleep", "60"))
    (tmp_path / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n{tmp_path}/postgres\n0\n0\n\n\n")
    try:
        with servers(tmp_path) as running:
            remember(running, "one")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_port_taken_meanwhile_is_not_the_end(
    tmp_path: Path, embedded_servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = int(make_url(embedded_servers.redis_url).port or 0)
    attempts = cycle([lambda: taken, embedded._free_port])
    monkeypatch.setattr(servers, "_free_port", lambda: next(attempts)())
    with servers(tmp_path) as running:
        assert embedded._both_answer(running)


def test_a_half_made_data_folder_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres.new" / "base").mkdir(parents=True)
    with servers(tmp_path) as running:
        remember(running, "one")
    assert not (tmp_path / "postgres.new").exists()


def test_a_failing_start_tells_what_the_server_said_and_leaves_nothing(tmp_path: Path) -> None:
    with servers(tmp_path):
        pass
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EmbeddedServerError, match=r"incompatible with server"), servers(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(EmbeddedServerError, match="set LAYERSCOPE_HOME to another"),
        servers(tmp_path / "file"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a namespace")
def test_root_without_namespaces_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "AS_NOBODY", ("false",))
    with pytest.raises(EmbeddedServerError, match="run as an ordinary user, or set LAYERSCOPE_DATABASE_URL"):
        programs.create_postgres(tmp_path, "password")
