"""Reads the tables of a finished job as rows, or as data frames of pandas or polars."""

import importlib
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from layerscope.client.errors import MissingPackageError

Row = dict[str, Any]
TableKind = Literal["rows", "pandas", "polars"]
KINDS = ("rows", "pandas", "polars")

# The file that contains the rows of a table, and where they are in it; None: one row per line.
ROWS: Mapping[str, tuple[str, str | None]] = {
    "results": ("results.json", "layers"),
    "comparison": ("comparison.json", "comparisons"),
    "texts": ("texts.ndjson", None),
}
PACKAGES = {"pandas": ("pandas", "pyarrow"), "polars": ("polars",)}  # pandas reads Parquet with pyarrow


def read_table(name: str, kind: str, read: Callable[[str], bytes]) -> Any:
    """The table `name`. `read` returns the content of a file of the job.

    Frames are read from the Parquet file, which states the type of every column.

    Raises: ValueError, MissingPackageError.
    """
    if kind not in KINDS:
        raise ValueError(f"as_ must be one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "rows":
        return _rows(name, read)
    packages = [_imported(package, kind) for package in PACKAGES[kind]]
    return packages[0].read_parquet(io.BytesIO(read(f"{name}.parquet")))


def _rows(name: str, read: Callable[[str], bytes]) -> list[Row]:
    file, member = ROWS[name]
    content = read(file)
    if member is None:
        return [json.loads(line) for line in content.splitlines()]
    rows: list[Row] = json.loads(content)[member]
    return rows


def _imported(package: str, kind: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f'as_="{kind}" needs the package {package}: run `pip install {package}`, or use the rows.'
        ) from error
