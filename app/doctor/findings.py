"""What a check of this machine has found."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How good a finding is."""

    OK = "ok"
    WARNING = "warning"  # Layerscope works, but not everything does
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """`remedy` is empty if nothing has to be done."""

    check: str
    grade: Grade
    detail: str
    remedy: str = ""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Grade.OK, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Grade.WARNING, detail, remedy)


def problem(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Grade.PROBLEM, detail, remedy)
