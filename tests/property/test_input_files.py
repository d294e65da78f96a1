"""Whatever bytes a file contains, its texts are valid for the service, or it is an error that names it."""

import csv
import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Settings
from app.submission import rules
from app.submission.text_values import read_value
from layerscope.inputs import FieldNames, InputReader, TextRecord, UnreadableInputError, UnusableRow, uploaded
from layerscope.text_forms import Mistake
from tests.support.jobs.submissions import JSON, NAMES, TEXTS

SUFFIXES = ("txt", "json", "jsonl", "csv", "parquet")
PARQUET = io.BytesIO()
pq.write_table(pa.table({"text": ["a", "b"], "label": [1, 2]}), PARQUET)
STARTS = (
    b"",
    b"[",
    b"{",
    b'{"text": "a"}\n',
    b'{"a": [',
    b"text,label\n",
    b"\xff\xfe",
    b"\x1f\x8b",
    PARQUET.getvalue(),
)

contents = st.one_of(
    st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary(max_size=200)),
    st.builds(lambda value: json.dumps(value).encode(), JSON),
    st.builds(lambda values: "\n".join(map(json.dumps, values)).encode(), st.lists(JSON, max_size=5)),
    st.builds(lambda text: text.encode("utf-16"), st.text(max_size=50)),
    st.builds(gzip.compress, st.binary(max_size=100)),
    st.builds(
        lambda place, byte: PARQUET.getvalue()[:place] + bytes([byte]) + PARQUET.getvalue()[place + 1 :],
        st.integers(0, len(PARQUET.getvalue()) - 1),
        st.integers(0, 255),
    ),
)


@given(st.sampled_from(SUFFIXES), contents, st.booleans())
def test_any_bytes_give_valid_texts_or_an_error_that_names_the_file(
    suffix: str, content: bytes, lines: bool
) -> None:
    reader = InputReader(uploaded([(f"file.{suffix}", io.BytesIO(content))], lines=lines), lines=lines)
    records: list[TextRecord] = []
    settings, refused = Settings(), ""
    try:
        records.extend(reader)
    except UnreadableInputError as error:
        refused = str(error)
    assert not refused or "file." in refused
    for record in records:
        assert rules.domain_error(record.domain) is None
        value = read_value(record.form, record.value)
        assert not isinstance(value, Mistake)
        assert not rules.is_too_large(value.text, settings)
        assert json.loads(json.dumps(record.to_line()))
    assert reader.report.texts == len(records)
    assert len(reader.report.unusable) == min(reader.report.unusable_count, 100)
    assert all(isinstance(row, UnusableRow) and row.reason for row in reader.report.unusable)


def csv_of(records: list[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["text", "domain"])
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def parquet_of(records: list[dict[str, str]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return sink.getvalue()


@given(st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=20), st.booleans())
def test_every_format_keeps_every_text(texts: list[tuple[str, str]], is_compressed: bool) -> None:
    records: list[dict[str, Any]] = [{"text": text, "domain": domain} for domain, text in texts]
    files = {
        "x.json": json.dumps(records).encode(),
        "x.jsonl": b"".join(json.dumps(record).encode() + b"\n" for record in records),
        "y.json": "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode("utf-16"),
        "x.csv": csv_of(records),
        "x.parquet": parquet_of(records),
    }
    for name, content in files.items():
        packed = gzip.compress(content) if is_compressed else content
        found = InputReader(uploaded([(name, io.BytesIO(packed))]), FieldNames("text", "domain"))
        assert [(record.domain, record.value) for record in found] == texts, name
