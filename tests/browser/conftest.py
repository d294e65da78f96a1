"""A real Chromium for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.support.programs.chromium import INSTALL, Browser, find_chromium, running_chromium


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip(INSTALL)
    with running_chromium(program, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    chromium.errors.clear()
    yield chromium
    chromium.load_images()  # otherwise plots are still drawn when the next test empties the tables
    chromium.open("about:blank")
