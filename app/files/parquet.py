"""The tables of a finished job as Parquet: columns, order and values of the CSV files."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.orm import Session

from app.files.comparison import comparison_rows
from app.files.export import TextRow, layer_rows, results_columns, text_rows, texts_columns
from app.files.provenance import provenance
from app.tables import Job
from layerscope import values
from layerscope.names import COMPARISON_COLUMNS, COMPARISON_COUNTS, COMPARISON_KEY

Row = TypeVar("Row")

ROWS_AT_A_TIME = 10_000
TEXTS_PER_BATCH = 200

_KINDS = {
    **dict.fromkeys((*COMPARISON_KEY, "domain", "error"), pa.string()),
    **dict.fromkeys((*COMPARISON_COUNTS, "layer", "texts", "ordinal", "analysis_texts"), pa.int32()),
    "tokens": pa.int64(),
    "truncated": pa.bool_(),
}


def results_parquet(session: Session, job: Job) -> Iterator[bytes]:
    columns = results_columns(job)
    return _parquet(job, columns, _batches(columns, layer_rows(session, job)))


def comparison_parquet(session: Session, job: Job) -> Iterator[bytes]:
    return _parquet(job, COMPARISON_COLUMNS, _batches(COMPARISON_COLUMNS, comparison_rows(session, job)))


def texts_parquet(session: Session, job: Job) -> Iterator[bytes]:
    parts = _parts(text_rows(session, job), TEXTS_PER_BATCH)
    return _parquet(job, texts_columns(job), (_texts_batch(texts, job) for texts in parts))


def _schema(columns: Iterable[str]) -> pa.Schema:
    return pa.schema([(name, _KINDS.get(name, pa.float64())) for name in columns])


class _Pipe(io.RawIOBase):
    """What the writer writes, until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _parquet(job: Job, columns: Iterable[str], batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The file, a row group at a time."""
    pipe = _Pipe()
    schema = _schema(columns).with_metadata({"provenance": json.dumps(provenance(job))})
    with pq.ParquetWriter(pipe, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield pipe.taken()
    yield pipe.taken()


def _parts(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    rows = iter(rows)
    while part := list(islice(rows, size)):
        yield part


def _batches(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[pa.RecordBatch]:
    schema = _schema(columns)
    for part in _parts(rows, ROWS_AT_A_TIME):
        yield pa.RecordBatch.from_pylist(part, schema)


def _texts_batch(texts: Iterable[TextRow], job: Job) -> pa.RecordBatch:
    """A text's rows one behind the other; of a failed text one, with its error."""
    schema = _schema(texts_columns(job))
    of_each = [
        _failed(text, schema) if text.values is None else _succeeded(text, text.values, job, schema)
        for text in texts
    ]
    return pa.concat_batches(of_each)


def _failed(text: TextRow, schema: pa.Schema) -> pa.RecordBatch:
    row = {"ordinal": text.ordinal, "domain": text.domain, "error": text.error}
    return pa.RecordBatch.from_pylist([row], schema)


def _succeeded(text: TextRow, stored: bytes, job: Job, schema: pa.Schema) -> pa.RecordBatch:
    components = tuple(job.options["components"])
    measured = values.decode(stored, len(components))
    rows = values.rows(measured, text.analysis, job.analyses)
    said = (text.ordinal, text.domain, text.tokens, text.truncated, None)
    same = [
        pa.repeat(pa.scalar(value, field.type), len(rows)) for value, field in zip(said, schema, strict=False)
    ]
    metrics = [pa.array(column, mask=~np.isfinite(column)) for column in rows.T]
    keys = _key_columns(components, measured.shape[2])
    return pa.RecordBatch.from_arrays([*same, *keys, *metrics], schema=schema)


@lru_cache(maxsize=8)
def _key_columns(components: tuple[str, ...], layers: int) -> list[pa.Array]:
    """The scope, component and layer of each row of a text."""
    scopes, names, numbers = zip(*values.row_keys(components, layers), strict=True)
    return [pa.array(scopes), pa.array(names), pa.array(numbers, pa.int32())]
