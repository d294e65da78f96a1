"""Turns the first SIGINT, SIGTERM or SIGHUP of a command into an exception, and ignores later ones."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


class Stop(KeyboardInterrupt):
    """The first stop signal. It is raised in the main thread, at any point.

    It is a KeyboardInterrupt because psycopg and subprocess handle that one correctly.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise `Stop` at the first stop signal. Later ones are ignored: they do not interrupt the shutdown."""
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        for number, handler in previous.items():
            if handler is not signal.SIG_IGN:  # as set by nohup, or by a shell for a command with `&`
                signal.signal(number, _stop)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    ignore_stop_signals()
    raise Stop(number)


def ignore_stop_signals() -> None:
    """For a shutdown that began without a signal."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is _stop:
            # A function instead of SIG_IGN, which child processes would inherit.
            signal.signal(number, lambda number, frame: None)
