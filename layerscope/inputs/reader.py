"""Reads the texts of files, one after the other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from layerscope.inputs.csv_rows import csv_rows
from layerscope.inputs.decoding import decoded, lines_of, uncompressed, whole_text
from layerscope.inputs.domain_names import NamesOfDomains
from layerscope.inputs.fields import IDS_FIELDS, SAMPLE, FieldNames, choose_fields, text_of
from layerscope.inputs.json_lines import is_json_lines, json_line_rows
from layerscope.inputs.json_values import json_rows, parse_json
from layerscope.inputs.parquet_rows import parquet_rows
from layerscope.inputs.records import InputRow, TextRecord, UnreadableInputError, UnusableRow
from layerscope.inputs.report import FileKind, InputReport
from layerscope.inputs.sources import FoundSources, InputFormat, InputSource
from layerscope.names import DEFAULT_DOMAIN, TextForm
from layerscope.text_forms import mistake_in, pair_mistake, text_mistake

JSON_STARTS = "[{"
GUESSED = FieldNames()


@dataclass(frozen=True)
class _Rows:
    """The rows of a file, and how it is read."""

    rows: Iterator[InputRow]
    format: InputFormat
    encoding: str | None
    is_compressed: bool


class InputReader:
    """Iterates over the texts of sources. `report` describes what was read so far.

    Args:
        lines: whether each line of a text file is a text.
        most_unusable: after more unusable rows the reader gives up. None: it never does.
    Raises: UnreadableInputError while it is iterated.
    """

    def __init__(
        self,
        found: FoundSources,
        fields: FieldNames = GUESSED,
        *,
        lines: bool = False,
        most_unusable: int | None = None,
    ) -> None:
        self._sources, self._fields, self._lines = found.sources, fields, lines
        self._most_unusable = most_unusable
        self._domains = NamesOfDomains()
        self.report = InputReport(skipped=found.skipped, renamed=self._domains.renamed)

    def __iter__(self) -> Iterator[TextRecord]:
        return (row for row in self.rows() if isinstance(row, TextRecord))

    def rows(self) -> Iterator[TextRecord | UnusableRow]:
        """The texts, and between them the rows that cannot be used."""
        for source in self._sources:
            with source.open() as file:
                pieces, is_compressed = uncompressed(source.name, file)
                yield from self._records(source, self._open(source, pieces, is_compressed))

    def _open(self, source: InputSource, pieces: Iterator[bytes], is_compressed: bool) -> _Rows:
        name = source.name
        if source.format == InputFormat.PARQUET:
            rows = parquet_rows(name, pieces, self._fields.candidates())
            return _Rows(rows, InputFormat.PARQUET, None, is_compressed)
        text, encoding = decoded(name, pieces)
        file_format, text = self._format(source, text)
        return _Rows(self._rows(name, file_format, text), file_format, encoding, is_compressed)

    def _format(self, source: InputSource, text: Iterator[str]) -> tuple[InputFormat, Iterator[str]]:
        """The format that the content has, which may differ from the suffix where that is JSON."""
        if source.format in (InputFormat.TEXT, InputFormat.CSV):
            return source.format, text
        start, text = _start(text)
        if source.format is None and (not start or start not in JSON_STARTS):
            return InputFormat.CSV if self._fields.text else InputFormat.TEXT, text
        if source.format == InputFormat.JSON_LINES and start != "[":
            return InputFormat.JSON_LINES, text
        has_lines, text = is_json_lines(text, self._fields.text)
        return InputFormat.JSON_LINES if has_lines else InputFormat.JSON, text

    def _rows(self, name: str, file_format: InputFormat, text: Iterator[str]) -> Iterator[InputRow]:
        match file_format:
            case InputFormat.CSV:
                return csv_rows(name, lines_of(name, text))
            case InputFormat.JSON:
                return json_rows(name, text)
            case InputFormat.JSON_LINES:
                return json_line_rows(lines_of(name, text))
            case _ if self._lines:
                return (
                    InputRow(f"line {i}", _stripped(line)) for i, line in enumerate(lines_of(name, text), 1)
                )
            case _:
                return (InputRow("", value) for value in [whole_text(name, text)])

    def domain_of(self, row: UnusableRow) -> str:
        """The name of the domain to which a row would belong; `default` if it names none that is valid."""
        return self._domains.name_of(row.domain) or DEFAULT_DOMAIN

    def _records(self, source: InputSource, opened: _Rows) -> Iterator[TextRecord | UnusableRow]:
        sample = list(islice(opened.rows, SAMPLE))
        fields = choose_fields(source.name, sample, self._fields)
        kind = FileKind(opened.format.value, opened.encoding, opened.is_compressed, fields)
        tally = self.report.add_file(source.name, kind)
        for row in chain(sample, opened.rows):
            found = row.error or self._record(row, source, fields)
            if isinstance(found, str):
                unusable = UnusableRow(source.name, row.place, found, self._label(row, source, fields))
                self.report.add_unusable(unusable)
                self._check_unusable()
                yield unusable
                continue
            tally.texts += 1
            self.report.add_text(found)
            yield found

    def _check_unusable(self) -> None:
        count = self.report.unusable_count
        if self._most_unusable is not None and count > self._most_unusable:
            raise UnreadableInputError(
                f"More than {self._most_unusable} rows cannot be used, such as {self.report.unusable[-1]}."
            )

    def _record(self, row: InputRow, source: InputSource, fields: FieldNames) -> TextRecord | str:
        """The text of a row, or the reason why it cannot be used."""
        if not isinstance(row.value, Mapping):
            return self._text(row.value, self._label(row, source, fields), None)
        field, value = text_of(row.value, fields.text or "", is_guessed=not self._fields.text)
        if value is None:
            return f"has no {fields.text}"
        if isinstance(value, str) and field in (TextForm.MESSAGES, *IDS_FIELDS):
            try:
                value = parse_json(value)
            except ValueError as error:
                return f"{field} is not JSON: {error}"
        pair = row.value.get(fields.pair) if fields.pair else None
        return self._text(value, self._domain_value(row, source, fields), pair)

    def _label(self, row: InputRow, source: InputSource, fields: FieldNames) -> Any:
        """What names the domain of a row that may have any content."""
        if isinstance(row.value, Mapping):
            return self._domain_value(row, source, fields)
        return row.domain or source.domain

    def _domain_value(self, row: InputRow, source: InputSource, fields: FieldNames) -> Any:
        if fields.domain and (row.domain is None or self._fields.domain):
            return row.value.get(fields.domain)
        return row.domain or source.domain

    def _text(self, value: Any, domain: Any, pair: Any) -> TextRecord | str:
        form = _form_of(value)
        if form is None:
            return f"the text is a {_kind(value)}, not a string, token ids or messages"
        mistake = mistake_in(form, value, text_mistake)
        if mistake is not None:
            return mistake.sentence(form)
        name = self._domains.name_of(domain)
        if name is None:
            return _domain_reason(domain)
        label = json.dumps(pair) if isinstance(pair, int | float) else pair
        if label is not None and (wrong := pair_mistake(label)):
            return f"the pair {wrong}"
        return TextRecord(name, form, value, label)


def _start(text: Iterator[str]) -> tuple[str, Iterator[str]]:
    """The first character that is not white space, and the whole text."""
    taken: list[str] = []
    for piece in text:
        taken.append(piece)
        if piece.strip():
            break
    return "".join(taken).lstrip()[:1], chain(taken, text)


def _stripped(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _form_of(value: Any) -> str | None:
    if isinstance(value, str):
        return TextForm.TEXT.value
    if isinstance(value, Sequence):
        has_messages = any(isinstance(item, Mapping) for item in value)
        return TextForm.MESSAGES.value if has_messages else TextForm.TOKEN_IDS.value
    return None


def _kind(value: Any) -> str:
    names: dict[type, str] = {bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _domain_reason(domain: Any) -> str:
    if domain is None:
        return "has no domain"
    if isinstance(domain, str):
        return (
            "the domain is blank"
            if not domain.strip()
            else f"the domain has {len(domain)} characters, more than 64"
        )
    return "the domain is neither a string nor a number"
