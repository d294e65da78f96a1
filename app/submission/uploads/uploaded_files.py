"""Reads a submission that consists of files: the readers of the command line, and then those of a stream."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from app.errors import InvalidRequest
from app.jobs.store import StoredText
from app.settings import Settings
from app.submission.input_errors import REPORTED_ERRORS, InputErrors
from app.submission.ndjson_stream import read_texts
from app.submission.rules import KnownModels
from app.submission.stream_parameters import StreamRequest, read_parameters
from app.submission.uploads.compressed_files import decompressed
from app.submission.uploads.form_data import FormData
from layerscope.inputs import FieldNames, InputReader, UnreadableInputError, uploaded
from layerscope.names import DEFAULT_DOMAIN

PASTED, PASTED_DOMAIN = "pasted", "pasted_domain"  # fields of the web page
LINES, UNUSABLE = "lines", "unusable"
FIELD_NAMES = ("text", "domain", "pair")
REFUSE, SKIP = "refuse", "skip"
REMEDIES = {"text": "-F text=FIELD", "domain": "-F domain=FIELD"}


class FilesRequest(NamedTuple):
    """The request without its texts, and the reader of its files.

    `skips`: rows that cannot be used are left out; otherwise the request is refused.
    """

    stream: StreamRequest
    files: InputReader
    skips: bool


@dataclass(frozen=True)
class FileOptions:
    """How files are read. `skips`: see FilesRequest."""

    fields: FieldNames
    lines: bool
    skips: bool


def read_files(form: FormData, key: str | None, models: KnownModels, settings: Settings) -> FilesRequest:
    """Raises: InvalidRequest."""
    options = file_options(form)
    stream = read_parameters(other_fields(form), key, models)
    most_unusable = settings.texts_per_job_limit if options.skips else REPORTED_ERRORS
    return FilesRequest(stream, reader_of(form, options, settings, most_unusable), options.skips)


def reader_of(form: FormData, options: FileOptions, settings: Settings, most_unusable: int) -> InputReader:
    """Raises: InvalidRequest."""
    # A field without a chosen file has no name.
    files = [(name, decompressed(name, file, settings)) for name, file in form.files if name]
    pasted = dict(form.fields).get(PASTED, "")
    if pasted.strip():
        domain = dict(form.fields).get(PASTED_DOMAIN) or DEFAULT_DOMAIN
        files.append((f"{domain}.txt", io.BytesIO(pasted.encode())))
    if not files:
        raise InvalidRequest("The form has no file. Add one: curl -F file=@texts.csv")
    try:
        found = uploaded(files, lines=options.lines)
    except UnreadableInputError as error:
        raise unreadable(error) from error
    return InputReader(found, options.fields, lines=options.lines, most_unusable=most_unusable)


def texts_of(request: FilesRequest, settings: Settings) -> Iterator[StoredText]:
    """The texts of the files, each checked like a line of a stream. Raises: InvalidRequest, LimitExceeded."""
    yield from read_texts(_lines(request.files, skips=request.skips), settings, request.stream)


def _lines(files: InputReader, *, skips: bool) -> Iterator[bytes]:
    try:
        for record in files:
            if files.report.unusable_count and not skips:
                continue  # the next rows are checked for more errors
            yield json.dumps(record.to_line()).encode() + b"\n"
    except UnreadableInputError as error:
        if skips or not files.report.unusable_count:
            raise unreadable(error) from error
    if not skips:
        check_unusable(files)


def check_unusable(files: InputReader) -> None:
    """Raises: InvalidRequest if a row cannot be used."""
    errors = InputErrors()
    for row in files.report.unusable:
        errors.add_at(row.where, row.reason)
    if errors.count:
        found = errors.to_exception()
        raise InvalidRequest(
            f"{found.detail} The field {UNUSABLE}={SKIP} leaves such rows out.", found.errors
        )


def unreadable(error: UnreadableInputError) -> InvalidRequest:
    """The error with the field of the form that may help."""
    remedy = f" Name it: {REMEDIES[error.field]}." if error.field in REMEDIES else ""
    return InvalidRequest(f"{error}{remedy}")


def file_options(form: FormData) -> FileOptions:
    """How the files are read. Raises: InvalidRequest."""
    own = {name: value for name, value in form.fields if value}
    lines, unusable = own.get(LINES, "false"), own.get(UNUSABLE, REFUSE)
    if lines not in ("true", "false", "on"):
        raise InvalidRequest(f"The field {LINES} must be true or false, not {lines!r}.")
    if unusable not in (REFUSE, SKIP):
        raise InvalidRequest(f"The field {UNUSABLE} must be {REFUSE} or {SKIP}, not {unusable!r}.")
    fields = FieldNames(**{name: own.get(name) for name in FIELD_NAMES})
    return FileOptions(fields, lines != "false", unusable == SKIP)


def other_fields(form: FormData) -> list[tuple[str, str]]:
    """The fields that a stream has too, as parameters. An empty field is a missing one."""
    own = (PASTED, PASTED_DOMAIN, LINES, UNUSABLE, *FIELD_NAMES)
    return [(name, value) for name, value in form.fields if value and name not in own]
