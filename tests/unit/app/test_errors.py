"""Every error has a status and is documented, and there is one kind of problem object."""

import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from app import errors
from app.errors import (
    ConfigurationError,
    InputError,
    InvalidRequest,
    JobFailure,
    KeyNotFound,
    LayerscopeError,
    LimitExceeded,
    Problem,
    ProblemError,
    ShardFailed,
)
from app.resources import ROOT


def leaves(error: type[ProblemError]) -> list[type[ProblemError]]:
    below = [leaf for child in error.__subclasses__() for leaf in leaves(child)]
    return below or [error]


LEAVES = leaves(ProblemError)


def test_only_errors_that_a_command_prints_have_no_status() -> None:
    assert set(LayerscopeError.__subclasses__()) == {
        ProblemError,
        ConfigurationError,
        KeyNotFound,
    }


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.__name__)
def test_every_error_has_a_status_and_is_documented(error: type[ProblemError]) -> None:
    assert re.search(rf"── {error.__name__} \({error.status}\)", errors.__doc__ or "")
    assert error.title
    documented = (ROOT / "docs" / "errors.md").read_text()
    (row,) = re.findall(rf"^\| `{error.code}` \|.*", documented, re.MULTILINE)
    assert row.startswith(f"| `{error.code}` | {error.status} | ")


def test_codes_are_unique() -> None:
    codes = [error.code for error in LEAVES]
    assert sorted(set(codes)) == sorted(codes)


def test_the_reasons_of_failed_jobs_are_documented_as_such() -> None:
    documented = (ROOT / "docs" / "errors.md").read_text()
    of_jobs = documented.partition("A failed job has a problem")[2]
    codes = re.findall(r"^\| `([a-z-]+)` \|", of_jobs, re.MULTILINE)
    assert codes == [error.code for error in leaves(JobFailure)]


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    problem = ShardFailed("It failed.").problem
    assert problem.to_dict() == {
        "type": "urn:layerscope:problem:shard-failed",
        "title": "A part of the job cannot be measured",
        "status": 500,
        "detail": "It failed.",
    }


@pytest.mark.parametrize(
    ("error", "listed"),
    [
        (InvalidRequest("No."), [{"pointer": "", "detail": "No."}]),
        (InvalidRequest("No.", [InputError("/a", "no")]), [{"pointer": "/a", "detail": "no"}]),
        (LimitExceeded("No."), None),
    ],
)
def test_errors_are_listed_if_there_are_any(error: ProblemError, listed: Any) -> None:
    assert error.problem.to_dict().get("errors") == listed


@pytest.mark.parametrize("error", [InvalidRequest("No."), LimitExceeded("No.")], ids=["places", "none"])
def test_the_state_of_a_job_shows_a_problem_as_a_response_does(error: ProblemError) -> None:
    problem = error.problem
    assert TypeAdapter(Problem).dump_python(problem, mode="json") == problem.to_dict()
