"""The command `layerscope doctor`."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from app.doctor.findings import Finding, Grade, problem
from app.doctor.machine import check_machine, missing_packages
from layerscope.cli.connection import JsonOption
from layerscope.cli.exit_codes import ExitCode
from layerscope.cli.output import print_json, print_line

MARKS = {Grade.OK: "ok     ", Grade.WARNING: "warning", Grade.PROBLEM: "PROBLEM"}


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Check this machine: Python, platform, packages, memory, disk, GPU, servers, port and models.

    Each problem has a remedy. The exit code is 1 if there is a problem.
    """
    found = []
    for finding in _findings(context):
        found.append(finding)
        if not as_json:
            print_line(f"{MARKS[finding.grade]}  {finding.check}: {finding.detail}")
            if finding.remedy:
                print_line(f"         → {finding.remedy}")
    if as_json:
        print_json([asdict(finding) for finding in found])
    if any(finding.grade == Grade.PROBLEM for finding in found):
        raise typer.Exit(ExitCode.JOB_FAILED)


def _findings(context: typer.Context) -> Iterator[Finding]:
    if missing_packages():  # then the settings cannot be read
        yield from check_machine(Path("var"))
        return
    from app.doctor.servers_and_models import check_service
    from app.errors import ConfigurationError

    try:
        settings = context.obj()
    except ConfigurationError as error:
        yield problem("settings", error.detail, "correct the variable")
        return
    yield from check_machine(settings.home)
    yield from check_service(settings)
