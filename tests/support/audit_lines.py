"""The lines of the audit log of this process, with what they are about."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import get_contextvars

from app.access.audit import log

Line = tuple[str, dict[str, str]]


class _Handler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), get_contextvars()))


@contextmanager
def audit_lines() -> Iterator[list[Line]]:
    """Those that are written while it is entered."""
    handler, level = _Handler(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
