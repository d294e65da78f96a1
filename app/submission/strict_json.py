"""Reads JSON strictly: UTF-8 only, no repeated names, no NaN, limited nesting and limited numbers."""

import json
import json.scanner
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import Any

LONGEST_NUMBER = 80  # digits of an integer
LARGE_BYTES = 2**18  # read with pauses; smaller documents take less than 10 ms
FIRST_BYTES = 2  # of UTF-16: one of them is NUL, since JSON begins with ASCII
_UTF_16 = "is encoded in UTF-16. Convert it to UTF-8: iconv -f UTF-16 -t UTF-8 FILE"

Path = tuple[str | int, ...]


class InvalidJson(ValueError):
    """`detail` says what is wrong at `path`, without a subject: "is not JSON in UTF-8"."""

    def __init__(self, detail: str, path: Path = ()) -> None:
        super().__init__(detail)
        self.detail, self.path = detail, path


class _Repeating(dict[str, Any]):
    """An object in which `name` occurs twice."""

    name: str


def parse(body: bytes, depth_limit: int) -> Any:
    """The value of a JSON text. A byte order mark is ignored.

    Raises: InvalidJson if the body is not JSON in UTF-8, is nested too deeply, or repeats a name.
    """
    decoder = DECODER_WITH_PAUSES if len(body) > LARGE_BYTES else DECODER
    try:
        value = decoder.decode(body.decode("utf-8-sig"))
    except RecursionError as error:
        raise _too_deep((), depth_limit) from error
    except UnicodeDecodeError as error:
        raise InvalidJson(_wrong_encoding(body, error)) from error
    except ValueError as error:
        if b"\0" in body[:FIRST_BYTES]:
            raise InvalidJson(_UTF_16) from error
        raise InvalidJson(f"is not JSON in UTF-8: {error}") from error
    for path, container in _containers(value):
        if len(path) >= depth_limit:
            raise _too_deep(path, depth_limit)
        if isinstance(container, _Repeating):
            raise InvalidJson("occurs more than once in its object", (*path, container.name))
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    repeating = _Repeating(value)
    repeating.name = _first_repeated([name for name, _ in pairs])
    return repeating


def _first_repeated(names: list[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            break
        seen.add(name)
    return name


def _wrong_encoding(body: bytes, error: UnicodeDecodeError) -> str:
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or b"\0" in body[:FIRST_BYTES]:
        return _UTF_16
    byte = f"the byte 0x{body[error.start]:02x} at position {error.start}"
    return f"is not JSON in UTF-8: {byte} belongs to another encoding. Save it as UTF-8"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON value")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number has {len(digits)} digits, more than {LONGEST_NUMBER}")
    _check_ascii(digits)
    return int(digits)


def _float(number: str) -> float:
    _check_ascii(number)
    return float(number)


def _check_ascii(number: str) -> None:
    """Python's scanner in Python accepts the digits of all scripts (before Python 3.12.8)."""
    if not number.isascii():
        raise ValueError("a number has digits that are not ASCII")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse, parse_int=_integer)


class DecoderWithPauses(json.JSONDecoder):
    """The same decoder, with the scanner that Python has in Python, so that other threads can run meanwhile.

    The scanner in C reads 900,000 strings in 0.13 s without a pause. This one needs 1 s, and pauses at the
    interval of `sys.setswitchinterval`.
    """

    def __init__(self) -> None:
        super().__init__(
            object_pairs_hook=_object, parse_constant=_refuse, parse_int=_integer, parse_float=_float
        )
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]  # not in the stubs


DECODER_WITH_PAUSES = DecoderWithPauses()


def _too_deep(path: Path, limit: int) -> InvalidJson:
    return InvalidJson(f"is nested more than {limit} levels deep", path)


def _containers(value: Any) -> Iterator[tuple[Path, Any]]:
    """Each array and object with its path. A stack replaces recursion, whose depth is limited."""
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, container = stack.pop()
        if not isinstance(container, dict | list):
            continue
        yield path, container
        members = container.items() if isinstance(container, dict) else enumerate(container)
        stack += [((*path, name), member) for name, member in members if isinstance(member, dict | list)]
