"""The whole product on one machine: servers, migrations, the API and its workers, and the way out."""

import http.client
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from app.db import migrate
from app.errors import ConfigurationError
from app.local.embedded import servers
from app.local.supervisor import Child, Command, Supervisor, ignore_stop_signals
from app.models import read_models, require_model
from app.resources import IS_CLONE, ROOT, model_list_files, model_list_location
from app.settings import Settings

READY_SECONDS = 60.0
POLL_SECONDS = 0.1

# OpenMP's threads spin while they wait for each other, by default for milliseconds. On a machine shared with
# others the one waited for may not be running: the sample texts then took four times as long. Threads that
# sleep at once have to be woken for every product: up to twice the time where nothing else runs. A thousand
# turns bridge the gap between two products and no more; workers that share a machine don't spin at all.
SPIN_BRIEFLY = {"GOMP_SPINCOUNT": "1000"}
SLEEP_AT_ONCE = {"OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Stack:
    base_url: str
    supervisor: Supervisor

    def wait_until_ready(self) -> None:
        api = self.supervisor.children[0]
        give_up = time.monotonic() + READY_SECONDS
        while not is_ready(self.base_url):
            if not api.is_alive():
                raise ConfigurationError("The API ended before it was ready; what it said stands above.")
            if time.monotonic() > give_up:
                raise ConfigurationError(f"The API was not ready within {READY_SECONDS:g} s.")
            time.sleep(POLL_SECONDS)

    def keep_up(self) -> NoReturn:
        while True:
            self.supervisor.check()
            time.sleep(POLL_SECONDS)


@contextmanager
def connected(settings: Settings) -> Iterator[tuple[Settings, tuple[Child, ...]]]:
    """The settings with both servers' addresses, and the embedded servers if it took them."""
    if is_embedded(settings):
        with servers(settings.home) as running:
            addresses = {"database_url": running.database_url, "redis_url": running.redis_url}
            yield settings.model_copy(update=addresses), running.children
    elif settings.database_url is None or settings.redis_url is None:
        raise ConfigurationError(
            "Set both LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL, or neither for the embedded servers."
        )
    else:
        yield settings, ()


def is_embedded(settings: Settings) -> bool:
    return settings.database_url is None and settings.redis_url is None


@contextmanager
def running_stack(
    settings: Settings, host: str, port: int, workers: int, models: Sequence[str]
) -> Iterator[Stack]:
    """The API on `host` and `port` and so many workers for each model, started again when they end."""
    refuse_strangers(settings, host)
    names = chosen_models(settings, models)
    with listen(host, port) as listener, connected(settings) as (reachable, embedded):
        bring_up_to_date(reachable)
        commands = [api_command(reachable, listener)]
        waiting = SPIN_BRIEFLY if len(names) * workers == 1 else SLEEP_AT_ONCE
        commands += [worker_command(reachable, name, waiting) for name in names for _ in range(workers)]
        with Supervisor(commands, watched=embedded) as supervisor:
            try:
                yield Stack(address_of(listener), supervisor)
            finally:
                ignore_stop_signals()


def refuse_strangers(settings: Settings, host: str) -> None:
    """The embedded default asks nobody for a key, so nobody else may reach it."""
    if is_embedded(settings) and not _is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached from other machines, and the embedded default asks for no key: "
            "keep to 127.0.0.1, or set LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def chosen_models(settings: Settings, wanted: Sequence[str]) -> list[str]:
    """The wanted models, or the first of the file."""
    listed = list(read_models(*model_list_files(settings.models)))
    for name in wanted:
        require_model(name, listed, model_list_location(settings.models))
    return list(dict.fromkeys(wanted)) or listed[:1]


def listen(host: str, port: int) -> socket.socket:
    """Bound once and handed to every API process: a restart keeps the port, and waiting callers wait."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, address[1]), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"Cannot listen on {host} port {port}: {error}; try another --port."
        ) from error


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_ready(base_url: str) -> bool:
    connection = http.client.HTTPConnection(base_url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def bring_up_to_date(settings: Settings) -> None:
    if settings.database_url is None:
        raise AssertionError("migrations need an address")
    try:
        migrate(settings.database_url)
    except (SQLAlchemyError, CommandError) as error:
        reason = str(error.args[0]).splitlines()[0]
        raise ConfigurationError(f"The database cannot be migrated: {reason}") from error


def api_command(settings: Settings, listener: socket.socket) -> Command:
    descriptor = listener.fileno()
    return Command(
        name="API",
        arguments=(*module("app.cli"), "api", "--fd", str(descriptor)),
        environment=environment(settings),
        pass_fds=(descriptor,),
    )


def worker_command(settings: Settings, model: str, waiting: dict[str, str]) -> Command:
    return Command(
        name=f"worker of {model}",
        arguments=(*module("worker"), "--model", model),
        environment={**waiting, **environment(settings)},
    )


def module(name: str) -> tuple[str, ...]:
    """Run one of our modules, whatever lies in the folder that we were called from."""
    return (sys.executable, "-P", "-m", name)


def environment(settings: Settings) -> dict[str, str]:
    """Of the child processes. In a clone they import our packages even if the clone is not installed."""
    packages = [str(ROOT)] if IS_CLONE else []
    paths = [*packages, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {}),
        "LAYERSCOPE_DATABASE_URL": settings.database_url or "",
        "LAYERSCOPE_REDIS_URL": settings.redis_url or "",
    }
