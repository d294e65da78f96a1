"""Finds the server programs that are installed from Python wheels."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from app.errors import ConfigurationError

OWN_SERVERS = "set LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL to your own servers"


class EmbeddedServerError(ConfigurationError):
    """The embedded servers cannot run here. The message gives the reason and a remedy."""


def find_program(distribution: str, name: str) -> Path | None:
    """The program `name` among the files of an installed distribution."""
    try:
        installed = files(distribution) or []
    except PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in installed if file.name == name)
    return next((path for path in paths if path.is_file()), None)
