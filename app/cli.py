"""The command `layerscope`. Slow imports are in the functions that need them, to keep `--help` fast."""

import gc
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.corpus_command import corpus
from app.commands.exit import run_as_command
from app.commands.key_commands import keys_cli
from app.commands.model_commands import add_model
from app.commands.profile_command import profile
from app.doctor.command import doctor
from app.local.stop_signals import Stop
from app.local.supervisor import report, run_to_end
from layerscope.cli.verbs import add_verbs
from layerscope.cli.verbs.model_list import models_cli

if TYPE_CHECKING:
    from app.settings import Settings

cli = typer.Typer(
    help="Measure how much each layer of a language model changes the residual stream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"layerscope {version('layerscope')}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
]
HostOption = Annotated[str, typer.Option(help="Address on which the API listens.")]
PortOption = Annotated[
    int, typer.Option(help="Port on which the API listens. 0 selects a free port.", min=0, max=65535)
]
NoKeysOption = Annotated[
    bool,
    typer.Option(
        "--insecure-no-keys",
        help="Let other machines use the service even if no key exists.",
    ),
]
WorkersOption = Annotated[int, typer.Option(help="Number of worker processes for each model.", min=1)]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER|HUB_ID",
        help="A model of the model list, a folder, or a hub id. May be repeated. Default: the first model of "
        "the list.",
    ),
]


cli.command("profile")(profile)
cli.command("corpus")(corpus)
add_verbs(cli)
models_cli.command("add")(add_model)
cli.command("doctor")(doctor)
cli.add_typer(keys_cli, name="keys")


@cli.callback()
def options(context: typer.Context, version: VersionOption = False) -> None:
    context.obj = read_settings  # for the commands of other modules


@cli.command()
def up(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    workers: WorkersOption = 1,
    model: ModelsOption = None,
    insecure_no_keys: NoKeysOption = False,
) -> None:
    """Run the whole service on this machine until Ctrl-C.

    The service consists of PostgreSQL and Valkey, the API with its web page, and the workers. The database is
    migrated first. Data are stored in LAYERSCOPE_HOME. To use your own servers, set LAYERSCOPE_DATABASE_URL
    and LAYERSCOPE_REDIS_URL.
    """
    from app.commands.run_models import models_of_run
    from app.local.readiness import wait_until_loaded
    from app.local.stack import running_stack

    settings = read_settings()
    with (
        until_stopped(0),
        models_of_run(settings, model or []) as (complete, names),
        running_stack(
            complete, host, port, workers, names, keys_needed=not insecure_no_keys, shared=False
        ) as stack,
    ):
        stack.wait_until_ready()
        report(f"Model list: {describe_model_list(settings)}")
        report(f"Layerscope is loading {', '.join(names)}. Its page is at {stack.base_url}.")
        wait_until_loaded(stack)
        report(f"Layerscope is ready at {stack.base_url} (Ctrl-C stops it).")
        stack.supervise()


def describe_model_list(settings: "Settings") -> str:
    from app.resources import model_list_files, model_list_location

    location = model_list_location(settings.models)
    files = model_list_files(settings.models)
    if location not in files:
        return f"built-in models only; to add models, create {location}"
    return f"{location}" if len(files) == 1 else f"{location}, in addition to the built-in models"


@cli.command()
def api(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    fd: Annotated[int | None, typer.Option(hidden=True, help="An inherited listening socket.")] = None,
    insecure_no_keys: NoKeysOption = False,
) -> None:
    """Run only the API with its web page."""
    from app.local.listening import listen
    from app.local.stack import check_host, check_keys, connected

    settings = read_settings()
    keys_needed = not insecure_no_keys
    check_host(settings, host, keys_needed)
    with (
        until_stopped(0),
        socket.socket(fileno=fd) if fd is not None else listen(host, port) as listener,
        connected(settings) as (complete, _),
    ):
        check_keys(complete, host, keys_needed)
        serve(complete, listener)


# While a thread reads a large body, every other request waits many times for the interpreter. With the usual
# interval of 5 ms, a list of jobs took 0.7 s instead of 0.15 s.
SWITCH_SECONDS = 0.0001
FULL_COLLECTION_AFTER = 100  # collections of the second generation, instead of 10


def serve(settings: "Settings", listener: socket.socket) -> None:
    import uvicorn

    from app import logs
    from app.api.limits.connections import BACKLOG, allow_files, limited_protocol
    from app.errors import ConfigurationError
    from app.main import create_app

    logs.configure()
    sys.setswitchinterval(SWITCH_SECONDS)
    allow_files(settings)
    config = uvicorn.Config(
        create_app(settings),
        http=limited_protocol(settings),
        ws="none",  # WebSockets would not count as connections
        backlog=BACKLOG,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,  # otherwise an open event stream delays the shutdown without limit
    )
    server = uvicorn.Server(config)
    gc.collect()
    gc.freeze()  # to look through all that was imported, again and again, stops every request for 0.2 s
    # The same holds for the objects of 500 event streams: before version 3.14, Python would do it several
    # times while they arrive.
    gc.set_threshold(*gc.get_threshold()[:2], FULL_COLLECTION_AFTER)
    server.run(sockets=[listener])
    if not server.started:
        raise ConfigurationError("The API could not start. Its messages are above.")


@cli.command()
def worker(model: Annotated[str, typer.Option(help="A model of the model list.")]) -> None:
    """Run one worker: one process, one model, one device."""
    from app.local.commands import openmp_waiting, worker_command
    from app.local.stack import chosen_models, connected, uses_embedded_servers

    settings = read_settings()
    (name,) = chosen_models(settings, [model])
    with until_stopped(0), connected(settings) as (complete, _):
        command = worker_command(complete, name, openmp_waiting(1))
        if uses_embedded_servers(settings) or sys.platform == "win32":  # there execve starts a second process
            raise typer.Exit(run_to_end(command))
        os.execve(command.arguments[0], command.arguments, dict(command.environment or {}))


@cli.command()
def migrate(
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Migrate nothing. Wait until another process has done it, at most this time.",
        ),
    ] = None,
) -> None:
    """Migrate the database to the newest schema."""
    from app.local.migrations import migrate_database, wait_until_migrated
    from app.local.stack import connected

    with until_stopped(), connected(read_settings()) as (complete, _):
        migrate_database(complete) if wait is None else wait_until_migrated(complete, wait)


@contextmanager
def until_stopped(exit_code: int | None = None) -> Iterator[None]:
    """End without a message at a stop signal: with this exit code, or with the one that names the signal."""
    try:
        yield
    except Stop as stop:
        raise typer.Exit(stop.exit_code if exit_code is None else exit_code) from None


def read_settings() -> "Settings":
    from pydantic import ValidationError

    from app.errors import ConfigurationError
    from app.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(["LAYERSCOPE", *(str(part).upper() for part in first["loc"])])
        raise ConfigurationError(f"{name}: {first['msg']}.") from error


def main() -> None:
    run_as_command(lambda: cli(prog_name="layerscope"))


if __name__ == "__main__":
    main()
