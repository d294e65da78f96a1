"""Reads a submission that is a stream with one text per line. The stream is never held as a whole."""

from collections import Counter
from collections.abc import Iterable, Iterator

from app.errors import InvalidRequest
from app.jobs.store import StoredText
from app.settings import Settings
from app.submission import rules
from app.submission.input_errors import REPORTED_ERRORS, InputErrors
from app.submission.line import read_line
from app.submission.rules import over_limit
from app.submission.stream_parameters import StreamRequest
from layerscope.names import OnInvalid

ESCAPED_BYTES = 6  # the most bytes of JSON for one byte of a text: \u0041


def read_texts(chunks: Iterable[bytes], settings: Settings, request: StreamRequest) -> Iterator[StoredText]:
    """The texts, each as soon as its line has arrived.

    After the first error no more texts are yielded, but the next lines are checked for more errors.

    Raises: InvalidRequest at the end, or after REPORTED_ERRORS errors; LimitExceeded.
    """
    errors, texts, domains, has_pairs = InputErrors(), 0, Counter[str](), False
    for number, line in _lines(chunks, settings, _longest_line(settings, request)):
        posted = read_line(number, line, settings, request, errors)
        if errors.count >= REPORTED_ERRORS:
            break
        if posted is None or errors.count:
            continue
        texts += 1
        domains[posted.domain] += 1
        has_pairs |= posted.pair is not None
        rules.check_counts(texts, len(domains), settings)
        yield posted
    errors.check()
    if not texts:
        raise InvalidRequest("The body contains no text.")
    if request.paired and not has_pairs and (wrong := rules.paired_error(domains)):
        errors.add_at("?paired", wrong)
    errors.check()


def _longest_line(settings: Settings, request: StreamRequest) -> int:
    """In bytes. Where texts that are too large fail, their lines are read if they are not enormous."""
    longest = ESCAPED_BYTES * settings.text_limit_bytes + 1024
    if request.lines.on_invalid == OnInvalid.FAIL:
        longest = max(longest, settings.body_limit_bytes)
    return longest


def _lines(chunks: Iterable[bytes], settings: Settings, longest: int) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
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
