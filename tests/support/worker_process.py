"""A worker as a process of its own, with the settings of a test."""

import os
import subprocess
import sys
from typing import IO

from app.settings import Settings


def start_worker(
    settings: Settings, model: str, output: IO[bytes] | None = None, **variables: str
) -> "subprocess.Popen[bytes]":
    """`output`: for its messages; None: they go where those of the tests go. `variables`: further ones."""
    environment = {
        **os.environ,
        "LAYERSCOPE_HOME": str(settings.home),
        "LAYERSCOPE_DATABASE_URL": str(settings.database_url),
        "LAYERSCOPE_REDIS_URL": str(settings.redis_url),
        "LAYERSCOPE_MODELS": str(settings.models),
        "LAYERSCOPE_SWEEP_SECONDS": str(settings.sweep_seconds),
        "LAYERSCOPE_LEASE_SECONDS": str(settings.lease_seconds),
        **variables,
    }
    command = (sys.executable, "-m", "worker", "--model", model)
    return subprocess.Popen(command, env=environment, stdout=output, stderr=output)
