"""The retired terms, where they are searched, and the exceptions with their reasons."""

from tools.structure.terms import Term

PLACES = (
    *("layerscope", "app", "worker", "tests", "tools", "benchmarks", "demo", "samples", "migrations", "docs"),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "Makefile", "models.toml"),
    *("pyproject.toml", "Dockerfile", "docker-compose.yml", ".ci"),
)

EXCLUDED = (
    *("tools/structure/retired_terms.py", "tests/unit/tools/"),  # this list and its test
    *("app/api/static/echarts/", "app/api/static/redoc/"),  # not ours
)

CLOSE_A_JOB = r"clos(e|es|ed|ing) (a|the|its|this|that) jobs?|closing\.py|ending\.py"
CLOSINGS = "closings|(a|the|its|whose) closing"
ERASED = "erase[sdr]?|erasers?|erasing"

TERMS = (
    Term("stations?", "worker context"),
    Term("patience", "shutdown deadline"),
    Term(r"stay\(", "run"),
    Term("doom(s|ed|ing)?", "mark failed"),
    Term("put[_ ]down|puts? (it|them|(a|the|its) (shard|job|work)) down", "abandon"),
    Term(CLOSE_A_JOB, "finalize"),
    Term(CLOSINGS, "finalization"),
    Term("tidy|tidies|tidied|tidying", "delete, purge"),
    Term(ERASED, "delete, purge"),
    Term("bells?", "notification"),
    Term("rings?|ringing|rang|rung", "notify"),
    Term("Pool", "accumulator", ignores_case=False),
    Term("peaks", "top activations"),
    Term(r"lanes?|(asked|quiet)\.py|import (asked|quiet)|(asked|quiet) import", "a standard term"),
    Term(r"class Faults?|Faults?(?=\()", "InputError", ignores_case=False),
    Term("house|strangers?|bury|buries|buried", "a plain technical word"),
    Term("hears?|heard|hearing", "receive, notice"),
    Term("pictures? of", "plot of", ignores_case=False),
    Term("middle of a row", "middle of a batch"),
    Term("asked[ _]for", "requested"),
    Term("impatient[a-z]*", "a plain technical word"),
    Term("deeds?", "action"),
)

_HISTORY = "a migration keeps the names of its time"

# Patterns that a file, or every file below a folder, may contain, with the reason.
ALLOWED: dict[str, dict[str, str]] = {
    "benchmarks/LOG.md": {"patience": "a log entry quotes the command that was run"},
    "migrations/versions/": {ERASED: _HISTORY, CLOSINGS: _HISTORY, CLOSE_A_JOB: _HISTORY},
    "samples/exercises/word_problems.py": {ERASED: "goods that a shop sells"},
}
