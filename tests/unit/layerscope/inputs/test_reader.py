"""Texts from a user's files, in every format."""

import gzip
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layerscope.inputs import (
    FieldNames,
    InputReader,
    InputReport,
    UnreadableInputError,
    find_sources,
    uploaded,
)

Write = Callable[[str, Any], Path]
Found = list[tuple[str, Any]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(*paths: Path | str, lines: bool = False, **fields: str) -> tuple[Found, InputReport]:
    reader = InputReader(find_sources(paths, lines=lines), FieldNames(**fields), lines=lines)
    found = [(record.domain, record.value) for record in reader]
    return found, reader.report


def refused(*paths: Path | str, **options: Any) -> str:
    with pytest.raises(UnreadableInputError) as error:
        read(*paths, **options)
    return str(error.value)


def reasons(report: InputReport) -> list[tuple[str, str]]:
    return [(row.place, row.reason) for row in report.unusable]


def lines_of(records: Sequence[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


RECORDS = [
    {"text": "int i;", "label": "cpp"},
    {"text": "i = 1", "label": "python"},
    {"text": "int j;", "label": "cpp"},
]
EXPECTED = [("cpp", "int i;"), ("python", "i = 1"), ("cpp", "int j;")]


def parquet_of(records: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return sink.getvalue()


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


def test_a_text_file_is_one_text_exactly_as_it_is(write: Write) -> None:
    path = write("essay.txt", "one\r\n\r\ntwo\n")
    assert read(path)[0] == [("essay", "one\r\n\r\ntwo\n")]


def test_each_line_of_a_text_file_can_be_a_text(write: Write) -> None:
    found, report = read(write("cpp.txt", "one\r\n\ntwo\n three"), lines=True)
    assert found == [("cpp", "one"), ("cpp", "two"), ("cpp", " three")]
    assert reasons(report) == [("line 2", "the text is empty or contains only white space")]


def test_in_a_folder_each_subfolder_or_file_is_a_domain(write: Write, tmp_path: Path) -> None:
    write("data/cpp/a.txt", "a")
    write("data/cpp/deep/b.json", ["b"])
    write("data/python.jsonl", '{"text": "c"}')
    write("data/.hidden", "x")
    write("data/.git/x.txt", "x")
    write("data/notes.md", "x")
    write("data/Makefile", "x")
    found, report = read(tmp_path / "data")
    assert found == [("python", "c"), ("cpp", "a"), ("cpp", "b")]
    assert report.skipped == {
        "hidden file": 1,
        "hidden or linked folder": 1,
        ".md": 1,
        "file without suffix": 1,
    }


@pytest.mark.parametrize(("files", "domains"), [(16, 16), (17, 1)])
def test_more_single_texts_than_a_job_has_domains_are_one_domain(
    write: Write, tmp_path: Path, files: int, domains: int
) -> None:
    for i in range(files):
        write(f"essays/{i:02}.txt", f"text {i}")
    found, _ = read(tmp_path / "essays")
    assert len(found) == files
    assert len({domain for domain, _ in found}) == domains
    if domains == 1:
        assert found[0][0] == "essays"
    opened = [(f"essays/{i:02}.txt", io.BytesIO(b"text")) for i in range(files)]
    assert len({record.domain for record in InputReader(uploaded(opened))}) == domains


def test_uploaded_files_have_the_domains_of_their_folders() -> None:
    names = ["data/cpp/a.txt", "data/python.txt", "rust.txt", "data\\cpp\\b.txt"]
    found = InputReader(uploaded([(name, io.BytesIO(b"text")) for name in names]))
    assert [record.domain for record in found] == ["cpp", "python", "rust", "cpp"]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8 with a byte order mark"),
        ("utf-16", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
@pytest.mark.parametrize("name", ["x.txt", "x.csv", "x.json", "x.jsonl"])
def test_encodings_are_detected_and_reported(write: Write, name: str, encoding: str, words: str) -> None:
    text = "Ünïcödé 日本 🐍" * 30_000
    content = {
        "x.txt": text,
        "x.csv": f"text\n{text}\n",
        "x.json": json.dumps([text], ensure_ascii=False),
        "x.jsonl": json.dumps(text, ensure_ascii=False) + "\n",
    }[name]
    found, report = read(write(name, content.encode(encoding)))
    assert found == [("x", text)]
    assert [kind.encoding for kind in report.files] == [words]


@pytest.mark.parametrize("start", [0, 1, 65_535, 65_536, 200_001])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "mark"])
def test_a_byte_that_cannot_be_decoded_is_named_with_its_position(
    write: Write, start: int, mark: bytes
) -> None:
    before = (b"ab\xc3\xa9\n" * 50_000)[:start]
    before = before[: len(before) - (before[-1:] == b"\xc3")]
    path = write("sales.txt", mark + before + b"\xe9 caf\xe9")
    line, position = before.count(b"\n") + 1, len(mark) + len(before)
    message = refused(path)
    assert message.startswith(f"{path}, line {line}: byte 0xe9 at position {position} is not UTF-8")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_refused(write: Write, codec: str) -> None:
    assert "seems to be UTF-16 without a byte order mark" in refused(write("x.txt", "abc".encode(codec)))


def test_half_a_character_at_the_end_is_an_error(write: Write) -> None:
    assert "byte 0xc3 at position 3 is not UTF-8" in refused(write("x.txt", b"abc\xc3"))
    assert "at position 4 is not UTF-16" in refused(write("y.txt", b"\xff\xfea\0b"))


def test_rows_that_cannot_be_used_are_listed_with_their_place(write: Write) -> None:
    rows = [
        '{"text": "good", "domain": "a"}',
        '{"text": "", "domain": "a"}',
        "not JSON",
        "",
        '{"domain": "a"}',
        '{"text": "x\\u0000", "domain": "a"}',
        '{"text": 3, "domain": "a"}',
        '{"text": "good"}',
        f'{{"text": "good", "domain": "{"d" * 65}"}}',
        '{"text": "good", "domain": " "}',
        '{"text": "good", "domain": ["a"]}',
        '{"text": "\\ud800", "domain": "a"}',
        '{"text": [1, -2], "domain": "a"}',
        '{"text": "good", "domain": "a", "pair": ""}',
        '{"text": "good", "text": "twice", "domain": "a"}',
        "null",
        '{"text": "also good", "domain": "a"}',
    ]
    path = write("x.jsonl", "\n".join(rows))
    found, report = read(path)
    assert found == [("a", "good"), ("a", "also good")]
    listed = dict(reasons(report))
    assert report.unusable_count == len(listed) == 14
    assert listed["line 3"].startswith("is not JSON: ")
    del listed["line 3"]
    assert listed == {
        "line 2": "the text is empty or contains only white space",
        "line 5": "has no text",
        "line 6": "the text contains a NUL character, which cannot be stored",
        "line 7": "the text is a number, not a string, token ids or messages",
        "line 8": "has no domain",
        "line 9": "the domain has 65 characters, more than 64",
        "line 10": "the domain is blank",
        "line 11": "the domain is neither a string nor a number",
        "line 12": "the text contains half of a surrogate pair, which is not a character",
        "line 13": f"token_ids/1 is not a token id: use a whole number from 0 to {2**31 - 1}",
        "line 14": "the pair is empty or contains only white space",
        "line 15": "is not JSON: the field 'text' occurs more than once",
        "line 16": "the text is a null, not a string, token ids or messages",
    }
    assert str(report.unusable[0]) == f"{path}, line 2: the text is empty or contains only white space"


def test_a_row_of_a_csv_file_has_as_many_cells_as_the_header(write: Write) -> None:
    found, report = read(write("x.csv", 'text,label\n"a\nb",x\n\nint f(a, b),x\nc\n"d",x\n'))
    assert found == [("x", "a\nb"), ("x", "d")]
    assert reasons(report) == [
        ("line 5", "must have 2 cells like the header, but has 3"),
        ("line 6", "must have 2 cells like the header, but has 1"),
    ]


def test_only_the_first_rows_are_listed_but_all_are_counted(write: Write) -> None:
    _, report = read(write("x.jsonl", '{"text": "a"}\n' + '{"text": ""}\n' * 500))
    assert (report.unusable_count, len(report.unusable)) == (500, 100)


@pytest.mark.parametrize(
    ("record", "text", "domain"),
    [
        ({"prompt": "a", "content": "b", "text": "c"}, "text", None),
        ({"prompt": "a", "content": "b", "other": "c"}, "content", None),
        ({"prompt": "a", "language": "en", "source": "s"}, "prompt", "source"),
        ({"text": "a", "label": 3, "category": "c"}, "text", "label"),
        ({"text": "a", "domain": True}, "text", "domain"),
        ({"text": "a", "domain": ["no", "label"], "language": "en"}, "text", "language"),
        ({"input_ids": [1, 2], "title": "t"}, "input_ids", None),
        ({"messages": [{"role": "user", "content": "a"}]}, "messages", None),
    ],
)
def test_fields_are_guessed(write: Write, record: dict[str, Any], text: str, domain: str | None) -> None:
    found, report = read(write("x.jsonl", lines_of([record])))
    assert report.unusable_count == 0
    ((kind, _),) = report.files.items()
    assert (kind.fields.text, kind.fields.domain) == (text, domain)
    label = "x" if domain is None else record[domain]
    assert found == [(label if isinstance(label, str) else json.dumps(label), record[text])]


def test_a_field_with_many_values_is_not_taken_for_the_domain(write: Write) -> None:
    records = [{"text": "a", "source": f"https://example.org/{i}", "language": "en"} for i in range(17)]
    _, report = read(write("x.jsonl", lines_of(records)))
    assert list(report.domains) == ["en"]


def test_a_field_that_most_rows_lack_is_not_taken_for_the_domain(write: Write) -> None:
    records = [{"text": "a", "label": "cpp"}, {"text": "b"}, {"text": "c"}]
    assert read(write("x.jsonl", lines_of(records)))[0] == [("x", "a"), ("x", "b"), ("x", "c")]


def test_fields_can_be_named(write: Write) -> None:
    record = {"text": "no", "code": "yes", "domain": "no", "lang": "yes", "pair": "no", "id": 7}
    path = write("x.jsonl", lines_of([record]))
    reader = InputReader(find_sources([path]), FieldNames("code", "lang", "id"))
    assert [dict(line.to_line()) for line in reader] == [{"domain": "yes", "text": "yes", "pair": "7"}]
    reader = InputReader(find_sources([path]), FieldNames(domain="", pair=""))
    assert [dict(line.to_line()) for line in reader] == [{"domain": "x", "text": "no"}]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.parquet"])
def test_a_field_that_does_not_exist_is_an_error_that_lists_the_fields(write: Write, name: str) -> None:
    content = {"x.jsonl": '{"body": "a"}', "x.csv": "body\na\n", "x.parquet": parquet_of([{"body": "a"}])}[
        name
    ]
    path = write(name, content)
    assert refused(path, text="tex") == f"{path} has no field 'tex'. Its fields are body."
    assert refused(path, text="body", domain="d") == f"{path} has no field 'd'. Its fields are body."
    assert refused(path).startswith(f"No field of {path} is named text, content, prompt, messages,")
    assert read(path, text="body")[0] == [("x", "a")]


def test_lines_of_the_service_may_have_different_forms(write: Write) -> None:
    lines = [
        {"text": "a"},
        {"text": "b"},
        {"token_ids": [1]},
        {"messages": [{"role": "user", "content": "c"}]},
    ]
    reader = InputReader(find_sources([write("x.jsonl", lines_of(lines))]))
    assert [record.form for record in reader] == ["text", "text", "token_ids", "messages"]


def test_token_ids_and_messages_in_a_csv_file_are_json(write: Write) -> None:
    found, report = read(write("x.csv", 'input_ids\n"[1, 2]"\nno\n'))
    assert found == [("x", [1, 2])]
    assert reasons(report)[0][1].startswith("input_ids is not JSON: ")


def test_messages_in_a_parquet_file(write: Write) -> None:
    messages = [{"role": "user", "content": "a"}]
    path = write("x.parquet", parquet_of([{"messages": messages, "embedding": [0.5] * 100}]))
    assert read(path)[0] == [("x", messages)]


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


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"text": "a"}\n{"text": "b"}', [("default", "a"), ("default", "b")]),
        ('{"cpp": ["a"], "python": ["b"]}', [("cpp", "a"), ("python", "b")]),
        (' \n["a", "b"]', [("default", "a"), ("default", "b")]),
        ('{"text": "a"}', [("default", "a")]),
        ('{"text": ["a"], "messages": ["b"]}', [("text", "a"), ("messages", "b")]),
        ("[1, 2]\n[3]\n", [("default", [1, 2]), ("default", [3])]),
        ("plain text\n", [("default", "plain text\n")]),
        ("", []),
    ],
)
def test_the_content_of_stdin_decides_its_format(
    monkeypatch: pytest.MonkeyPatch, content: str, expected: Found
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert read("-")[0] == expected


def test_stdin_can_be_csv_if_the_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"body,n\na,1\n"))))
    assert read("-", text="body")[0] == [("default", "a")]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.json", '["a", "b"', "at character 9: ',' or ']' is expected"),
        ("x.json", '["a" "b"]', "at character 5: ',' or ']' is expected"),
        ("x.json", '["a", tru]', "at character 6: Expecting value"),
        ("x.json", '{"cpp": "a"}', "the member 'cpp' must be a list of texts"),
        ("x.json", "", "a list of texts, or an object"),
        ("x.json", '["a"] "b"', "the document continues after its end"),
        ("x.json", '{"cpp" ["a"]}', "':' is expected"),
        ("x.json", "{3: []}", "the name of a domain is expected"),
        ("x.json", '[{"text": NaN}]', "NaN is not a JSON value"),
        ("x.json", "[" * 100_000, "nested too deeply"),
        ("x.csv", "", "has no header"),
        ("x.csv", "\rtext\ra\r", "has no header"),
        ("x.csv", "text,text\na,b\n", "has two fields named 'text'"),
        ("x.csv", 'text\n"a"b\n', "line 2: the CSV is invalid"),
        ("x.csv", 'text\n"a\n', "the CSV is invalid"),
        ("x.parquet", b"PAR1 no", "is not a Parquet file"),
        # No time in these bytes: they are part of the name of the test, which all processes must agree on.
        ("x.txt.gz", gzip.compress(b"abc" * 1000, mtime=0)[:-9], "is not a complete gzip file"),
        ("x.txt", b"\x1f\x8bno gzip", "is not a complete gzip file"),
        ("x.pdf", "abc", "has none of the suffixes .txt, .json,"),
        ("x", "abc", "has none of the suffixes"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(
    write: Write, name: str, content: str | bytes, reason: str
) -> None:
    path = write(name, content if isinstance(content, bytes) else content.encode())
    message = refused(path)
    assert str(path) in message
    assert reason in message


def test_paths_that_cannot_be_read_are_errors(tmp_path: Path) -> None:
    assert (
        refused(tmp_path / "none.txt")
        == f"{tmp_path / 'none.txt'} cannot be read: No such file or directory."
    )
    assert "contains no file with one of the suffixes" in refused(tmp_path)
