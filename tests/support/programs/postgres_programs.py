"""pg_dump and pg_restore of the embedded PostgreSQL, run as docs/operations.md says."""

import subprocess
from pathlib import Path

from app.local.postgres import DISTRIBUTION
from app.local.wheels import find_program


def dump(database_url: str, file: Path) -> None:
    _run("pg_dump", "--format=custom", f"--file={file}", database_url)


def restore(file: Path, database_url: str) -> None:
    _run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={database_url}", str(file))


def _run(name: str, *arguments: str) -> None:
    program = find_program(DISTRIBUTION, name)
    assert program is not None
    subprocess.run((str(program), *arguments), check=True)
