"""What was read: files, fields, domains, and the rows that cannot be used."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from layerscope.inputs.fields import FieldNames
from layerscope.inputs.records import TextRecord, UnusableRow

LISTED_ROWS = 100


@dataclass(frozen=True)
class FileKind:
    """How files were read. `encoding` is None for Parquet."""

    format: str
    encoding: str | None
    is_compressed: bool
    fields: FieldNames


@dataclass
class FileTally:
    """Files that were read in the same way; `name` is the first of them."""

    name: str
    files: int = 0
    texts: int = 0


@dataclass
class DomainTally:
    texts: int = 0
    characters: int = 0  # of the texts that are strings
    text_bytes: int = 0  # of the same, in UTF-8


@dataclass
class InputReport:
    """`unusable` lists the first LISTED_ROWS rows that cannot be used, `unusable_count` counts all."""

    files: dict[FileKind, FileTally] = field(default_factory=dict)
    domains: dict[str, DomainTally] = field(default_factory=dict)
    unusable: list[UnusableRow] = field(default_factory=list)
    unusable_count: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> int:
        return sum(domain.texts for domain in self.domains.values())

    def add_file(self, name: str, kind: FileKind) -> FileTally:
        tally = self.files.setdefault(kind, FileTally(name))
        tally.files += 1
        return tally

    def add_text(self, record: TextRecord) -> None:
        tally = self.domains.setdefault(record.domain, DomainTally())
        tally.texts += 1
        if isinstance(record.value, str):
            tally.characters += len(record.value)
            tally.text_bytes += len(record.value.encode("utf-8", "surrogatepass"))

    def add_unusable(self, row: UnusableRow) -> None:
        self.unusable_count += 1
        if len(self.unusable) < LISTED_ROWS:
            self.unusable.append(row)
