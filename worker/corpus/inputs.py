"""Reads the texts of a corpus with the readers of `layerscope profile`, and the checksums of its files."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import IO, Any, cast

from app.commands.corpus_task import CorpusTask
from app.errors import ConfigurationError
from layerscope.inputs import (
    FieldNames,
    FoundSources,
    InputReader,
    InputSource,
    TextRecord,
    UnusableRow,
    find_sources,
)
from layerscope.inputs.remote_sources import find_remote_sources, is_remote
from layerscope.names import TextForm
from layerscope.text_forms import MESSAGE_FIELDS
from worker.corpus.plan import Planner

PIECE_BYTES = 2**20

InputFile = dict[str, Any]  # name, bytes, sha256


class HashedFile:
    """A file that is read from its start to its end, and its checksum."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int = PIECE_BYTES) -> bytes:
        piece = self._file.read(size)
        self._hash.update(piece)
        self.bytes += len(piece)
        return piece

    def to_end(self, name: str) -> InputFile:
        while self.read():
            pass
        return {"name": name, "bytes": self.bytes, "sha256": self._hash.hexdigest()}


def find_inputs(task: CorpusTask) -> FoundSources:
    """Raises: UnreadableInputError; ConfigurationError."""
    found = FoundSources()
    for path in task.inputs:
        if path == "-":
            raise ConfigurationError(
                "A corpus cannot be read from standard input: a restart reads it again. Name its files."
            )
        some = find_remote_sources if is_remote(path) else find_sources_at
        more = some(path, lines=task.lines)
        found.sources += more.sources
        found.skipped += more.skipped
    return found


def find_sources_at(path: str, *, lines: bool) -> FoundSources:
    return find_sources([path], lines=lines)


def checksums(found: FoundSources) -> list[InputFile]:
    """Of all files, in the order in which they are read."""
    files = []
    for source in found.sources:
        with source.open() as file:
            files.append(HashedFile(file).to_end(source.name))
    return files


def plan_texts(
    task: CorpusTask, found: FoundSources, planner: Planner
) -> tuple[InputReader, list[InputFile]]:
    """Adds all texts to the plan. A row that cannot be used is a text with an error.

    Returns: the reader with its report, and the checksums of what was read.
    Raises: UnreadableInputError; ConfigurationError.
    """
    files: list[InputFile] = []
    hashed = [replace(source, open=partial(_hashed, source, files)) for source in found.sources]
    fields = FieldNames(task.text, task.domain, "")
    reader = InputReader(FoundSources(hashed, found.skipped), fields, lines=task.lines)
    for row in reader.rows():
        if isinstance(row, UnusableRow):
            planner.add(reader.domain_of(row), "", None, _encodable(row.reason))
            continue
        text, form = _stored(row)
        error = _size_error(text, task.text_limit_bytes)
        planner.add(row.domain, "" if error else text, form, error)
    planner.finish()
    return reader, files


@contextmanager
def _hashed(source: InputSource, files: list[InputFile]) -> Iterator[IO[bytes]]:
    with source.open() as file:
        hashed = HashedFile(file)
        yield cast(IO[bytes], hashed)
        files.append(hashed.to_end(source.name))


def _stored(record: TextRecord) -> tuple[str, str | None]:
    """The text as the service stores it, because its length decides where shards are cut."""
    if record.form == TextForm.TEXT:
        return record.value, None
    value = record.value
    if record.form == TextForm.MESSAGES:
        value = [{name: message[name] for name in MESSAGE_FIELDS} for message in value]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")), record.form


def _size_error(text: str, limit: int) -> str | None:
    if len(text) * 4 > limit and len(text.encode()) > limit:  # a character has at most 4 bytes
        return f"the text exceeds the limit of {limit} bytes of UTF-8"
    return None


def _encodable(reason: str) -> str:
    return reason.encode(errors="replace").decode()
