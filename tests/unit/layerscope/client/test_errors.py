"""Each problem type of the service has its own exception in the client."""

import re
import subprocess
import sys

import pytest

from app import errors as of_service
from app.resources import ROOT
from layerscope.client import errors as of_client
from layerscope.client.errors import BY_CODE, ServiceProblemError, error_of
from layerscope.client.states import ProblemState


def leaves(error: type[of_service.ProblemError]) -> list[type[of_service.ProblemError]]:
    below = [leaf for child in error.__subclasses__() for leaf in leaves(child)]
    return below or [error]


LEAVES = leaves(of_service.ProblemError)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_every_problem_of_the_service_has_its_exception(leaf: type[of_service.ProblemError]) -> None:
    problem = leaf("It failed.", [of_service.InputError("/texts/0", "is empty")]).problem
    error = error_of(ProblemState.model_validate(problem.to_dict()), 3, "abc")
    words = leaf.code.replace("-", " ").title().replace(" ", "")
    assert type(error).__name__ in (f"{words}Error", f"{words}InJobError")
    assert isinstance(error, of_client.JobFailedError) == issubclass(leaf, of_service.JobFailure)
    assert (error.type, error.title, error.status) == (problem.type, leaf.title, leaf.status)
    assert (error.detail, error.errors[0].pointer) == ("It failed.", "/texts/0")
    assert (error.retry_after, error.request_id) == (3, "abc")


def test_the_client_has_no_exception_that_the_service_does_not_send() -> None:
    assert set(BY_CODE) == {leaf.code for leaf in LEAVES}


def test_a_problem_of_a_newer_service_has_the_general_exception() -> None:
    problem = ProblemState(type="urn:layerscope:problem:new", title="New", status=418, detail="New.")
    assert type(error_of(problem)) is ServiceProblemError


def test_the_message_lists_every_error() -> None:
    places = [{"pointer": f"/texts/cpp/{i}", "detail": "is empty"} for i in range(2)]
    problem = {
        "type": "x",
        "title": "t",
        "detail": "/texts/cpp/0: is empty. 2 errors were found.",
        "errors": places,
    }
    message = str(error_of(ProblemState.model_validate(problem)))
    assert message == "/texts/cpp/0: is empty. 2 errors were found.\n  /texts/cpp/1: is empty"


def test_every_exception_says_when_it_is_raised() -> None:
    kinds = [
        kind
        for kind in vars(of_client).values()
        if isinstance(kind, type) and kind.__module__ == of_client.__name__
    ]
    assert len(kinds) > len(BY_CODE)
    undocumented = [kind.__name__ for kind in kinds if not kind.__doc__ and not getattr(kind, "code", "")]
    assert undocumented == []


def test_the_client_needs_httpx_and_pydantic_only() -> None:
    """All other packages of the project are blocked."""
    code = """
import sys
class Blocker:
    blocked = ("app", "worker", "torch", "transformers", "numpy", "scipy", "pandas", "polars", "pyarrow",
               "rich", "typer", "sqlalchemy", "redis", "rq", "fastapi", "platformdirs", "IPython")
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.blocked:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
sys.meta_path.insert(0, Blocker())
from layerscope import Client, Job
with Client("http://127.0.0.1:9") as client:
    print(client.url)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("http://127.0.0.1:9\n", "")


def test_the_names_are_those_of_the_problem_types() -> None:
    assert all(re.fullmatch(r"[A-Z]\w+Error", kind.__name__) for kind in BY_CODE.values())
