"""The models that can be requested, as the model list describes them."""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
DTYPES = ("auto", "float32", "bfloat16", "float16")
KEYS = {"source": str, "revision": str, "dtype": str, "device": str, "max_tokens": int}


@dataclass(frozen=True)
class ModelConfig:
    """One table of a file. A relative folder in `source` is relative to `folder`, the folder of the file."""

    source: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    max_tokens: int | None = None
    folder: Path = field(default=Path(), compare=False)


def read_models(*files: Path) -> dict[str, ModelConfig]:
    """The models of all files, in order. A later table replaces an earlier one of the same name.

    Raises: ConfigurationError naming the file, the table and the key.
    """
    models: dict[str, ModelConfig] = {}
    for file in files:
        models |= _read_file(file)
    if not models:
        raise ConfigurationError(f"{files[-1]}: lists no model")
    return models


def require_model(name: str, models: Collection[str], location: Path) -> None:
    """Raises: ConfigurationError if the model list has no model of this name."""
    if name not in models:
        raise ConfigurationError(
            f"The model list has no model {name!r}. It has {', '.join(models)}. Add the model to {location}."
        )


def _read_file(path: Path) -> dict[str, ModelConfig]:
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"{path} can't be read ({error.strerror}): set LAYERSCOPE_MODELS."
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return {name: _read_table(path, name, table) for name, table in tables.items()}


def _read_table(path: Path, name: str, table: Any) -> ModelConfig:
    place = f"{path}: [{name}]"
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
    return ModelConfig(**table, folder=path.parent)


def _check(place: str, key: str, value: Any) -> None:
    if key not in KEYS:
        raise ConfigurationError(f"{place} is unknown; known are {', '.join(KEYS)}")
    if type(value) is not KEYS[key]:
        raise ConfigurationError(f"{place} must be of type {KEYS[key].__name__}, not {value!r}")
    if value in ("", 0) or str(value).startswith("-"):
        raise ConfigurationError(f"{place} must not be {value!r}")
    if key == "dtype" and value not in DTYPES:
        raise ConfigurationError(f"{place} must be one of {', '.join(DTYPES)}, not {value!r}")
