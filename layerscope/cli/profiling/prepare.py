"""Reads a user's files into one temporary file, and reports what was read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from layerscope.cli.output import print_note
from layerscope.client.bodies import encoded, stream_file
from layerscope.inputs import (
    FieldNames,
    InputReader,
    InputReport,
    TextRecord,
    UnreadableInputError,
    find_sources,
)
from layerscope.inputs.report import FileKind, FileTally

SHOWN_ROWS = 10
OPTIONS = {"text": "--text FIELD", "domain": "--domain FIELD"}


@dataclass(frozen=True)
class TextFiles:
    """What a user wants to have read."""

    paths: tuple[str, ...]
    fields: FieldNames
    lines: bool


@dataclass(frozen=True)
class PreparedTexts:
    """The texts as lines that are compressed, unless the service would refuse them for it."""

    file: IO[bytes]
    is_compressed: bool
    report: InputReport


@contextmanager
def prepared(wanted: TextFiles) -> Iterator[PreparedTexts]:
    """The texts of the files. The report is printed on stderr. Raises: UnreadableInputError."""
    reader = open_files(wanted)
    with stream_file(encoded(record.to_line()) for record in _read(reader)) as (file, is_compressed):
        print_report(reader.report)
        check_report(reader.report)
        yield PreparedTexts(file, is_compressed, reader.report)


def open_files(wanted: TextFiles) -> InputReader:
    return InputReader(find_sources(wanted.paths, lines=wanted.lines), wanted.fields, lines=wanted.lines)


def _read(reader: InputReader) -> Iterator[TextRecord]:
    with remedies():
        yield from reader


@contextmanager
def remedies() -> Iterator[None]:
    """Adds the option that may help to an error."""
    try:
        yield
    except UnreadableInputError as error:
        if error.field is None:
            raise
        raise UnreadableInputError(f"{error} Use {OPTIONS[error.field]}.") from error


def check_report(report: InputReport) -> None:
    if not report.texts:
        raise UnreadableInputError("No text was found that can be measured.")


def print_report(report: InputReport) -> None:
    """What was guessed, what was renamed, and what cannot be used, on stderr."""
    for kind, tally in report.files.items():
        print_note(_in_words(kind, tally))
    if report.skipped:
        skipped = ", ".join(f"{count} × {what}" for what, count in report.skipped.items())
        print_note(f"Not read: {skipped}.")
    if report.renamed:
        renamed = ", ".join(
            f"{label!r} → {name}" for label, name in list(report.renamed.items())[:SHOWN_ROWS]
        )
        print_note(f"Domains with other names, because of their characters: {renamed}.")
    if report.unusable_count:
        print_note(f"{_count(report.unusable_count, 'row')} cannot be used and will not be measured:")
        for row in report.unusable[:SHOWN_ROWS]:
            print_note(f"  {row}")
        if report.unusable_count > SHOWN_ROWS:
            print_note(f"  and {report.unusable_count - SHOWN_ROWS:,} more")


def _in_words(kind: FileKind, tally: FileTally) -> str:
    files = tally.name if tally.files == 1 else f"{tally.name} and {tally.files - 1:,} more"
    facts = [kind.format, kind.encoding, "gzip" if kind.is_compressed else None]
    named = [("text", kind.fields.text), ("domain", kind.fields.domain), ("pair", kind.fields.pair)]
    fields = [f"{role} in the field {name!r}" for role, name in named if name]
    read = f"{files}: {', '.join(filter(None, facts))}; {_count(tally.texts, 'text')}"
    return f"{read}; {', '.join(fields)}." if fields else f"{read}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
