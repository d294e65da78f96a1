"""Reads files as the commands and the API do."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layerscope.inputs import FieldNames, InputReader, InputReport, UnreadableInputError, find_sources

Write = Callable[[str, Any], Path]
Found = list[tuple[str, Any]]


def read(*paths: Path | str, lines: bool = False, **fields: str) -> tuple[Found, InputReport]:
    reader = InputReader(find_sources(paths, lines=lines), FieldNames(**fields), lines=lines)
    found = [(record.domain, record.value) for record in reader]
    return found, reader.report


def refused(*paths: Path | str, **options: Any) -> str:
    with pytest.raises(UnreadableInputError) as error:
        read(*paths, **options)
    return str(error.value)


def reasons(report: InputReport) -> list[tuple[str, str]]:
    return [(row.place, row.reason) for row in report.unusable]


def lines_of(records: Sequence[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def parquet_of(records: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return sink.getvalue()
