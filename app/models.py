"""The models that can be asked for, as `models.toml` lists them."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
DTYPES = ("auto", "float32", "bfloat16", "float16")
KEYS = {"source": str, "revision": str, "dtype": str, "device": str, "max_tokens": int}


@dataclass(frozen=True)
class ModelConfig:
    """One table of the file; a relative folder in `source` is relative to the file's own."""

    source: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    max_tokens: int | None = None


def read_models(path: Path) -> dict[str, ModelConfig]:
    """The models in the order of the file.

    Raises: ConfigurationError naming the file, the table and the key.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"{path} can't be read ({error.strerror}): set LAYERSCOPE_MODELS."
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if not tables:
        raise ConfigurationError(f"{path}: lists no model")
    return {name: _read_table(f"{path}: [{name}]", name, table) for name, table in tables.items()}


def _read_table(place: str, name: str, table: Any) -> ModelConfig:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{place} is no table")
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{place} is no name for a model: at most 64 of A-Z a-z 0-9 . _ -")
    if any(isinstance(value, dict) for value in table.values()):
        raise ConfigurationError(f'{place} holds a table: a name with a dot needs quotes, as in ["a.b"]')
    if "source" not in table:
        raise ConfigurationError(f"{place} source is missing")
    for key, value in table.items():
        _check(f"{place} {key}", key, value)
    return ModelConfig(**table)


def _check(place: str, key: str, value: Any) -> None:
    if key not in KEYS:
        raise ConfigurationError(f"{place} is unknown; known are {', '.join(KEYS)}")
    if type(value) is not KEYS[key]:
        raise ConfigurationError(f"{place} must be of type {KEYS[key].__name__}, not {value!r}")
    if value in ("", 0) or str(value).startswith("-"):
        raise ConfigurationError(f"{place} must not be {value!r}")
    if key == "dtype" and value not in DTYPES:
        raise ConfigurationError(f"{place} must be one of {', '.join(DTYPES)}, not {value!r}")
