"""Bodies of type multipart/form-data, for properties of their reader."""

from typing import NamedTuple

from hypothesis import strategies as st

from tests.support.byte_strategies import TEXTS, as_json

BOUNDARY = b"limit"
FORM_TYPE = "multipart/form-data; boundary=limit"
# The value of a header is a string of bytes.
FORM_TYPES = st.just(FORM_TYPE) | st.lists(
    st.sampled_from(("multipart/form-data", "; ", "boundary", "*0", "=", "utf-8''%ff", '"', "\\", "limit"))
    | st.text(st.characters(max_codepoint=255), max_size=5)
).map("".join)
FORM_TOKENS = (
    *(b"--limit", b"--limit--", b"\r\n", b"\r", b"\n", b"\r\n\r\n"),
    *(b"--", b" ", b"\0", b"\xff", b'"', b"\\", b";"),
    *(b"Content-Disposition: form-data; ", b"name=", b"filename=", b"filename*=UTF-8''%ff", b"text", b"file"),
    *(b"Content-Type: text/plain", b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"x"),
)
FIELDS = ("text", "domain", "pair", "lines", "unusable", "pasted", "pasted_domain", "model", "window", "name")
FILES = ("a.txt", "a.csv", "a.json", "a.jsonl", "a.parquet", "a.csv.gz", "", "\u00e9/../b.txt")
CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.lists(TEXTS.map(as_json), max_size=3).map(b"\n".join),
    st.sampled_from((b"text,domain\na,b\n", b"demo", b"true", b"skip", b"a text")),
)


class Part(NamedTuple):
    """A field, or a file if it has the name of one."""

    name: str
    file: str | None
    content: bytes


PARTS = st.lists(
    st.builds(Part, st.sampled_from(FIELDS), st.none() | st.sampled_from(FILES), CONTENTS), max_size=5
)


def as_form(parts: list[Part]) -> bytes:
    return b"".join(map(_written, parts)) + b"--%s--\r\n" % BOUNDARY


def _written(part: Part) -> bytes:
    file = "" if part.file is None else f'; filename="{part.file}"'
    head = f'Content-Disposition: form-data; name="{part.name}"{file}'.encode()
    return b"--%s\r\n%s\r\n\r\n%s\r\n" % (BOUNDARY, head, part.content)
