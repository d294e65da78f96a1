"""A submission of any size: a text a line, checked as it arrives and never held as a whole."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from app.errors import InvalidRequest
from app.jobs.store import PostedText
from app.settings import MIB, Settings
from app.submission.json_document import BAD_DOMAIN, DOMAIN, over_limit, wrong_with
from app.submission.strict_json import REPORTED_ERRORS, InputErrors, parse
from layerscope.names import DEFAULT_DOMAIN

PIECE_BYTES = MIB  # unpacked at a time
ESCAPED_BYTES = 6  # what JSON may spend on one byte of a text: \u0041
FIELDS = ("domain", "text", "pair")
LONGEST_PAIR = 64


def gunzip(chunks: Iterable[bytes], expansion_limit: int) -> Iterator[bytes]:
    """The contents of a gzip stream in pieces of at most PIECE_BYTES.

    Raises: InvalidRequest if it is none or ends too soon, LimitExceeded if it expands beyond the limit.
    """
    member, read, written = zlib.decompressobj(wbits=31), 0, 0
    for chunk in chunks:
        read += len(chunk)
        while chunk:
            if member.eof:
                member = zlib.decompressobj(wbits=31)
            piece = _unpack(member, chunk)
            written += len(piece)
            if written > expansion_limit * read + PIECE_BYTES:
                raise over_limit("The body's expansion", f"{expansion_limit} to 1", "gzip_expansion_limit")
            yield piece
            chunk = member.unused_data or member.unconsumed_tail
    yield member.flush()
    if not member.eof:
        raise InvalidRequest("The gzip body ends too soon.")


def _unpack(member: Any, chunk: bytes) -> bytes:
    try:
        piece: bytes = member.decompress(chunk, PIECE_BYTES)
    except zlib.error as error:
        raise InvalidRequest(f"The body is not gzip: {error}.") from error
    return piece


def read_texts(chunks: Iterable[bytes], settings: Settings) -> Iterator[PostedText]:
    """The texts of the lines, as they arrive.

    After the first error no more texts are given, but errors are looked for until enough are found.

    Raises: InvalidRequest, at the end or after the first errors; LimitExceeded.
    """
    errors, domains, texts = InputErrors(), set[str](), 0
    for number, line in _lines(chunks, settings):
        posted = _read_line(number, line, settings, errors)
        if errors.count >= REPORTED_ERRORS:
            break
        if posted is None or errors.count:
            continue
        texts += 1
        if texts > settings.texts_per_job_limit:
            raise over_limit("The number of texts", f"{settings.texts_per_job_limit}", "texts_per_job_limit")
        domains.add(posted[0])
        if len(domains) > settings.domains_per_job_limit:
            raise over_limit(
                "The number of domains", f"{settings.domains_per_job_limit}", "domains_per_job_limit"
            )
        yield posted
    errors.check()
    if not texts:
        raise InvalidRequest("The body holds no text.")


def _lines(chunks: Iterable[bytes], settings: Settings) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    longest = ESCAPED_BYTES * settings.text_limit_bytes + 1024
    number, read, rest = 0, 0, b""
    for chunk in chunks:
        read += len(chunk)
        if read > settings.ndjson_limit_bytes:
            raise over_limit("The body", f"{settings.ndjson_limit_bytes} bytes", "ndjson_limit_bytes")
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if line.strip():
                yield number, line
        if len(rest) > longest:
            raise over_limit(f"Line {number + 1}", f"{longest} bytes", "text_limit_bytes", number + 1)
    if rest.strip():
        yield number + 1, rest


def _read_line(number: int, line: bytes, settings: Settings, errors: InputErrors) -> PostedText | None:
    value = _read_object(number, line, settings, errors)
    if value is None:
        return None
    domain: Any = value.get("domain", DEFAULT_DOMAIN)
    text: Any = value.get("text")
    if not isinstance(domain, str):
        errors.add(f"line {number}: must be a string", number, "domain")
    elif not DOMAIN.fullmatch(domain):
        errors.add(f"line {number}: {BAD_DOMAIN}", number, "domain")
    wrong = wrong_with(text)
    if wrong is not None:
        errors.add(f"line {number}: {wrong}", number, "text")
    elif len(text.encode()) > settings.text_limit_bytes:
        limit = f"{settings.text_limit_bytes} bytes of UTF-8"
        raise over_limit(f"The text in line {number}", limit, "text_limit_bytes", number, "text")
    if "pair" not in value:
        return domain, text
    pair: Any = value["pair"]
    wrong = _wrong_with_pair(pair)
    if wrong is not None:
        errors.add(f"line {number}: {wrong}", number, "pair")
    return domain, text, pair


def _read_object(number: int, line: bytes, settings: Settings, errors: InputErrors) -> dict[str, Any] | None:
    try:
        value = parse(line, settings.json_depth_limit)
    except InvalidRequest as error:
        reason = error.errors[0].detail if error.errors else error.detail
        errors.add(f"line {number}: {error.detail} {reason}", number)
        return None
    if not isinstance(value, dict):
        errors.add(f"line {number}: must be an object", number)
        return None
    for name in value.keys() - set(FIELDS):
        errors.add(f"line {number}: unknown; known are {', '.join(FIELDS)}", number, name)
    return value


def _wrong_with_pair(pair: Any) -> str | None:
    wrong = wrong_with(pair)
    if wrong is None and len(pair) > LONGEST_PAIR:
        wrong = f"a pair is at most {LONGEST_PAIR} characters"
    return wrong
