"""The commands `layerscope keys`. Slow imports are in the functions that need them, to keep `--help` fast."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from layerscope.names import NAME_PATTERN, NAME_RULE

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.tables import ApiKey, KeyScope

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
COLUMNS = ("id", "owner", "scope", "created_at", "expires_at", "revoked_at")

keys_cli = typer.Typer(help="Create, list and revoke the keys of the service.", no_args_is_help=True)


@keys_cli.command("create")
def create_key(
    context: typer.Context,
    owner: Annotated[str, typer.Option(help="Whose jobs the key sees.")],
    scope: Annotated[str, typer.Option(help="What the key allows: read, write or admin.")],
    expires: Annotated[
        str | None, typer.Option(help="After which time the key expires: 90m, 12h or 30d.")
    ] = None,
) -> None:
    """Create a key and print it. It cannot be printed again."""
    from app.access import audit, keys

    name, allowed, lifetime = read_owner(owner), read_scope(scope), read_lifetime(expires)
    with transaction(context) as session:
        key_id, key = keys.create(session, name, allowed, lifetime)
    audit.record_key("key created", key_id, name, account_name())
    typer.echo(key)
    typer.echo(
        f"This key is shown only once. Its id is {key_id}. From now on, every request needs a key: "
        "Authorization: Bearer ls_…",
        err=True,
    )


@keys_cli.command("list")
def list_keys(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List all keys, also those that are expired or revoked. The keys themselves are not stored."""
    from app.access import keys

    with transaction(context) as session:
        rows = [_cells(key) for key in keys.listed(session)]
    if as_json:
        typer.echo(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=2))
        return
    table = [COLUMNS, *([cell or "" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    for row in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@keys_cli.command("revoke")
def revoke_key(
    context: typer.Context, key_id: Annotated[UUID, typer.Argument(metavar="ID", help="From the list.")]
) -> None:
    """Revoke a key and the sessions of the page that it opened. It is refused within a second."""
    from app.access import audit, keys

    with transaction(context) as session:
        owner = keys.revoke(session, key_id)
    if owner is not None:
        audit.record_key("key revoked", key_id, owner, account_name())


@contextmanager
def transaction(context: typer.Context) -> Iterator["Session"]:
    """On the migrated database of the settings, which the command `layerscope` reads."""
    from app import logs
    from app.db import make_engine, make_sessions
    from app.local.migrations import migrate_database
    from app.local.stack import connected

    logs.configure()
    with connected(context.obj()) as (settings, _):
        migrate_database(settings)
        assert settings.database_url is not None  # `connected` has set it
        engine = make_engine(settings.database_url)
        try:
            with make_sessions(engine).begin() as session:
                yield session
        finally:
            engine.dispose()


def account_name() -> str:
    """Of this process; not the value of a variable, which anyone can set."""
    import psutil

    return psutil.Process().username()  # type: ignore[no-any-return]


def read_owner(given: str) -> str:
    if re.fullmatch(NAME_PATTERN, given) is None:
        raise typer.BadParameter(f"A name has {NAME_RULE}", param_hint="--owner")
    return given


def read_scope(given: str) -> "KeyScope":
    from app.tables import KeyScope

    try:
        return KeyScope(given)
    except ValueError:
        names = ", ".join(KeyScope)
        raise typer.BadParameter(f"{given!r} is not one of {names}.", param_hint="--scope") from None


def read_lifetime(given: str | None) -> timedelta | None:
    if given is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", given)
    if found is None:
        raise typer.BadParameter(f"{given!r} is not a time such as 90m, 12h or 30d.", param_hint="--expires")
    return int(found[1]) * UNITS[found[2]]


def _cells(key: "ApiKey") -> list[str | None]:
    times = (key.created_at, key.expires_at, key.revoked_at)
    return [str(key.id), key.owner, key.scope, *map(_cell, times)]


def _cell(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")
