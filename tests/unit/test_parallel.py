"""How `make test` distributes the tests over processes."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.resources import ROOT
from tests.support.parallel import (
    SHARED_BY,
    UNIT_OF_FILE,
    ByFileOrFixture,
    pytest_collection_modifyitems,
)


def item(nodeid: str, *fixtures: str) -> Any:
    return SimpleNamespace(nodeid=nodeid, fixturenames=fixtures)


def test_the_files_of_shared_fixtures_exist() -> None:
    assert [file for file in UNIT_OF_FILE if not (ROOT / file).is_file()] == []


def test_the_files_of_a_shared_fixture_are_one_unit() -> None:
    scheduler = ByFileOrFixture.__new__(ByFileOrFixture)
    first, second = SHARED_BY["stack"][:2]
    assert scheduler._split_scope(f"{first}::test_a") == scheduler._split_scope(f"{second}::test_b[x::y]")
    assert scheduler._split_scope("tests/unit/test_a.py::test_b[x::y]") == "tests/unit/test_a.py"


def test_the_units_of_shared_fixtures_come_first() -> None:
    files = ["tests/unit/test_a.py", SHARED_BY["stack"][0], "tests/unit/test_b.py", SHARED_BY["service"][0]]
    items = [item(f"{file}::test") for file in files]
    pytest_collection_modifyitems(items)
    assert [item.nodeid.split("::")[0] for item in items] == [files[3], files[1], files[0], files[2]]


def test_a_file_that_is_missing_in_the_list_is_an_error() -> None:
    pytest_collection_modifyitems([item(f"{SHARED_BY['stack'][0]}::test", "stack")])
    with pytest.raises(pytest.UsageError, match=r"test_a\.py::test uses the fixture stack: add its file"):
        pytest_collection_modifyitems([item("tests/unit/test_a.py::test", "stack")])
