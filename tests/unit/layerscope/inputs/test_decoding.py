"""Encodings of a user's files."""

import json

import pytest

from tests.support.reading import Write, read, refused


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
