"""One worker process without a supervisor, and what it writes about its work."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.resources import ROOT
from app.settings import Settings
from tests.faults.support.injection import Injection
from tests.faults.support.service import MODEL
from tests.support.programs.processes import wait_for
from tests.support.programs.worker_process import environment_of, worker_arguments


class WatchedWorker:
    def __init__(
        self, settings: Settings, folder: Path, code: Path = ROOT, slow: float = 0, version: str = ""
    ) -> None:
        """`folder` is created. `code`: the folder with the packages that it runs. `slow`: as `slow_down`.
        `version`: which it takes for its own; "": that which is installed.
        """
        folder.mkdir()
        self.injection = Injection(folder / "faults")
        self.injection.slow_down(slow)
        self._log = folder / "log"
        if version:
            pretend_version(folder, version)
        environment = {
            **environment_of(settings),
            "PYTHONPATH": os.pathsep.join((str(code / "tests" / "faults" / "injected"), str(folder))),
            "FAULTS_FOLDER": str(self.injection.folder),
        }
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                worker_arguments(MODEL), cwd=code, env=environment, stdout=out, stderr=out
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def committed(self) -> list[tuple[str, int]]:
        """The shards that it has committed: job and number."""
        return [event.shard for event in self.injection.events("committed")]

    def wait_for_commits(self, more: int = 1) -> None:
        known = len(self.committed)
        wait_for(lambda: len(self.committed) >= known + more, 60)

    def stop(self) -> None:
        """As a rolling upgrade does."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


def pretend_version(folder: Path, version: str) -> None:
    """Of Layerscope, for Python processes with this folder on their path."""
    facts = folder / f"layerscope-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: layerscope\nVersion: {version}\n")


@contextmanager
def watched_worker(
    settings: Settings, folder: Path, code: Path = ROOT, slow: float = 0, version: str = ""
) -> Iterator[WatchedWorker]:
    worker = WatchedWorker(settings, folder, code, slow, version)
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()
