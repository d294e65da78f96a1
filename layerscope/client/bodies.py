"""Encodes texts as the body of a submission: a small document, or a compressed stream in a temporary file.

Generators are read before the request starts: the service limits the time that a body may take to arrive, and
a request that is repeated needs the same body again.
"""

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

GivenText = (
    str | Mapping[str, Any]
)  # an object has one of `text`, `token_ids`, `messages`, and perhaps `pair`
GivenTexts = Mapping[str, Iterable[GivenText]] | Iterable[GivenText]

SMALL = (
    2**20
)  # characters: no limit of a document can be exceeded, and errors name places in the user's object
# The service refuses a body that expands more than a hundredfold (LAYERSCOPE_GZIP_EXPANSION_LIMIT).
LARGEST_EXPANSION, SLACK = 50, 2**19

JSON, NDJSON = {"Content-Type": "application/json"}, {"Content-Type": "application/x-ndjson"}


@dataclass(frozen=True)
class SubmissionBody:
    """`params` are those of a stream: a document contains them."""

    content: bytes | IO[bytes]
    headers: Mapping[str, str]
    params: Mapping[str, str]


@contextmanager
def body_of(texts: GivenTexts, request: Mapping[str, Any], on_invalid: str) -> Iterator[SubmissionBody]:
    """The body of a submission. `request` has `model`, `name` and `options`.

    Raises: TypeError, ValueError if the texts cannot be encoded.
    """
    _check_kind(texts)
    if on_invalid == "refuse" and _is_small(texts):
        yield SubmissionBody(encoded({**request, "texts": texts}), JSON, {})
        return
    with stream_file(_lines(texts)) as (file, is_compressed):
        yield stream_body(file, request, on_invalid, compressed=is_compressed)


@contextmanager
def stream_file(lines: Iterable[bytes]) -> Iterator[tuple[IO[bytes], bool]]:
    """A temporary file with these lines, and whether it is compressed."""
    with temporary_file() as file:
        expands = _compress(lines, file)
        if not expands:
            yield file, True
            return
        file.seek(0)
        with temporary_file() as plain:
            with gzip.open(file) as content:
                shutil.copyfileobj(content, plain)
            plain.flush()
            yield plain, False


@contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    with tempfile.NamedTemporaryFile(prefix="layerscope-", suffix=".ndjson") as file:
        yield cast(IO[bytes], file)


def stream_body(
    file: IO[bytes], request: Mapping[str, Any], on_invalid: str, *, compressed: bool = True
) -> SubmissionBody:
    """The body of a file with one object per line."""
    file.seek(0, os.SEEK_END)
    headers = NDJSON | {"Content-Length": str(file.tell())}
    if compressed:
        headers |= {"Content-Encoding": "gzip"}
    file.seek(0)
    given = {name: request[name] for name in ("model", "name") if name in request}
    params = given | {name: _parameter(value) for name, value in request.get("options", {}).items()}
    return SubmissionBody(
        file, headers, params | ({"on_invalid": on_invalid} if on_invalid != "refuse" else {})
    )


def _check_kind(texts: GivenTexts) -> None:
    groups = texts.items() if isinstance(texts, Mapping) else [("texts", texts)]
    for name, group in groups:
        if isinstance(group, str | bytes | Mapping) or not isinstance(group, Iterable):
            raise TypeError(
                f"{name!r} must be a list or another iterable of texts, not one {type(group).__name__}"
            )


def _is_small(texts: GivenTexts) -> bool:
    size = 0
    for group in texts.values() if isinstance(texts, Mapping) else [texts]:
        if not isinstance(group, list | tuple):
            return False
        for text in group:
            if isinstance(text, Mapping) and "domain" in text:  # only lines of a stream have this member
                return False
            size += len(text) if isinstance(text, str) else len(encoded(text))
            if size > SMALL:
                return False
    return True


def _lines(texts: GivenTexts) -> Iterator[bytes]:
    if not isinstance(texts, Mapping):
        yield from (encoded(_object(text)) for text in texts)
        return
    for domain, group in texts.items():
        is_empty = True
        for text in group:
            is_empty = False
            yield encoded(_object(text, domain))
        if is_empty:
            raise ValueError(f"The domain {domain!r} contains no text.")


def _object(text: GivenText, domain: str | None = None) -> Mapping[str, Any]:
    members = text if isinstance(text, Mapping) else {"text": text}
    if domain is None:
        return members
    if members.get("domain", domain) != domain:
        raise ValueError(f"A text of the domain {domain!r} names the domain {members['domain']!r}.")
    return {**members, "domain": domain}


def encoded(value: Any) -> bytes:
    """A value as a line of JSON, without its line end."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _compress(lines: Iterable[bytes], file: IO[bytes]) -> bool:
    written, expands = 0, False
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as compressed:
        for line in lines:
            compressed.write(line + b"\n")
            written += len(line) + 1
            expands |= written > LARGEST_EXPANSION * file.tell() + SLACK
    file.flush()
    return expands


def _parameter(value: Any) -> str:
    """As a query parameter: a list with commas, everything else as in JSON."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
