"""Collects the errors of an input, each with its place."""

from collections.abc import Iterable

from app.errors import InputError, InvalidRequest
from layerscope.unknown_names import unknown

REPORTED_ERRORS = 20
LONGEST_MEMBER = 80  # characters of a name in a pointer


class InputErrors:
    """The first REPORTED_ERRORS errors of an input, and how many there are in all.

    `root` starts every pointer: "" for places in the body, "?" for query parameters.
    """

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._first: list[InputError] = []
        self.count = 0

    def add(self, detail: str, *path: str | int) -> None:
        if self.count < REPORTED_ERRORS:
            pointer = f"{self._root}{_parameter(*path)}" if self._root else pointer_to(*path)
            self._first.append(InputError(pointer, detail))
        self.count += 1

    def add_unknown(self, kind: str, known: Iterable[str], *path: str | int) -> None:
        """A name that is not known. A body can contain a million of them: most are only counted."""
        self.add(unknown(kind, str(path[-1]), known) if self.count < REPORTED_ERRORS else "", *path)

    def add_at(self, pointer: str, detail: str) -> None:
        if self.count < REPORTED_ERRORS:
            self._first.append(InputError(pointer, detail))
        self.count += 1

    def check(self) -> None:
        """Raises: InvalidRequest if there are errors."""
        if self.count:
            raise self.to_exception()

    def to_exception(self) -> InvalidRequest:
        """The detail is the first error and the number of errors. There must be at least one."""
        return InvalidRequest(f"{in_words(self._first[0])}.{self._count_in_words()}", self._first)

    def _count_in_words(self) -> str:
        if self.count == 1:
            return ""
        unlisted = self.count - len(self._first)
        rest = f": the first {REPORTED_ERRORS} are listed, {unlisted} more are not" if unlisted else ""
        return f" {self.count} errors were found{rest}."


def _parameter(*path: str | int) -> str:
    """The query parameter for a place in a request: `components` for ("options", "components", 1)."""
    name = path[1] if path[0] == "options" and len(path) > 1 else path[0]
    return pointer_to(name).removeprefix("/")


def in_words(error: InputError) -> str:
    return f"{error.pointer}: {error.detail}" if error.pointer else f"The body {error.detail}"


def pointer_to(*path: str | int) -> str:
    """The JSON pointer (RFC 6901) to a place. Very long names are shortened."""
    return "".join("/" + shortened(str(member)).replace("~", "~0").replace("/", "~1") for member in path)


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST_MEMBER else name[:LONGEST_MEMBER] + "…"
