"""The measured parts of a corpus: writes them, and reads them again for the statistics.

A part is two files: `texts/` has the columns of texts.parquet of the service, `statistics/` a row for each
text with what the statistics need besides. The file in `texts/` is written last: a part that has it is
complete.
"""

import io
import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import ConfigurationError
from app.files.parquet import TEXTS_PER_BATCH, text_rows_parquet
from app.files.texts import TextRow
from app.jobs.shards import TextResult
from app.tables import Job
from layerscope import values as codec
from layerscope.arrays import Array
from layerscope.names import METRICS
from worker.corpus.plan import part_name
from worker.corpus.storage import Storage
from worker.finalization.compared_texts import DomainTexts

TEXTS, STATISTICS = "texts", "statistics"
SCHEMA = pa.schema(
    [
        *(("ordinal", pa.int32()), ("domain", pa.string()), ("tokens", pa.int32()), ("measured", pa.bool_())),
        *(("massive", pa.list_(pa.int32())), ("massive_strings", pa.list_(pa.string()))),
        *(("square_norms", pa.binary()), ("analysis", pa.binary())),
    ]
)


class MeasuredRow(NamedTuple):
    """A measured text, as the statistics read it: see app.tables.StoredProfile."""

    ordinal: int
    domain: str
    tokens: int
    values: bytes
    massive: list[int]
    massive_strings: list[str]
    square_norms: bytes
    analysis: bytes | None


def write_part(storage: Storage, job: Job, part: int, rows: Sequence[TextResult]) -> None:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([_statistics_row(row) for row in rows], SCHEMA), file)
    storage.write(f"{STATISTICS}/{part_name(part)}", [file.getvalue()])
    texts = [TextRow(*(getattr(row, name) for name in TextRow._fields)) for row in rows]
    batches = [texts[i : i + TEXTS_PER_BATCH] for i in range(0, len(texts), TEXTS_PER_BATCH)]
    storage.write(f"{TEXTS}/{part_name(part)}", text_rows_parquet(job, batches))


def _statistics_row(row: TextResult) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in SCHEMA.names if name != "measured"}
    return named | {"measured": row.error is None, "tokens": row.tokens if row.error is None else 0}


def complete_parts(storage: Storage) -> set[str]:
    """The names of the parts that need not be measured again."""
    return storage.names(TEXTS) & storage.names(STATISTICS)


@dataclass(frozen=True)
class MeasuredParts:
    """All parts of a corpus. Reads one at a time."""

    storage: Storage
    job: Job
    parts: int

    def measured(self) -> Iterator[MeasuredRow]:
        """The measured texts, in ordinal order."""
        for part in range(self.parts):
            yield from self._rows_of(part)

    def by_domain(self) -> dict[str, DomainTexts]:
        """All texts of each domain."""
        columns: dict[str, tuple[array[int], array[int]]] = {}
        for part in range(self.parts):
            table: Any = pq.read_table(self._file(STATISTICS, part), columns=["domain", "ordinal", "tokens"])
            for domain, *row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                of_domain = columns.setdefault(domain, (array("i"), array("i")))
                for column, value in zip(of_domain, row, strict=True):
                    column.append(value)
        return {
            domain: DomainTexts(
                np.array(ordinals, np.int64), np.arange(len(ordinals)), np.array(tokens, np.float64)
            )
            for domain, (ordinals, tokens) in columns.items()
        }

    def _rows_of(self, part: int) -> Iterator[MeasuredRow]:
        statistics: Any = pq.read_table(self._file(STATISTICS, part))
        values = self._values(part)
        for row in statistics.to_pylist():
            of_text = next(values)
            if row.pop("measured"):
                yield MeasuredRow(values=codec.encode(of_text), **row)

    def _values(self, part: int) -> Iterator[Array]:
        """(C, S, L, M) of each text; of a failed text anything."""
        file = pq.ParquetFile(self._file(TEXTS, part))
        self._check(file, part)
        components, scopes = len(self.job.options["components"]), len(self.job.scopes)
        for group in range(file.num_row_groups):
            table: Any = file.read_row_group(group, ["ordinal", *METRICS])
            ordinals = table["ordinal"].to_numpy()
            numbers = np.stack([table[name].to_numpy() for name in METRICS], axis=-1)
            starts = [0, *(np.flatnonzero(np.diff(ordinals)) + 1), len(ordinals)]
            for start, end in pairwise(starts):
                if end - start == 1:
                    yield numbers[start:end]
                else:
                    of_text = numbers[start:end].reshape(scopes, components, -1, len(METRICS))
                    yield np.ascontiguousarray(of_text.swapaxes(0, 1))

    def _check(self, file: Any, part: int) -> None:
        """Raises: ConfigurationError if a part is not of this corpus."""
        provenance = json.loads(file.schema_arrow.metadata[b"provenance"])
        if provenance["request_sha256"] != self.job.request_sha256.hex():
            place = f"{self.storage.address}/{TEXTS}/{part_name(part)}"
            raise ConfigurationError(f"{place} belongs to another corpus: delete it and repeat the command.")

    def _file(self, folder: str, part: int) -> io.BytesIO:
        return io.BytesIO(self.storage.read(f"{folder}/{part_name(part)}"))
