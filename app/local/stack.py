"""The whole service on one machine: servers, migrations, the API and its workers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.access import keys
from app.db import make_engine, make_sessions
from app.errors import ConfigurationError
from app.jobs import notifications, reports
from app.local.commands import api_command, openmp_waiting, worker_command
from app.local.listening import address_of, is_ready, listen
from app.local.migrations import migrate_database
from app.local.servers import running_servers
from app.local.stop_signals import ignore_stop_signals, pause
from app.local.supervisor import Child, Command, Supervisor
from app.models import read_models, require_model
from app.resources import model_list_files, model_list_location
from app.settings import Settings
from layerscope.addresses import is_loopback

READY_SECONDS = 60.0
STARTING_SECONDS = 60  # of a worker, on a busy machine
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Stack:
    """`settings` have the addresses of both servers."""

    base_url: str
    supervisor: Supervisor
    settings: Settings
    models: Sequence[str]  # of the workers, in the order of their processes
    log: Path | None

    @property
    def workers(self) -> Sequence[tuple[str, Child]]:
        _, *workers = self.supervisor.children
        return list(zip(self.models, workers, strict=True))

    def wait_until_ready(self) -> None:
        """Raises: ConfigurationError if the API ends, or is not ready in time."""
        api = self.supervisor.children[0]
        give_up = time.monotonic() + READY_SECONDS
        while not is_ready(self.base_url):
            if not api.is_alive():
                raise ConfigurationError(f"The API ended before it was ready. {self._messages()}")
            if time.monotonic() > give_up:
                raise ConfigurationError(
                    f"The API was not ready within {READY_SECONDS:g} s. {self._messages()} Run it alone with "
                    "`layerscope api`."
                )
            pause(POLL_SECONDS)

    def _messages(self) -> str:
        return "Its messages are above." if self.log is None else f"Its messages are in {self.log}."

    def supervise(self) -> NoReturn:
        """Restart what ends, until a stop signal."""
        while True:
            self.supervisor.check()
            pause(POLL_SECONDS)


@contextmanager
def connected(settings: Settings, *, shared: bool = True) -> Iterator[tuple[Settings, tuple[Child, ...]]]:
    """The settings with the addresses of both servers, and the embedded servers that this process started.

    `shared`: the embedded servers may be those of another process.
    """
    if uses_embedded_servers(settings):
        with running_servers(settings.home, shared=shared) as running:
            addresses = {"database_url": running.database_url, "redis_url": running.redis_url}
            yield settings.model_copy(update=addresses), running.children
    elif settings.database_url is None or settings.redis_url is None:
        raise ConfigurationError(
            "Set both LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL, or neither for the embedded servers."
        )
    else:
        yield settings, ()


def uses_embedded_servers(settings: Settings) -> bool:
    return settings.database_url is None and settings.redis_url is None


@contextmanager
def running_stack(
    settings: Settings,
    host: str,
    port: int,
    workers: int,
    models: Sequence[str],
    *,
    keys_needed: bool = True,
    shared: bool = True,
    log: Path | None = None,
) -> Iterator[Stack]:
    """The API on `host` and `port`, and `workers` worker processes for each model.

    `keys_needed`: other machines may reach the API only if a key exists. `shared`: see `connected`. `log` is
    a file for the messages of the processes; None: they go where those of this process go.

    Raises: ConfigurationError.
    """
    check_host(settings, host, keys_needed)
    names = chosen_models(settings, models)
    with listen(host, port) as listener, connected(settings, shared=shared) as (complete, embedded):
        migrate_database(complete)
        check_keys(complete, host, keys_needed)
        base_url = address_of(listener)
        _announce_workers(complete, names)
        waiting = openmp_waiting(len(names) * workers)
        commands = [api_command(complete, listener)]
        of_workers = [name for name in names for _ in range(workers)]
        commands += [worker_command(complete, name, waiting, place) for place, name in enumerate(of_workers)]
        with Supervisor(logged_to(log, commands), watched=embedded) as supervisor:
            try:
                yield Stack(base_url, supervisor, complete, of_workers, log)
            finally:
                ignore_stop_signals()


def _announce_workers(settings: Settings, models: Sequence[str]) -> None:
    """A worker needs seconds before it can report that it loads its model. Until then, the service must not
    say that the model has no worker."""
    assert settings.redis_url is not None  # `connected` has set it
    with suppress(RedisError), notifications.connect(settings.redis_url) as redis:
        for model in models:
            reports.write_loading(redis, model, STARTING_SECONDS)


def logged_to(log: Path | None, commands: Sequence[Command]) -> Sequence[Command]:
    """The commands with their output in a file, which replaces that of an earlier run."""
    if log is None:
        return commands
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.old"))
    return [replace(command, log=log) for command in commands]


def check_host(settings: Settings, host: str, keys_needed: bool) -> None:
    """What `check_keys` would find in embedded servers that do not exist yet, without starting them.

    Raises: ConfigurationError.
    """
    is_new = uses_embedded_servers(settings) and not settings.home.exists()
    if is_new and keys_needed and not is_loopback(host):
        raise _without_keys(host)


def check_keys(settings: Settings, host: str, keys_needed: bool) -> None:
    """Other machines may reach the API only if a key exists, or if `keys_needed` is False.

    Raises: ConfigurationError.
    """
    if not keys_needed or is_loopback(host):
        return
    assert settings.database_url is not None  # `connected` has set it
    engine = make_engine(settings.database_url)
    try:
        with make_sessions(engine).begin() as session:
            exist = keys.exist(session)
    except SQLAlchemyError as error:
        reason = str(error.args[0]).splitlines()[0]
        raise ConfigurationError(f"The keys cannot be read from the database: {reason}") from error
    finally:
        engine.dispose()
    if not exist:
        raise _without_keys(host)


def _without_keys(host: str) -> ConfigurationError:
    return ConfigurationError(
        f"{host} can be reached from other machines, and no key exists: create one with "
        "`layerscope keys create --owner NAME --scope write`, or use 127.0.0.1, or allow everything to "
        "everyone with --insecure-no-keys."
    )


def chosen_models(settings: Settings, wanted: Sequence[str]) -> list[str]:
    """The wanted models, or the first of the model list. Raises: ConfigurationError."""
    listed = list(read_models(*model_list_files(settings.models)))
    for name in wanted:
        require_model(name, listed, model_list_location(settings.models))
    return list(dict.fromkeys(wanted)) or listed[:1]
