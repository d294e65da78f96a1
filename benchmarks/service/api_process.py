"""Runs the API in a process of its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from app.local.commands import api_command
from app.local.listening import address_of, is_ready, listen
from app.local.supervisor import Child
from app.settings import Settings

READY_SECONDS = 60


@contextmanager
def api_process(
    settings: Settings, *, files: int | None = None, log: Path | None = None
) -> Iterator[tuple[str, psutil.Process]]:
    """`layerscope api` on a free port: its address and its process.

    Args:
        files: how many files the process may open; None: as many as this process.
        log: the file for its messages; None: they go where those of this process go.

    Raises:
        RuntimeError: the API is not ready within READY_SECONDS.
    """
    with listen("127.0.0.1", 0) as listener:
        command = replace(api_command(settings, listener), log=log)
        if files is not None:
            limited = ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command.arguments)
            command = replace(command, arguments=limited)
        own = {"LAYERSCOPE_HOME": str(settings.home), "LAYERSCOPE_MODELS": str(settings.models)}
        child = Child(replace(command, environment={**(command.environment or {}), **own}))
        try:
            url, deadline = address_of(listener), time.monotonic() + READY_SECONDS
            while not is_ready(url):
                if not child.is_alive() or time.monotonic() > deadline:
                    raise RuntimeError("the API is not ready")
                time.sleep(0.1)
            yield url, psutil.Process(child.process.pid)
        finally:
            child.stop()
