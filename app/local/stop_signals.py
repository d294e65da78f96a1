"""Turns the first SIGINT, SIGTERM or SIGHUP of a command into an exception, and ignores later ones."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


_received: int | None = None  # the first stop signal


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
    global _received
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    _received = None
    try:
        for number, handler in previous.items():
            if handler is not signal.SIG_IGN:  # as set by nohup, or by a shell for a command with `&`
                signal.signal(number, _stop)
        yield
    finally:
        _received = None
        for number, handler in previous.items():
            signal.signal(number, handler)


def pause(seconds: float) -> None:
    """Sleep in a loop that waits.

    Raises: Stop, a second time if the first one was lost. Python drops an exception that is raised in a
    destructor or in a callback of a weak reference, and each import runs such a callback.
    """
    time.sleep(seconds)
    if _received is not None:
        raise Stop(_received)


def _stop(number: int, frame: FrameType | None) -> None:
    global _received
    _received = number
    ignore_stop_signals()
    raise Stop(number)


def ignore_stop_signals() -> None:
    """For a shutdown that began without a signal."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is _stop:
            # A function instead of SIG_IGN, which child processes would inherit.
            signal.signal(number, lambda number, frame: None)
