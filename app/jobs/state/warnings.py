"""Warnings about a job: what a user should know before reading its files."""

import re
from collections.abc import Sequence

from app.jobs.counts import DomainProgress
from layerscope.conclusions import FEW_TEXTS

FEW = f"Fewer than {FEW_TEXTS} texts: "
NAMES_SHOWN, LONGEST_SHOWN = 2, 12  # so that the state of a job stays small

# Domain names that pandas, polars, DuckDB or R read from a CSV file as something other than a string, also if
# the cell is quoted: missing values, truth values, numbers, dates. DuckDB takes many triples of numbers for
# dates, also with two digits for the year (1.12.23), which could be a version.
_CHANGED_BY_READERS = re.compile(
    r"NA|null|NULL|None|(?i:nan|true|false|t|f|yes|no|inf|infinity)"
    r"|(?i:(\d+\.?\d*|\.\d+)(e-?\d+)?|0x[0-9a-f][0-9a-f_]*|0b[01]+|\d+i)"
    r"|\d{1,4}[-.]\d{1,4}[-.]\d{1,4}"
)


def warnings_about(domains: Sequence[DomainProgress], is_finished: bool) -> list[str]:
    """Sentences about domains with few texts, and about names that CSV files or their readers change."""
    return [*_about_sizes(domains, is_finished), *about_names([of.domain for of in domains])]


def _about_sizes(domains: Sequence[DomainProgress], is_finished: bool) -> list[str]:
    """A job may have been cancelled before its last text; a domain without a text has no interval."""
    sizes = {of.domain: of.done if is_finished else of.texts - of.failed for of in domains}
    small = [domain for domain, size in sizes.items() if 0 < size < FEW_TEXTS]
    if not small:
        return []
    shown = ", ".join(f"{_short(domain)} has {sizes[domain]}" for domain in small[:NAMES_SHOWN])
    return [f"{FEW}{shown}{_more(small)}. Their intervals assume normal values."]


def without_sizes(warnings: Sequence[str]) -> list[str]:
    """Those that are not about the number of texts."""
    return [warning for warning in warnings if not warning.startswith(FEW)]


def about_names(names: Sequence[str]) -> list[str]:
    """Sentences about domain names that CSV files, or their readers, change; none about other names."""
    found = []
    if changed := [name for name in names if _CHANGED_BY_READERS.fullmatch(name)]:
        found.append(f"Readers of CSV files may change {_domains(changed)}: see docs/http.md.")
    if marked := [name for name in names if name.startswith("-")]:
        found.append(f"In the CSV files an apostrophe precedes {_domains(marked)}.")
    return found


def _domains(names: Sequence[str]) -> str:
    shown = ", ".join(map(_short, names[:NAMES_SHOWN]))
    return f"the domain {'names' if len(names) > 1 else 'name'} {shown}{_more(names)}"


def _more(items: Sequence[object]) -> str:
    return f" and {len(items) - NAMES_SHOWN} more" if len(items) > NAMES_SHOWN else ""


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_SHOWN else f"{name[: LONGEST_SHOWN - 1]}…"
