"""Texts from a user's files, in every format."""

import gzip
import io
import json
from typing import Any

import pytest

from layerscope.inputs import InputReader, find_sources, uploaded
from tests.support.reading import Write, lines_of, parquet_of, read, reasons, refused

RECORDS = [
    {"text": "int i;", "label": "cpp"},
    {"text": "i = 1", "label": "python"},
    {"text": "int j;", "label": "cpp"},
]


EXPECTED = [("cpp", "int i;"), ("python", "i = 1"), ("cpp", "int j;")]


FORMATS: dict[str, str | bytes] = {
    "data.json": json.dumps(RECORDS, indent=2),
    "data.jsonl": lines_of(RECORDS),
    "data.ndjson": lines_of(RECORDS).replace("\n", "\r\n"),
    "data.csv": 'text,label\r\nint i;,cpp\r\n"i = 1",python\r\nint j;,cpp\r\n',
    "semicolons.csv": 'label;text\ncpp;"int i;"\npython;i = 1\ncpp;"int j;"\n',
    "tabs.csv": "label\ttext\ncpp\tint i;\npython\ti = 1\ncpp\tint j;\n",
    "carriage returns.csv": "text,label\rint i;,cpp\ri = 1,python\rint j;,cpp\r",
    "data.parquet": parquet_of(RECORDS),
    "lines.json": lines_of(RECORDS),
    "document.jsonl": json.dumps(RECORDS, indent=2),
}


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FORMATS)
def test_records_in_every_format(write: Write, name: str, is_compressed: bool) -> None:
    content = FORMATS[name] if isinstance(FORMATS[name], bytes) else str(FORMATS[name]).encode()
    assert isinstance(content, bytes)
    path = write(f"{name}.gz", gzip.compress(content)) if is_compressed else write(name, content)
    found, report = read(path)
    assert found == EXPECTED
    ((kind, tally),) = report.files.items()
    assert (kind.fields.text, kind.fields.domain, kind.is_compressed) == ("text", "label", is_compressed)
    assert (tally.name, tally.files, tally.texts) == (str(path), 1, 3)
    assert {name: domain.texts for name, domain in report.domains.items()} == {"cpp": 2, "python": 1}
    assert report.domains["python"].characters == len("i = 1")
    assert report.domains["python"].text_bytes == len("i = 1")
    assert (report.unusable_count, report.renamed) == (0, {})


@pytest.mark.parametrize("name", FORMATS)
def test_an_open_file_gives_the_same(name: str) -> None:
    content = FORMATS[name] if isinstance(FORMATS[name], bytes) else str(FORMATS[name]).encode()
    assert isinstance(content, bytes)
    reader = InputReader(uploaded([(name, io.BytesIO(content))]))
    assert [(record.domain, record.value) for record in reader] == EXPECTED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cpp.json", ["a", "b"]),
        ("cpp.jsonl", '"a"\n"b"\n'),
        ("cpp.jsonl", '{"text": "a"}\n\n{"text": "b"}'),
        ("cpp.csv", "content\na\nb\n"),
        ("CPP.JSON", ["a", "b"]),
        ("cpp.json", [{"prompt": "a"}, {"prompt": "b"}]),
    ],
)
def test_without_a_domain_the_name_of_the_file_is_the_domain(write: Write, name: str, content: Any) -> None:
    assert read(write(name, content))[0] == [(name.partition(".")[0], "a"), (name.partition(".")[0], "b")]


def test_lists_by_domain(write: Write) -> None:
    content = {
        "cpp": ["a", {"text": "b", "pair": 7}],
        "python": [{"messages": [{"role": "user", "content": "c"}]}],
    }
    reader = InputReader(find_sources([write("x.json", content)]))
    assert [dict(record.to_line()) for record in reader] == [
        {"domain": "cpp", "text": "a"},
        {"domain": "cpp", "text": "b", "pair": "7"},
        {"domain": "python", "messages": [{"role": "user", "content": "c"}]},
    ]


def test_in_lists_by_domain_no_field_is_reported_as_the_domain(write: Write) -> None:
    found, report = read(write("x.json", {"cpp": [{"text": "a", "label": "b"}]}))
    assert found == [("cpp", "a")]
    assert [kind.fields.domain for kind in report.files] == [None]


def test_each_line_of_a_text_file_can_be_a_text(write: Write) -> None:
    found, report = read(write("cpp.txt", "one\r\n\ntwo\n three"), lines=True)
    assert found == [("cpp", "one"), ("cpp", "two"), ("cpp", " three")]
    assert reasons(report) == [("line 2", "the text is empty or contains only white space")]


def test_names_of_domains_are_made_valid_and_reported(write: Write) -> None:
    labels = ["C++", "Cpp", "C#", "français", "data science", "data\tscience", "ok", "日本"]
    names = ["Cpp", "Cpp_2", "Csharp", "francais", "data_science", "data_science_2", "ok", "__"]
    found, report = read(write("x.jsonl", lines_of([{"text": "a", "label": label} for label in labels])))
    assert [domain for domain, _ in found] == names
    changed = zip(labels, names, strict=True)
    assert report.renamed == {label: name for label, name in changed if label != name}


def test_too_many_domains_are_an_error(write: Write) -> None:
    records = [{"text": "a", "domain": f"d{i}"} for i in range(1001)]
    assert "more than 1,000 different domains" in refused(
        write("x.jsonl", lines_of(records)), domain="domain"
    )
