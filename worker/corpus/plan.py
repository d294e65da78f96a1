"""The plan of a corpus: its texts in the order of their ordinals, cut into shards and parts.

Shards are cut as those of a job, because a text measured in another batch differs in its last bits. A part
consists of whole shards; it is measured, written and skipped as a whole.
"""

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import ConfigurationError
from app.jobs.shard_plan import ShardPlan
from app.jobs.shards import ShardText
from layerscope.names import TextForm
from worker.corpus.storage import Storage

PLAN = "plan"
# A part is full with the shard that reaches one of these numbers: at most some minutes of work are lost when
# an actor dies, and at most 1,535 texts with their values are in the memory of a process.
PART_SHARDS, PART_TEXTS = 16, 1024
MOST_TEXTS = 2**31 - 1  # ordinals are int32 in the files

SCHEMA = pa.schema(
    [
        *(("ordinal", pa.int32()), ("shard", pa.int32()), ("place", pa.int32())),
        *((name, pa.string()) for name in ("domain", "text", "form", "error")),
    ]
)


class PlannedText(NamedTuple):
    """`place`: the position of the text among those of its domain. `text`, `form`, `error`: as in
    app.tables.Text."""

    ordinal: int
    shard: int
    place: int
    domain: str
    text: str
    form: str | None
    error: str | None

    def for_shard(self) -> ShardText:
        text = self.text if self.form in (None, TextForm.TEXT) else {str(self.form): json.loads(self.text)}
        return ShardText(self.domain, text, self.error)


def part_name(part: int) -> str:
    return f"part-{part:05}.parquet"


@dataclass
class Planner:
    """Cuts texts that come one by one, and writes each part as soon as it is full."""

    storage: Storage
    shards: ShardPlan
    domains_limit: int

    def __post_init__(self) -> None:
        self.parts = 0
        self.domains = Counter[str]()
        self._texts: list[PlannedText] = []
        self._first_shard, self._shard = 0, -1

    def add(self, domain: str, text: str, form: str | None = None, error: str | None = None) -> None:
        """Raises: ConfigurationError if the corpus has too many domains or texts."""
        ordinal = self.shards.texts
        self.shards.add(domain, text, None, form, error)
        if self.shards.shards[-1].first_ordinal == ordinal:
            self._begin_shard()
        place = self.domains[domain]
        self._texts.append(PlannedText(ordinal, self._shard, place, domain, text, form, error))
        self.domains[domain] += 1
        self._check(ordinal)

    def finish(self) -> None:
        if self._texts:
            self._write_part()

    def _begin_shard(self) -> None:
        del self.shards.shards[:-1]  # the plan would grow with the corpus
        self._shard += 1
        if len(self._texts) >= PART_TEXTS or self._shard - self._first_shard >= PART_SHARDS:
            self._write_part()

    def _write_part(self) -> None:
        by_column = zip(*self._texts, strict=True)
        columns = [pa.array(column, of.type) for column, of in zip(by_column, SCHEMA, strict=True)]
        file = io.BytesIO()
        pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), file, compression="zstd")
        self.storage.write(f"{PLAN}/{part_name(self.parts)}", [file.getvalue()])
        self.parts += 1
        self._texts, self._first_shard = [], self._shard

    def _check(self, ordinal: int) -> None:
        if len(self.domains) > self.domains_limit:
            raise ConfigurationError(
                f"The corpus has more than {self.domains_limit} domains (setting "
                "LAYERSCOPE_DOMAINS_PER_JOB_LIMIT). Name the field of the domain with --domain; '' for none."
            )
        if ordinal >= MOST_TEXTS:
            raise ConfigurationError(f"The corpus has more than {MOST_TEXTS:,} texts: split it.")


def read_part(storage: Storage, part: int) -> Iterator[PlannedText]:
    table: Any = pq.read_table(io.BytesIO(storage.read(f"{PLAN}/{part_name(part)}")))
    for row in table.to_pylist():
        yield PlannedText(**row)
