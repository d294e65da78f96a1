"""Runs the API in a process of its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil

from app.local.commands import api_command
from app.local.listening import address_of, is_ready, listen
from app.local.supervisor import Child
from app.settings import Settings

READY_SECONDS = 60


@contextmanager
def api_process(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """`layerscope api` on a free port: its address and its process.

    Raises:
        RuntimeError: the API is not ready within READY_SECONDS.
    """
    with listen("127.0.0.1", 0) as listener:
        command = api_command(settings, listener)
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
