"""The Parquet files of a job. They have the columns, the order and the values of the CSV files."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from app.files.comparison import COMPARISON
from app.files.provenance import provenance
from app.files.results import results_source
from app.files.rows import Row, Source, read_batches
from app.files.texts import TextRow, added_columns, added_counts, text_batches, texts_columns
from app.files.tokens import TokensPart, tokens_columns, tokens_parts
from app.tables import Job
from layerscope import values
from layerscope.names import (
    COMPARISON_COUNTS,
    COMPARISON_KEY,
    MASSIVE_COLUMN,
    SPECIAL_TOKENS_COLUMN,
    TOKEN_METRICS,
    Component,
)

# A batch is a row group of the file.
ROWS_PER_BATCH = 10_000
TEXTS_PER_BATCH = 200

TYPES = {
    **dict.fromkeys((*COMPARISON_KEY, "domain", "error"), pa.string()),
    **dict.fromkeys((*COMPARISON_COUNTS, "layer", "texts", "ordinal", "analysis_texts"), pa.int32()),
    **dict.fromkeys((SPECIAL_TOKENS_COLUMN, MASSIVE_COLUMN), pa.int32()),
    "tokens": pa.int64(),
    "truncated": pa.bool_(),
}  # all other columns are float64
TOKEN_TYPES = TYPES | {
    **dict.fromkeys(("token", "lens_top1"), pa.string()),
    **dict.fromkeys(("position", "token_id", "lens_rank"), pa.int32()),
    **dict.fromkeys(TOKEN_METRICS, pa.float32()),
    "massive": pa.bool_(),
}


def results_parquet(session: Session, job: Job) -> Iterator[bytes]:
    return _source_parquet(session, job, results_source(job))


def comparison_parquet(session: Session, job: Job) -> Iterator[bytes]:
    return _source_parquet(session, job, COMPARISON)


def texts_parquet(session: Session, job: Job) -> Iterator[bytes]:
    return text_rows_parquet(job, text_batches(session, job, TEXTS_PER_BATCH))


def text_rows_parquet(job: Job, batches: Iterable[Iterable[TextRow]]) -> Iterator[bytes]:
    """The file texts.parquet, or a part of it, with these texts."""
    schema = _schema(texts_columns(job))
    return _parquet(job, schema, (_texts_batch(texts, job, schema) for texts in batches))


def tokens_parquet(session: Session, job: Job) -> Iterator[bytes]:
    schema = _schema(tokens_columns(job), TOKEN_TYPES)
    parts = tokens_parts(session, job)
    return _parquet(job, schema, (_tokens_batch(part, job, schema) for part in parts))


def _source_parquet(session: Session, job: Job, source: Source) -> Iterator[bytes]:
    return rows_parquet(job, source.columns, read_batches(session, job, source, ROWS_PER_BATCH))


def rows_parquet(job: Job, columns: Iterable[str], batches: Iterable[list[Row]]) -> Iterator[bytes]:
    schema = _schema(columns)
    return _parquet(job, schema, (pa.RecordBatch.from_pylist(rows, schema) for rows in batches))


def _schema(columns: Iterable[str], types: Mapping[str, pa.DataType] = TYPES) -> pa.Schema:
    return pa.schema([(name, types.get(name, pa.float64())) for name in columns])


class Pipe(io.RawIOBase):
    """A file that keeps what is written to it until it is taken. It cannot seek."""

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
    pipe = Pipe()
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


def _tokens_batch(part: TokensPart, job: Job, schema: pa.Schema) -> pa.RecordBatch:
    components = job.options["components"]
    tokens, _, layers, _ = part.values.shape
    rows = tokens * len(components) * layers
    of_tokens = (part.ids, np.array(part.strings, object), part.massive)
    columns = [
        *(np.full(rows, part.ordinal), np.full(rows, part.domain, object)),
        np.repeat(np.arange(part.first, part.first + tokens), rows // tokens),
        *(np.repeat(column, rows // tokens) for column in of_tokens),
        np.tile(np.repeat(np.array(components, object), layers), tokens),
        np.tile(np.arange(layers), tokens * len(components)),
        *part.values.reshape(rows, -1).T,
        *_lens_columns(part, components),
    ]
    arrays = [
        pa.array(column, field.type, from_pandas=True) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _lens_columns(part: TokensPart, components: Sequence[str]) -> list[NDArray[Any]]:
    """The rank and the most probable token in the rows of the block; None in all other rows."""
    if part.ranks is None or part.top1 is None:
        return []
    shape = (*part.ranks.shape[:1], len(components), part.ranks.shape[1])
    columns = []
    ranks = part.ranks.astype(object)
    ranks[np.isnan(part.ranks)] = None
    for numbers in (ranks, np.array(part.top1, object)):
        column = np.full(shape, None)
        column[:, components.index(Component.BLOCK)] = numbers
        columns.append(column.ravel())
    return columns
