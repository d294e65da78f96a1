"""Configuration of the log: readable lines on a terminal, JSON lines elsewhere, always to stderr.

Entry points call `configure`. Every other module uses `log = logging.getLogger(__name__)`. The subject of the
lines (`request`, `job`, `shard`, `epoch`) is bound once with `about` and then appears in every line of that
context, also in lines of libraries. FastAPI's thread pool copies the context of the request; our own threads
get a copy through `in_context`.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from traceback import TracebackException

import structlog
from asgi_correlation_id import correlation_id
from structlog.contextvars import bound_contextvars as about
from structlog.dev import plain_traceback
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

OUR_LOGGERS = ("layerscope", "app", "worker", "audit")

__all__ = ["about", "configure", "in_context"]


def configure(level: int = logging.INFO) -> None:
    """Logs our own loggers from `level` on, and warnings and errors of libraries.

    Call it after the libraries were imported: some of them install handlers of their own.
    """
    _remove_handlers_of_libraries()
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(sys.stderr.isatty(), colors=not os.environ.get("NO_COLOR")))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level)
    # They log a warning for each request with an invalid id or form: a client could fill the log.
    for name in ("asgi_correlation_id", "python_multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(True)


def in_context(function: Callable[[], None]) -> Callable[[], None]:
    """A thread target whose log lines have the subject that is bound now."""
    return partial(copy_context().run, function)


def _remove_handlers_of_libraries() -> None:
    """transformers, huggingface_hub and torch write to stderr by themselves otherwise."""
    for logger in logging.root.manager.loggerDict.values():
        if not isinstance(logger, logging.Logger):
            continue
        if any(type(handler) is logging.StreamHandler for handler in logger.handlers):
            logger.handlers.clear()
            logger.propagate = True


def _formatter(on_terminal: bool, colors: bool) -> logging.Formatter:
    prepare: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request,
        _keep_first_line,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper("%H:%M:%S" if on_terminal else "iso", utc=not on_terminal),
        structlog.processors.ExceptionRenderer(_exception_text),
    ]
    render: Processor
    if on_terminal:
        # The default formatter of exceptions would print the values of local variables.
        render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)
    else:
        render = structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=prepare,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )


def _add_request(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    if (request := correlation_id.get()) is not None:
        line["request"] = request
    return line


def _keep_first_line(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """RQ puts tracebacks into its messages, PostgreSQL quotes rows after the first line of an error."""
    line["event"] = line["event"].partition("\n")[0]
    return line


def _exception_text(exc_info: ExcInfo) -> str:
    return "".join(_traceback_lines(TracebackException(*exc_info))).rstrip()


def _traceback_lines(error: TracebackException) -> Iterator[str]:
    """As Python prints them, but only the first line of each message: PostgreSQL quotes rows after it."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for one in filter(None, (earlier, *(error.exceptions or ()))):
        yield from _traceback_lines(one)
        yield "\nwhich led to\n\n"
    yield "Traceback (most recent call last):\n"
    yield from error.stack.format()
    yield next(error.format_exception_only()).partition("\n")[0] + "\n"
