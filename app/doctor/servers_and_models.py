"""Checks the servers, the port, and whether the models of the list can be loaded."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.doctor.findings import Finding, ok, problem, warning
from layerscope.addresses import DEFAULT_SERVER

if TYPE_CHECKING:
    from app.models import ModelConfig
    from app.settings import Settings

LOAD_SECONDS = 300.0
# In a process of its own: a model may need more memory than there is. Nothing is downloaded.
LOAD = """
import sys
from layerscope import ModelError, load_model
try:
    model = load_model(sys.argv[1], sys.argv[2] or None, sys.argv[3], sys.argv[4])
except ModelError as error:
    print(error)
    sys.exit(1)
print(f"{model.layers} layers, {model.dtype} on {model.device}")
"""


def check_service(settings: "Settings") -> Iterator[Finding]:
    yield check_servers(settings)
    yield check_port()
    yield from check_models(settings)


def check_servers(settings: "Settings") -> Finding:
    """Starts the embedded servers, or connects to the configured ones."""
    from app.errors import ConfigurationError
    from app.jobs import notifications
    from app.local.migrations import migrate_database
    from app.local.stack import connected, uses_embedded_servers

    kind = "embedded" if uses_embedded_servers(settings) else "configured"
    if kind == "embedded" and not settings.home.exists():
        return _embedded_programs()
    try:
        with connected(settings) as (complete, _):
            migrate_database(complete)
            assert complete.redis_url is not None  # `connected` has set it
            notifications.connect(complete.redis_url).ping()
    except (ConfigurationError, OSError) as error:
        return problem("servers", str(error), "see docs/operations.md")
    return ok("servers", f"the {kind} PostgreSQL and Redis answer, and the database is migrated")


def _embedded_programs() -> Finding:
    """Without a folder of data, only the programs are checked: nothing is left behind."""
    from app.local import postgres, valkey
    from app.local.wheels import find_program

    names = {postgres.DISTRIBUTION: "postgres", valkey.DISTRIBUTION: valkey.PROGRAM}
    missing = [package for package, program in names.items() if find_program(package, program) is None]
    if missing:
        return problem("servers", f"missing: {', '.join(missing)}", "run `pip install 'layerscope[all]'`")
    return ok("servers", "the embedded PostgreSQL and Valkey are installed; `layerscope up` starts them")


def check_port() -> Finding:
    host, _, port = DEFAULT_SERVER.removeprefix("http://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return ok("port", f"{port} is free")
    from layerscope.client import Client
    from layerscope.client.errors import ClientError, ServiceProblemError

    try:
        with Client(DEFAULT_SERVER) as client:
            client.models()
    except ServiceProblemError:
        pass
    except ClientError:
        return warning("port", f"another program uses {port}", "use `layerscope up --port 9000`")
    return ok("port", f"a Layerscope service answers at {DEFAULT_SERVER}")


def check_models(settings: "Settings") -> Iterator[Finding]:
    from app.errors import ConfigurationError
    from app.models import read_models
    from app.resources import model_list_files

    try:
        models = read_models(*model_list_files(settings.models))
    except ConfigurationError as error:
        yield problem("models", error.detail, "correct the file")
        return
    for name, config in models.items():
        yield _check_model(name, config)


def _check_model(name: str, config: "ModelConfig") -> Finding:
    check, folder = f"model {name}", config.folder / config.source
    source = str(folder) if folder.is_dir() else config.source
    command = (sys.executable, "-c", LOAD, source, config.revision or "", config.dtype, config.device)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LOAD_SECONDS)
    except subprocess.TimeoutExpired:
        return warning(check, f"it was not loaded within {LOAD_SECONDS:g} s", "try `layerscope up` with it")
    if done.returncode == 0:
        return ok(check, f"it can be loaded: {done.stdout.strip()}")
    if done.returncode < 0:
        return problem(check, "the process that loads it was killed", "use a machine with more memory")
    if not folder.is_dir() and "is not in the cache" in done.stdout:
        remedy = f"`layerscope up --model {name}` downloads it; a gated model needs HF_TOKEN"
        return warning(check, f"{config.source} is not downloaded", remedy)
    reason = done.stdout.strip() or done.stderr.strip().splitlines()[-1]
    return problem(check, reason, "correct its table in the model list, or its files")
