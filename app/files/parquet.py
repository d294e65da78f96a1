"""The Parquet files of a job. They have the columns, the order and the values of the CSV files."""

import io
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.orm import Session

from app.files.comparison import COMPARISON
from app.files.provenance import provenance
from app.files.results import results_source
from app.files.rows import Source, read_batches
from app.files.texts import TextRow, added_columns, added_counts, text_batches, texts_columns
from app.tables import Job
from layerscope import values
from layerscope.names import COMPARISON_COUNTS, COMPARISON_KEY, MASSIVE_COLUMN, SPECIAL_TOKENS_COLUMN

# A batch is a row group of the file.
ROWS_PER_BATCH = 10_000
TEXTS_PER_BATCH = 200

_TYPES = {
    **dict.fromkeys((*COMPARISON_KEY, "domain", "error"), pa.string()),
    **dict.fromkeys((*COMPARISON_COUNTS, "layer", "texts", "ordinal", "analysis_texts"), pa.int32()),
    **dict.fromkeys((SPECIAL_TOKENS_COLUMN, MASSIVE_COLUMN), pa.int32()),
    "tokens": pa.int64(),
    "truncated": pa.bool_(),
}  # all other columns are float64


def results_parquet(session: Session, job: Job) -> Iterator[bytes]:
    return _source_parquet(session, job, results_source(job))


def comparison_parquet(session: Session, job: Job) -> Iterator[bytes]:
    return _source_parquet(session, job, COMPARISON)


def texts_parquet(session: Session, job: Job) -> Iterator[bytes]:
    schema = _schema(texts_columns(job))
    batches = text_batches(session, job, TEXTS_PER_BATCH)
    return _parquet(job, schema, (_texts_batch(texts, job, schema) for texts in batches))


def _source_parquet(session: Session, job: Job, source: Source) -> Iterator[bytes]:
    schema = _schema(source.columns)
    batches = read_batches(session, job, source, ROWS_PER_BATCH)
    return _parquet(job, schema, (pa.RecordBatch.from_pylist(rows, schema) for rows in batches))


def _schema(columns: Iterable[str]) -> pa.Schema:
    return pa.schema([(name, _TYPES.get(name, pa.float64())) for name in columns])


class _Pipe(io.RawIOBase):
    """A file that keeps what is written to it until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _parquet(job: Job, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The file, one row group at a time."""
    pipe = _Pipe()
    schema = schema.with_metadata({"provenance": json.dumps(provenance(job))})
    with pq.ParquetWriter(pipe, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield pipe.take()
    yield pipe.take()


def _texts_batch(texts: Iterable[TextRow], job: Job, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of each text. A failed text has one row, with its error."""
    batches = [
        _failed(text, schema) if text.values is None else _profiled(text, text.values, job, schema)
        for text in texts
    ]
    return pa.concat_batches(batches)


def _failed(text: TextRow, schema: pa.Schema) -> pa.RecordBatch:
    row = {"ordinal": text.ordinal, "domain": text.domain, "error": text.error}
    return pa.RecordBatch.from_pylist([row], schema)


def _profiled(text: TextRow, stored: bytes, job: Job, schema: pa.Schema) -> pa.RecordBatch:
    components = tuple(job.options["components"])
    measured = values.decode(stored, len(components), len(job.scopes))
    rows = values.rows(measured, text.analysis, job.analyses)
    of_text = (text.ordinal, text.domain, text.tokens, text.truncated, None)
    repeated = [
        pa.repeat(pa.scalar(value, field.type), len(rows))
        for value, field in zip(of_text, schema, strict=False)
    ]
    metrics = [pa.array(column, mask=~np.isfinite(column)) for column in rows.T]
    keys = _key_columns(tuple(job.scopes), components, measured.shape[2])
    counts = added_counts(text, added_columns(job)).values()
    added = [pa.repeat(pa.scalar(count, pa.int32()), len(rows)) for count in counts]
    return pa.RecordBatch.from_arrays([*repeated, *keys, *metrics, *added], schema=schema)


@lru_cache(maxsize=8)
def _key_columns(scopes: tuple[str, ...], components: tuple[str, ...], layers: int) -> list[pa.Array]:
    """The scope, component and layer of each row of a text."""
    of_rows, names, numbers = zip(*values.row_keys(scopes, components, layers), strict=True)
    return [pa.array(of_rows), pa.array(names), pa.array(numbers, pa.int32())]
