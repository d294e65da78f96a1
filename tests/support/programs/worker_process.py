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
    environment = {**environment_of(settings), **variables}
    return subprocess.Popen(worker_arguments(model), env=environment, stdout=output, stderr=output)


def worker_arguments(model: str) -> tuple[str, ...]:
    """Runs the packages of the working directory."""
    return (sys.executable, "-m", "worker", "--model", model)


def environment_of(settings: Settings) -> dict[str, str]:
    """For a process of the service."""
    return {
        **os.environ,
        "LAYERSCOPE_HOME": str(settings.home),
        "LAYERSCOPE_DATABASE_URL": str(settings.database_url),
        "LAYERSCOPE_REDIS_URL": str(settings.redis_url),
        "LAYERSCOPE_MODELS": str(settings.models),
        "LAYERSCOPE_SWEEP_SECONDS": str(settings.sweep_seconds),
        "LAYERSCOPE_LEASE_SECONDS": str(settings.lease_seconds),
        "LAYERSCOPE_SHARD_TEXTS": str(settings.shard_texts),
    }
