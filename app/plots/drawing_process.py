"""Draws plots in a process of its own, so that drawing neither delays the service nor uses its memory."""

import multiprocessing
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from app.errors import TooBusy
from app.plots import Format, Plot, PlotRow, draw

PLOTS_PER_PROCESS = 200  # Matplotlib keeps some memory for every plot; a new process starts without it
NICENESS = 5  # requests are more urgent than plots
START_SECONDS, STOP_SECONDS = 60, 5


class DrawingProcess:
    """Starts the process for the first plot, and again after PLOTS_PER_PROCESS plots or a failure."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: the longest time for one plot."""
        self._seconds = seconds
        self._one_at_a_time = threading.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._plots = 0

    def draw(self, plot: Plot, rows: Sequence[PlotRow], caption: str, file_format: Format) -> bytes:
        """Draws a plot; the same rows give the same bytes.

        Raises: TooBusy if it takes too long, or if the process ends; the exceptions of `app.plots.draw`.
        """
        with self._one_at_a_time:
            found = self._send((plot, rows, caption, file_format))
            self._plots += 1
            if self._plots >= PLOTS_PER_PROCESS:
                self._stop()
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        with self._one_at_a_time:
            self._stop()

    def _send(self, request: tuple[Plot, Sequence[PlotRow], str, Format]) -> bytes | Exception:
        try:
            connection = self._connected()
            connection.send(request)
            if connection.poll(self._seconds):
                found: bytes | Exception = connection.recv()
                return found
            reason = f"took longer than {self._seconds:g} seconds (setting LAYERSCOPE_DRAWING_SECONDS)"
        except (OSError, EOFError):
            reason = "failed, because its process ended"
        self._stop()
        raise TooBusy(f"The drawing of the plot {reason}. Try again later, or download the table instead.")

    def _connected(self) -> Connection:
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, other = context.Pipe()
            self._process = context.Process(target=_serve, args=(other,), name="drawing", daemon=True)
            self._process.start()
            other.close()
            if not self._connection.poll(START_SECONDS):
                raise EOFError
            self._connection.recv()
        return self._connection

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join(STOP_SECONDS)
        self._process, self._connection, self._plots = None, None, 0


def _serve(connection: Connection) -> None:
    """Answers requests until the service closes the connection or ends."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        connection.send("ready")
        while True:
            plot, rows, caption, file_format = connection.recv()
            try:
                found: bytes | Exception = draw(plot, rows, caption, file_format)
            except Exception as error:  # it is raised in the service
                found = error
            connection.send(found)
