"""docs/glossary.md, the enums and the columns of results.csv agree with each other."""

import re
from collections import Counter
from enum import StrEnum

import pytest

from app.resources import ROOT
from app.schemas import Options
from app.submission.stream_parameters import PARAMETERS
from layerscope import names

COLUMNS_HEADING = "## Columns of `results.csv`\n"
TERMS, COLUMNS = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split(COLUMNS_HEADING)

ENUMS = [kind for kind in vars(names).values() if isinstance(kind, type) and issubclass(kind, StrEnum)]
MEMBERS = sorted({member.value for kind in ENUMS for member in kind})
RESULTS_COLUMNS = [*names.RESULTS_COLUMNS, *names.analysis_columns(names.ANALYSES)]

PLAIN_TERMS = [
    term for term in re.findall(r"^\| ([^`|]+) \| .+ \|$", TERMS, re.MULTILINE) if term not in ("term", "---")
]
SOURCES = [file for package in ("layerscope", "app", "worker") for file in (ROOT / package).rglob("*.py")]
WORDS_OF_NAMES = r"(?<=[a-z])(?=[A-Z])"
CODE = re.sub(WORDS_OF_NAMES, " ", "\n".join(file.read_text("utf-8") for file in SOURCES)).lower()

# Literal names that are neither in an enum nor a column of results.csv.
DOMAINS = {names.POOLED_DOMAIN, names.DEFAULT_DOMAIN}
OPTIONS = {*Options.model_fields, *PARAMETERS}
ERRORS = {"worker_crash"}  # worker/measurement/shard.py


def literals(text: str) -> list[str]:
    """The terms of a table that are written as code."""
    return re.findall(r"^\| `([^`]+)` \| .+ \|$", text, re.MULTILINE)


def test_the_enums_are_found() -> None:
    assert {names.Component, names.Status, names.AnalysisMetric} <= set(ENUMS)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_of_an_enum_has_one_row(member: str) -> None:
    assert literals(TERMS + COLUMNS).count(member) == 1


def test_every_column_of_results_csv_has_one_row_in_the_order_of_the_file() -> None:
    assert literals(COLUMNS) == RESULTS_COLUMNS


def test_every_literal_name_exists_in_the_code() -> None:
    known = {
        *MEMBERS,
        *DOMAINS,
        *OPTIONS,
        *ERRORS,
        *names.COMPARISON_COLUMNS,
        names.SPECIAL_TOKENS_COLUMN,
        names.MASSIVE_COLUMN,
    }
    assert set(literals(TERMS)) <= known


@pytest.mark.parametrize("term", PLAIN_TERMS)
def test_every_other_term_is_a_term_of_the_code(term: str) -> None:
    """Also as part of a name, such as `ShutdownDeadline` or `give_back`."""
    words = r"[\s_-]+".join(map(re.escape, re.split(r"[\s-]", term.lower())))
    assert re.search(rf"(?<![a-z]){words}", CODE)


def test_no_term_has_two_rows() -> None:
    terms = re.findall(r"^\| (.+?) \| .+ \|$", TERMS, re.MULTILINE)
    repeated = [term for term, count in Counter(terms).items() if count > 1]
    assert set(repeated) <= {"term", "---"}  # the heads of the tables


def test_every_literal_error_is_raised_by_the_worker() -> None:
    source = (ROOT / "worker" / "measurement" / "shard.py").read_text(encoding="utf-8")
    assert all(f'"{error}: ' in source for error in ERRORS)
