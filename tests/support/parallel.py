"""How pytest-xdist distributes the tests over processes.

A unit of work is a file, so that a process builds the module fixtures of a file once. Files that share an
expensive fixture form one unit: the complete stack, or the service for fault injection.

The marker `xdist_group` has no effect: pytest-xdist 3.8 sets `Item._nodeid`, which pytest 9.2 does not read.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

# The files that use a shared fixture. These units take longest, so they start first, in this order.
SHARED_BY = {
    "service": tuple(
        f"tests/faults/test_{name}.py" for name in ("api", "checks", "servers", "texts", "workers")
    ),
    "stack": (
        "tests/browser/test_journeys.py",
        "tests/browser/test_pages_in_browser.py",
        "tests/service/app/api/test_code_samples.py",
        "tests/service/app/commands/test_profile_command.py",
        "tests/service/app/local/test_stack.py",
        "tests/service/layerscope/client/test_documents.py",
        "tests/service/layerscope/client/test_with_worker.py",
        "tests/service/test_readme.py",
        "tests/service/test_tutorial.py",
        "tests/service/worker/finalization/test_compare_domains.py",
        "tests/service/worker/finalization/test_pairs.py",
    ),
}
UNIT_OF_FILE = {file: fixture for fixture, files in SHARED_BY.items() for file in files}
UNITS = tuple(SHARED_BY)


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class ByFileOrFixture(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        return UNIT_OF_FILE.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # keep the order of `pytest_collection_modifyitems`
    return ByFileOrFixture(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in UNITS:
            if (
                fixture in getattr(item, "fixturenames", ())
                and file_of(item.nodeid) not in SHARED_BY[fixture]
            ):
                raise pytest.UsageError(
                    f"{item.nodeid} uses the fixture {fixture}: add its file to {__name__}.SHARED_BY"
                )
    items.sort(key=lambda item: position(UNIT_OF_FILE.get(file_of(item.nodeid))))


def position(unit: str | None) -> int:
    return len(UNITS) if unit is None else UNITS.index(unit)
