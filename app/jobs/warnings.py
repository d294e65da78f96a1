"""Warnings about a job: what a user should know before reading its files."""

import re
from collections.abc import Iterable, Sequence

NAMES_SHOWN, LONGEST_SHOWN = 2, 12  # so that the state of a job stays small

# Domain names that pandas, polars, DuckDB or R read from a CSV file as something other than a string, also if
# the cell is quoted: missing values, truth values, numbers, dates.
_DAY, _MONTH = r"(0?[1-9]|[12]\d|3[01])", r"(0?[1-9]|1[0-2])"
_CHANGED_BY_READERS = re.compile(
    r"NA|null|NULL|None|(?i:nan|true|false|t|f|yes|no|inf|infinity)"
    r"|(?i:(\d+\.?\d*|\.\d+)(e-?\d+)?|0x[0-9a-f]+|0b[01]+|\d+i)"
    rf"|\d{{4}}[-.]{_MONTH}[-.]{_DAY}|({_DAY}[-.]{_MONTH}|{_MONTH}[-.]{_DAY})[-.]\d{{4}}"
)


def warnings_about(domains: Iterable[str]) -> list[str]:
    """Sentences about domain names that CSV files, or their readers, change; none about other names."""
    names = list(domains)
    found = []
    if changed := [name for name in names if _CHANGED_BY_READERS.fullmatch(name)]:
        found.append(f"Readers of CSV files may change {_domains(changed)}: see docs/http.md.")
    if marked := [name for name in names if name.startswith("-")]:
        found.append(f"In the CSV files an apostrophe precedes {_domains(marked)}.")
    return found


def _domains(names: Sequence[str]) -> str:
    shown = [name if len(name) <= LONGEST_SHOWN else f"{name[: LONGEST_SHOWN - 1]}…" for name in names]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"the domain {'names' if len(names) > 1 else 'name'} {', '.join(shown[:NAMES_SHOWN])}{more}"
