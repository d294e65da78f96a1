"""Shows the progress of a job: as a line on a terminal, as a bar in a notebook, or not at all."""

import html
import importlib
import sys
from typing import Any, Protocol

from layerscope.client.states import JobState
from layerscope.names import Phase

BAR_CHARACTERS = 24


class Display(Protocol):
    def show(self, state: JobState) -> None: ...

    def close(self) -> None: ...


class Silent:
    def show(self, state: JobState) -> None: ...

    def close(self) -> None: ...


class TerminalLine:
    """One line on stderr, which each call replaces."""

    def show(self, state: JobState) -> None:
        filled = int(BAR_CHARACTERS * state.progress.share)
        bar = "━" * filled + " " * (BAR_CHARACTERS - filled)
        try:
            bar.encode(sys.stderr.encoding or "ascii")
        except UnicodeEncodeError:
            bar = bar.replace("━", "#")
        sys.stderr.write(f"\r\x1b[2K{bar} {html.escape(in_words(state))}")
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\n")
        sys.stderr.flush()


class NotebookBar:
    """A bar below the cell, which each call replaces."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, state: JobState) -> None:
        ipython: Any = importlib.import_module("IPython.display")  # a notebook has it
        bar = f'<progress max="1" value="{state.progress.share}"></progress>'
        shown = ipython.HTML(f"{bar} {in_words(state)}")
        if self._handle is None:
            self._handle = ipython.display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def close(self) -> None: ...


def choose_display() -> Display:
    """For the place where this process runs."""
    if _is_notebook():
        return NotebookBar()
    return TerminalLine() if sys.stderr is not None and sys.stderr.isatty() else Silent()


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def in_words(state: JobState) -> str:
    """As "running (measuring): 120 of 400 texts, 2 failed, 12.3 texts/s, 2,460 tokens/s, 0:23 left"."""
    progress = state.progress
    phase = f" ({progress.phase})" if progress.phase not in (None, Phase.WAITING) else ""
    parts = [f"{state.status}{phase}: {progress.processed:,} of {progress.texts:,} texts"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.texts_per_second:
        parts.append(f"{progress.texts_per_second:.3g} texts/s")
    if progress.tokens_per_second:
        parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    if progress.eta_seconds is not None:
        parts.append(f"{duration(progress.eta_seconds)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """As 0:05, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
