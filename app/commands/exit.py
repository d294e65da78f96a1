"""Ends a command: an error that the user can correct is one sentence and an exit code, never a traceback."""

import re
import sys
from collections.abc import Callable

from app.local.stop_signals import Stop, stop_on_signals
from layerscope.cli.exit_codes import ExitCode, exit_code_of
from layerscope.cli.output import print_note

OURS = ("layerscope", "app", "worker")
PARAMETER = re.compile(r"^(\s*)\?(\w+): ", re.MULTILINE)


def run_as_command(action: Callable[[], object]) -> None:
    with stop_on_signals():
        try:
            action()
            sys.stdout.flush()
        except Stop as stop:
            sys.exit(stop.exit_code)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if not package or package in OURS:
                raise
            print_note(f"This command needs the package {package}: run `pip install 'layerscope[all]'`.")
            sys.exit(ExitCode.WRONG_USE)
        except Exception as error:
            _end_with(error)


def _end_with(error: Exception) -> None:
    from app.errors import ConfigurationError, LayerscopeError

    if isinstance(error, LayerscopeError):
        print_note(error.detail)
        sys.exit(ExitCode.WRONG_USE if isinstance(error, ConfigurationError) else ExitCode.JOB_FAILED)
    code = exit_code_of(error)
    if code is None:
        raise error
    print_note(PARAMETER.sub(_as_option, str(error)))
    sys.exit(code)


def _as_option(parameter: re.Match[str]) -> str:
    """A query parameter that the service names is an option of the command, with the same name."""
    return f"{parameter[1]}--{parameter[2].replace('_', '-')}: "
