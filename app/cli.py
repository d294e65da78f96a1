"""The command `layerscope`. What takes long to import is imported where it is used: `--help` is quick."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.errors import ConfigurationError, LayerscopeError
from app.local.supervisor import Command, Stop, run_to_end, stop_on_signals

if TYPE_CHECKING:
    from app.settings import Settings

cli = typer.Typer(
    help="Measure how much each layer of a Llama model changes the residual stream.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)]
Workers = Annotated[int, typer.Option(help="Worker processes for each model.", min=1)]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="A table of models.toml; may be repeated. Default: the first one."),
]


@cli.command()
def up(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1, model: Models = None) -> None:
    """Run everything on this machine until Ctrl-C.

    That is PostgreSQL and Valkey (unless LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL name your own),
    the migrations, the API with its web page, and the workers. Data are kept in LAYERSCOPE_HOME.
    """
    from app.local.stack import running_stack

    with until_stopped(0), running_stack(read_settings(), host, port, workers, model or ()) as stack:
        stack.wait_until_ready()
        typer.echo(f"Layerscope is ready at {stack.base_url} (Ctrl-C stops it).")
        stack.keep_up()


@cli.command()
def api(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    fd: Annotated[int | None, typer.Option(hidden=True, help="A listening socket to take over.")] = None,
) -> None:
    """Run the API and its web page alone."""
    from app.local.stack import connected, listen, refuse_strangers

    settings = read_settings()
    refuse_strangers(settings, host)
    with (
        until_stopped(0),
        socket.socket(fileno=fd) if fd is not None else listen(host, port) as listener,
        connected(settings) as (reachable, _),
    ):
        serve(reachable, listener)


def serve(settings: "Settings", listener: socket.socket) -> None:
    import uvicorn

    from app.main import create_app

    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,  # an event stream would hold the process for as long as its reader likes
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if not server.started:
        raise ConfigurationError("The API could not start; what it said stands above.")


@cli.command()
def worker(model: Annotated[str, typer.Option(help="A table of models.toml.")]) -> None:
    """Run one worker: one process, one model, one device."""
    from app.local.stack import SPIN_BRIEFLY, chosen_models, connected, is_embedded, worker_command

    settings = read_settings()
    (name,) = chosen_models(settings, [model])
    with until_stopped(0), connected(settings) as (reachable, _):
        command = worker_command(reachable, name, SPIN_BRIEFLY)
        if not is_embedded(settings):
            os.execve(command.arguments[0], command.arguments, dict(command.environment or {}))
        raise typer.Exit(run_to_end(command))


@cli.command()
def migrate() -> None:
    """Bring the database up to the newest schema."""
    from app.local.stack import bring_up_to_date, connected

    with until_stopped(), connected(read_settings()) as (reachable, _):
        bring_up_to_date(reachable)


@cli.command()
def profile(
    out: Annotated[Path, typer.Option(help="Folder for the tables and pictures.")] = Path("profile"),
    workers: Workers = 1,
    url: Annotated[str | None, typer.Option(help="A service that runs already; default: start one.")] = None,
) -> None:
    """Profile the sample texts with the demo model, and stop whatever was started for it."""
    make_folder(out)
    if url is not None:
        profile_at(url, out)
        return
    from app.local.stack import module, running_stack

    with until_stopped(), running_stack(read_settings(), "127.0.0.1", 0, workers, ("demo",)) as stack:
        stack.wait_until_ready()
        arguments = (*module("app.cli"), "profile", "--url", stack.base_url, "--out", str(out))
        code = run_to_end(Command("profile", arguments, stop_seconds=5), meanwhile=stack.supervisor.check)
    raise typer.Exit(code)


def make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The folder {out} cannot be made: {error.strerror}.") from error


def profile_at(url: str, out: Path) -> None:
    import httpx

    from app.local.sample_run import profile as run

    try:
        with until_stopped():
            run(url, out)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigurationError(f"{url} does not answer as a Layerscope should: {error}") from error


@contextmanager
def until_stopped(exit_code: int | None = None) -> Iterator[None]:
    """End quietly at a stop signal: with this exit code, or with the one that names the signal."""
    try:
        yield
    except Stop as stop:
        raise typer.Exit(stop.exit_code if exit_code is None else exit_code) from None


def read_settings() -> "Settings":
    from pydantic import ValidationError

    from app.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(["LAYERSCOPE", *(str(part).upper() for part in first["loc"])])
        raise ConfigurationError(f"{name}: {first['msg']}.") from error


def main() -> None:
    """Whatever the user can cause ends as one sentence and an exit code, never as a traceback."""
    with stop_on_signals():
        try:
            cli(prog_name="layerscope")
        except LayerscopeError as error:
            typer.echo(error.detail, err=True)
            sys.exit(1)
        except Stop as stop:
            sys.exit(stop.exit_code)


if __name__ == "__main__":
    main()
