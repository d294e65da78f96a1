"""How the API and the workers are started as processes."""

import os
import socket
import sys

from app.local.supervisor import Command
from app.resources import IS_CLONE, ROOT
from app.settings import Settings

CANNOT_LOAD = 3  # exit code of a worker whose model cannot be loaded for a reason that does not pass
CAN_INHERIT_SOCKETS = sys.platform != "win32"

# The threads of OpenMP spin while they wait for each other, for milliseconds by default. If the machine runs
# other processes too, the thread that they wait for may not be running: the sample texts took four times as
# long. Threads that sleep at once must be woken for every matrix product: on an idle machine this takes up to
# twice the time. A thousand spins bridge the gap between two products. If several workers share the machine,
# their threads do not spin.
SPIN_BRIEFLY = {"GOMP_SPINCOUNT": "1000"}
SLEEP_AT_ONCE = {"OMP_WAIT_POLICY": "PASSIVE"}


def api_command(settings: Settings, listener: socket.socket) -> Command:
    """The API process on `listener`. Where a process cannot inherit a socket, `listener` is closed first."""
    if CAN_INHERIT_SOCKETS:
        address: tuple[str, ...] = ("--fd", str(listener.fileno()))
        inherited: tuple[int, ...] = (listener.fileno(),)
    else:
        host, port = listener.getsockname()[:2]
        address, inherited = ("--host", host, "--port", str(port)), ()
        listener.close()
    return Command(
        name="API",
        arguments=(*module("app.cli"), "api", *address),
        environment=_environment(settings),
        pass_fds=inherited,
    )


def openmp_waiting(processes: int) -> dict[str, str]:
    """How the threads of OpenMP wait in processes that share this machine; empty if the user has chosen."""
    if {*SPIN_BRIEFLY, *SLEEP_AT_ONCE} & os.environ.keys():
        return {}
    return SPIN_BRIEFLY if processes == 1 else SLEEP_AT_ONCE


def worker_command(settings: Settings, model: str, waiting: dict[str, str], place: int = 0) -> Command:
    """`waiting`: from `openmp_waiting`.

    `place`: among the workers that this process starts, each of which needs a port for its metrics.
    """
    port = settings.worker_metrics_port
    metrics = {"LAYERSCOPE_WORKER_METRICS_PORT": str(port + place)} if port else {}
    return Command(
        name=f"worker of {model}",
        arguments=(*module("worker"), "--model", model),
        environment={**waiting, **_environment(settings), **metrics},
    )


def module(name: str) -> tuple[str, ...]:
    """Runs one of our modules, even if the working directory contains a module of the same name."""
    return (sys.executable, "-P", "-m", name)


def _environment(settings: Settings) -> dict[str, str]:
    """In a clone, the processes import our packages from it even if it is not installed."""
    packages = [str(ROOT)] if IS_CLONE else []
    paths = [*packages, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {}),
        "LAYERSCOPE_DATABASE_URL": settings.database_url or "",
        "LAYERSCOPE_REDIS_URL": settings.redis_url or "",
        **({"LAYERSCOPE_MODELS": str(settings.models)} if settings.models else {}),
    }
