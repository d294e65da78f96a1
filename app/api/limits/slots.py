"""Limits on what requests use at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import TooBusy


class Slots:
    """A number of slots, shared by the requests of this process. Only the event loop uses them.

    `what`: a sentence about a request that finds no free slot. `setting`: the setting of the limit.
    """

    def __init__(self, limit: int, what: str, setting: str) -> None:
        self._free, self._limit, self._what, self._setting = limit, limit, what, setting

    @contextmanager
    def take(self, amount: int = 1) -> Iterator[None]:
        """Raises: TooBusy if not enough are free."""
        if amount > self._free:
            name = f"LAYERSCOPE_{self._setting.upper()}"
            raise TooBusy(f"{self._what} (at most {self._limit}, setting {name}). Try again later.")
        self._free -= amount
        try:
            yield
        finally:
            self._free += amount
