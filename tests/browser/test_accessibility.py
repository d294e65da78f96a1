"""axe-core finds nothing serious on any page, in a narrow and a wide window, light and dark."""

import json
from pathlib import Path
from typing import Literal
from uuid import uuid4

import axe_core_python
import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from tests.browser.test_pages_in_browser import HOSTILE
from tests.support.http.keys import new_key
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import submit
from tests.support.jobs.lognormal_job import lognormal_job
from tests.support.programs.chromium import Browser
from tests.support.programs.serving import serving

AXE = Path(axe_core_python.__file__).parent / "axe.min.js"
SERIOUS = ("serious", "critical")


@pytest.fixture
def every_page(api: httpx.Client, sessions: sessionmaker[Session]) -> list[str]:
    job, _ = lognormal_job(sessions, {"a": 9, "b": 8, "c": 3}, failing=(2,))
    other, _ = lognormal_job(sessions, {"a": 9, "b": 8})
    failed = finished_job(sessions, name=HOSTILE, outcome="failed").id
    waiting = submit(sessions, [("cpp", "a")])
    of_jobs = [
        f"/jobs/{job}",
        f"/jobs/{failed}",
        f"/jobs/{waiting}",
        f"/jobs/{job}/texts",
        f"/jobs/{job}/texts/0",
    ]
    compared = [f"/compare?job={job}&job={other}", f"/compare?job={job}&job={waiting}"]
    return ["/", f"/?like={job}", "/jobs", "/models", *of_jobs, *compared, f"/jobs/{uuid4()}"]


def findings(browser: Browser) -> list[str]:
    browser.evaluate(AXE.read_text() + "; true")
    found = json.loads(str(browser.evaluate("axe.run().then((found) => JSON.stringify(found.violations))")))
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
def test_no_page_has_serious_findings(
    browser: Browser, api: httpx.Client, every_page: list[str], width: int, scheme: Literal["light", "dark"]
) -> None:
    browser.show_at(width, scheme)
    url = str(api.base_url).rstrip("/")
    found = {path: findings_of(browser, url + path) for path in every_page}
    assert {path: found[path] for path in found if found[path]} == {}


def test_the_page_to_sign_in_has_none(
    browser: Browser, settings: Settings, sessions: sessionmaker[Session]
) -> None:
    new_key(sessions, "alice")
    browser.show_at(400, "light")
    with serving(settings) as url:
        assert findings_of(browser, url) == []
        assert browser.evaluate("document.querySelector('[type=password]') !== null")


def findings_of(browser: Browser, url: str) -> list[str]:
    browser.open(url)
    browser.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    browser.wait_for(
        "document.querySelectorAll('.chart svg').length === document.querySelectorAll('.chart').length"
    )
    too_wide = browser.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [*findings(browser), *(["the page is wider than the window"] if too_wide else [])]
