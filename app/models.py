"""The models that can be requested, as the model list describes them."""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from app.errors import ConfigurationError
from layerscope.names import MATRIX_PRODUCTS, NAME, NAME_RULE, DType

CHOICES = {"dtype": ("auto", *(dtype.value for dtype in DType)), "matmul": MATRIX_PRODUCTS}


class ModelTable(BaseModel):
    """The keys of a table in `models.toml`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: str = Field(min_length=1)
    revision: str | None = Field(None, min_length=1)
    dtype: str = "auto"
    device: str = Field("auto", min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    matmul: str | None = None

    @field_validator(*CHOICES)
    @classmethod
    def _is_known(cls, value: str | None, key: ValidationInfo) -> str | None:
        choices = CHOICES[key.field_name or ""]
        if value is not None and value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value


class ModelConfig(ModelTable):
    """A model of the list. A relative folder in `source` is relative to `folder`, the folder of the file."""

    folder: Path = Path()


def read_models(*files: Path) -> dict[str, ModelConfig]:
    """The models of all files, in order. A later table replaces an earlier one of the same name.

    Raises: ConfigurationError naming the file, the table and the key.
    """
    models: dict[str, ModelConfig] = {}
    for file in files:
        models |= _read_file(file)
    if not models:
        raise ConfigurationError(f"{files[-1]} lists no model: add a table, as README.md describes.")
    return models


def require_model(name: str, models: Collection[str], location: Path) -> None:
    """Raises: ConfigurationError if the model list has no model of this name."""
    if name not in models:
        raise ConfigurationError(
            f"The model list has no model {name!r}. It has {', '.join(models)}. Add the model to {location}."
        )


def _read_file(path: Path) -> dict[str, ModelConfig]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}). Set LAYERSCOPE_MODELS to another file."
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return {name: _read_table(path, name, table) for name, table in tables.items()}


def _read_table(path: Path, name: str, table: Any) -> ModelConfig:
    place = f"{path}: [{name}]"
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{place} is not a valid model name: {NAME_RULE}")
    if not isinstance(table, dict):
        raise ConfigurationError(f"{place} is not a table")
    if any(isinstance(value, dict) for value in table.values()):
        raise ConfigurationError(f'{place} contains a table: a name with a dot needs quotes, as in ["a.b"]')
    try:
        keys = ModelTable.model_validate(table)
    except ValidationError as invalid:
        raise ConfigurationError(f"{place} {_sentence(invalid.errors()[0])}") from invalid
    return ModelConfig(**keys.model_dump(), folder=path.parent)


def _sentence(error: ErrorDetails) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "extra_forbidden":
        return f"{key} is unknown; the keys are {', '.join(ModelTable.model_fields)}"
    return f"{key}: {error['msg'].removeprefix('Value error, ')}, not {error['input']!r}"
