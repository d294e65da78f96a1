"""How pytest-xdist distributes the tests over processes.

Each process runs whole files, so that a file builds its module fixtures once. Tests that share something
expensive form one group, which runs in one process: the complete stack, and the service for fault injection.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

# The fixtures, started once for all tests that use them; the group with the longest duration comes first.
SHARED_FIXTURES = ("service", "stack")


def group_of(item: pytest.Item) -> str | None:
    fixtures = getattr(item, "fixturenames", ())
    return next((name for name in SHARED_FIXTURES if name in fixtures), None)


class ByGroupOrFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A unit of work is a group, or else a file."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        test, _, group = nodeid.rpartition("@")
        return group if group in SHARED_FIXTURES and test else file


@pytest.hookimpl(tryfirst=True)  # before xdist adds the names of the groups to the node ids
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups come first: they take longest, and the files fill the time of the other process."""
    for item in items:
        if group := group_of(item):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: _position(group_of(item)))


def _position(group: str | None) -> int:
    return len(SHARED_FIXTURES) if group is None else SHARED_FIXTURES.index(group)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # keep the order of `pytest_collection_modifyitems`
    return ByGroupOrFile(config, log)
