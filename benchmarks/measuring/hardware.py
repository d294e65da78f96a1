"""The hardware, the libraries and the commit, for the head of a log entry."""

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import torch

from benchmarks.paths import ROOT

_INSTRUCTION_SETS = (
    *("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16"),
    *("asimd", "bf16", "sve"),
)
_THREADING = re.compile(r"(OMP|GOMP|MKL|KMP)_")
_PACKAGES = ("torch", "transformers", "numpy", "scipy")


def processor() -> str:
    """Model, cores, threads, relevant instruction sets, and environment variables that affect threads."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", text, re.MULTILINE)
    sets = [flag for flag in _INSTRUCTION_SETS if flags and flag in flags[1].split()]
    model = name[1] if name else platform.processor() or platform.machine()
    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} torch threads"
    variables = [f"{name}={value}" for name, value in sorted(os.environ.items()) if _THREADING.match(name)]
    return ", ".join([model, threads, " ".join(sets) or "instruction sets unknown", *variables])


def accelerators() -> str:
    if not torch.cuda.is_available():
        return "none"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{', '.join(names)}; CUDA {torch.version.cuda}"


def versions() -> str:
    return ", ".join(
        [f"Python {platform.python_version()}"]
        + [f"{package} {importlib.metadata.version(package)}" for package in _PACKAGES]
    )


def commit() -> str:
    """The git commit, followed by "dirty" if the working tree differs from it."""
    head, changes = _git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain")
    return f"{head}, dirty" if head and changes else head or "unknown"


def load() -> str:
    """The load averages of the machine over 1, 5 and 15 minutes: a warning to the reader."""
    return "load {:.1f} {:.1f} {:.1f}".format(*os.getloadavg())


def _git(*arguments: str) -> str:
    try:
        answer = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.strip()
