"""Files, folders, uploads and standard input: what is a text, and what is its domain."""

import gzip
import io
import sys
from pathlib import Path

import pytest

from layerscope.inputs import InputReader, uploaded
from tests.support.reading import Found, Write, read, refused


def test_a_text_file_is_one_text_exactly_as_it_is(write: Write) -> None:
    path = write("essay.txt", "one\r\n\r\ntwo\n")
    assert read(path)[0] == [("essay", "one\r\n\r\ntwo\n")]


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
