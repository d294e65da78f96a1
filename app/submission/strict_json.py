"""A JSON body, read strictly: what is given up here in silence is lost."""

import json
from collections.abc import Iterator
from typing import Any

from app.errors import InputError, InvalidRequest

REPORTED_ERRORS = 20
LONGEST_MEMBER = 80
LONGEST_NUMBER = 80


class InputErrors:
    """What is wrong with an input: the first places, and how many there are."""

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._first: list[InputError] = []
        self.count = 0

    def add(self, detail: str, *path: str | int) -> None:
        self.count += 1
        if len(self._first) < REPORTED_ERRORS:
            self._first.append(
                InputError(self._root + pointer_to(*path).removeprefix(self._root and "/"), detail)
            )

    def check(self) -> None:
        """Raises: InvalidRequest if there is any."""
        if not self.count:
            return
        places = "a place" if self.count == 1 else f"{self.count} places"
        more = self.count - len(self._first)
        rest = f"; the first {REPORTED_ERRORS} are listed, {more} more are not" if more else ""
        raise InvalidRequest(f"The request is wrong in {places}{rest}.", self._first)


class _Repeating(dict[str, Any]):
    """An object in which `name` stood twice."""

    name: str


def parse(body: bytes, depth_limit: int) -> Any:
    """Raises: InvalidRequest where the body is not JSON in UTF-8, nests too deep or repeats a name."""
    try:
        value = json.loads(
            body.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse, parse_int=_integer
        )
    except RecursionError as error:
        raise _too_deep((), depth_limit) from error
    except ValueError as error:
        raise InvalidRequest("The body is not JSON in UTF-8.", [InputError("", f"{error}")]) from error
    for path, container in _containers(value):
        if len(path) >= depth_limit:
            raise _too_deep(path, depth_limit)
        if isinstance(container, _Repeating):
            repeated = InputError(pointer_to(*path, container.name), "stands more than once in its object")
            raise InvalidRequest("A name is repeated.", [repeated])
    return value


def pointer_to(*path: str | int) -> str:
    """The JSON pointer (RFC 6901) of a place; a name that no client can have meant is cut short."""
    return "".join("/" + _cut(str(member)).replace("~", "~0").replace("/", "~1") for member in path)


def _cut(member: str) -> str:
    return member if len(member) <= LONGEST_MEMBER else member[:LONGEST_MEMBER] + "…"


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


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits)} digits means nothing here")
    return int(digits)


def _too_deep(path: tuple[str | int, ...], limit: int) -> InvalidRequest:
    error = InputError(pointer_to(*path), f"at most {limit} levels are read")
    return InvalidRequest("The body nests too deep.", [error])


def _containers(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each array and object with its path; by a stack, as recursion has an end."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while stack:
        path, container = stack.pop()
        if not isinstance(container, dict | list):
            continue
        yield path, container
        members = container.items() if isinstance(container, dict) else enumerate(container)
        stack += [((*path, name), member) for name, member in members if isinstance(member, dict | list)]
