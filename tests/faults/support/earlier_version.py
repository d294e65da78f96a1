"""The code of the commit before the last two migrations, run in processes of its own."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from app.db import alembic_config
from app.local.listening import address_of, is_ready, listen
from app.resources import ROOT
from app.settings import Settings
from tests.support.programs.processes import wait_for
from tests.support.programs.worker_process import environment_of

CODE = ("app", "layerscope", "worker", "migrations", "tests/faults/injected")


@dataclass(frozen=True)
class EarlierVersion:
    """`code`: the folder with its packages. `revision`: the newest that its migrations have."""

    code: Path
    revision: str

    def migrate(self, settings: Settings) -> None:
        command = (sys.executable, "-m", "app.cli", "migrate")
        subprocess.run(command, cwd=self.code, env=environment_of(settings), check=True)

    @contextmanager
    def api(self, settings: Settings) -> Iterator[str]:
        """Its address, as soon as it is ready: the database must have the tables of this version."""
        with listen("127.0.0.1", 0) as listener:
            process = subprocess.Popen(
                (sys.executable, "-m", "app.cli", "api", "--fd", str(listener.fileno())),
                cwd=self.code,
                env=environment_of(settings),
                pass_fds=(listener.fileno(),),
            )
            try:
                wait_for(lambda: is_ready(address_of(listener)), 90)
                yield address_of(listener)
            finally:
                process.terminate()
                process.wait(30)


def last_revisions() -> tuple[str, str, str]:
    """The newest revision of the database and the two before, the earliest first."""
    newest, middle, before, *_ = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return before.revision, middle.revision, newest.revision


def earlier_version(folder: Path) -> EarlierVersion:
    """Extract its code from the history of this clone. Without the history, the test is skipped."""
    before, first, _ = last_revisions()
    migration = ScriptDirectory.from_config(alembic_config()).get_revision(first)
    assert migration is not None
    added = _git("log", "--diff-filter=A", "--format=%H", "--", migration.path).split()
    if not added:
        pytest.skip(f"the history of this clone does not contain migration {first}")
    with tarfile.open(fileobj=io.BytesIO(_git("archive", f"{added[-1].decode()}^", *CODE))) as archive:
        archive.extractall(folder, filter="data")
    return EarlierVersion(folder, before)


def _git(*arguments: str) -> bytes:
    command = ("git", "-C", str(ROOT), *arguments)
    try:
        return subprocess.run(command, check=True, capture_output=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        # In a clone without the whole history, the commit has no parent.
        said = getattr(error, "stderr", b"").decode(errors="replace").strip()
        pytest.skip(
            f"the code before the last two migrations is missing; it needs git and a clone with the whole"
            f" history (`git fetch --unshallow`): {said or error}"
        )
