"""Checks Python, the platform, the packages, memory, disk and GPU. Needs only the standard library."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from app.doctor.findings import Finding, ok, problem, warning

GIB = 2**30
OLDEST_PYTHON = (3, 11)
LITTLE_MEMORY, LITTLE_DISK = (
    4 * GIB,
    5 * GIB,
)  # the demo model needs much less; a model of 1B needs 4 GiB in float32
INSTALL = "run `pip install 'layerscope[all]'`"
CUDA = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"
GPU_SECONDS = 60.0


def check_machine(home: Path) -> Iterator[Finding]:
    """`home`: the folder of the data."""
    yield check_python(sys.version_info[:3])
    yield check_platform(sys.platform, platform.machine())
    yield check_packages(missing_packages())
    yield check_memory(_memory())
    yield check_disk(home)
    yield check_gpu()


def check_python(version: tuple[int, ...]) -> Finding:
    shown = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return problem("Python", shown, "install Python 3.11 or newer")
    return ok("Python", f"{shown}, {sys.executable}")


def check_platform(name: str, processor: str) -> Finding:
    shown = f"{platform.platform()}, {processor}, {os.cpu_count()} CPUs"
    if name == "win32":
        remedy = "set LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL to your own servers"
        return warning("platform", f"{shown}; it has no embedded servers", remedy)
    return ok("platform", shown)


def missing_packages() -> list[str]:
    """The packages for measuring and serving that are not installed."""
    missing = []
    for requirement in importlib.metadata.requires("layerscope") or []:
        name, _, marker = requirement.partition(";")
        wanted = "extra ==" not in marker or re.search(r"extra == .all.", marker)
        if not wanted or (sys.platform == "win32" and "win32" in marker):
            continue
        package = re.split(r"[^\w.-]", name.strip())[0]
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    return missing


def check_packages(missing: list[str]) -> Finding:
    if missing:
        detail = f"missing: {', '.join(missing)}; only commands for a running service work"
        return warning("packages", detail, INSTALL)
    return ok("packages", f"layerscope {importlib.metadata.version('layerscope')} and all that it needs")


def _memory() -> tuple[int, int] | None:
    """Available and total bytes."""
    try:
        import psutil
    except ImportError:
        return None
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def check_memory(memory: tuple[int, int] | None) -> Finding:
    if memory is None:
        return warning("memory", "unknown, because the package psutil is missing", INSTALL)
    available, total = memory
    shown = f"{available / GIB:.1f} GiB of {total / GIB:.1f} GiB are available"
    if available < LITTLE_MEMORY:
        return warning("memory", shown, "close other programs before you use a model of 1B weights or more")
    return ok("memory", shown)


def check_disk(home: Path) -> Finding:
    folder = home.resolve()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return problem("disk", f"{home} cannot be written", "set LAYERSCOPE_HOME to another folder")
    free = shutil.disk_usage(folder).free
    shown = f"{free / GIB:.1f} GiB are free at {home}"
    if free < LITTLE_DISK:
        return warning("disk", shown, "free some space, or set LAYERSCOPE_HOME to a folder on another disk")
    return ok("disk", shown)


def check_gpu() -> Finding:
    """The driver as nvidia-smi shows it, and whether PyTorch can use the GPU."""
    return judge_gpu(_driver(), _run((sys.executable, "-c", CUDA)))


def judge_gpu(driver: str | None, torch: str | None) -> Finding:
    """`driver`: name and version, None if there is none. `torch`: what CUDA prints, None if it is missing."""
    if torch is None:
        return warning("GPU", f"{driver or 'none'}; PyTorch is not installed", INSTALL)
    version, cuda, is_available = torch.split()
    if is_available == "True":
        return ok("GPU", f"{driver or 'unknown'}; PyTorch {version} with CUDA {cuda} can use it")
    if driver is None:
        return ok("GPU", f"none; PyTorch {version} measures on the CPU")
    if cuda == "None":
        remedy = "install a build of PyTorch with CUDA: https://pytorch.org/get-started"
        return warning("GPU", f"{driver}; PyTorch {version} has no CUDA and measures on the CPU", remedy)
    remedy = "update the driver, or install a build of PyTorch for an older CUDA"
    return warning("GPU", f"{driver}; PyTorch {version} with CUDA {cuda} cannot use it", remedy)


def _driver() -> str | None:
    query = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    found = _run(query) if shutil.which("nvidia-smi") else None
    return ", driver ".join(found.splitlines()[0].split(", ")) if found else None


def _run(command: tuple[str, ...]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GPU_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
