"""The reference of the HTTP interface in a real browser, under its strict policy."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.support.programs.chromium import Browser, find_chromium, running_chromium

CHROMIUM = find_chromium()
LOGO = "Loading the image 'https://cdn.redoc.ly/redoc/logo-mini.svg' violates"  # nothing else is blocked
SEARCH = "[role=search] input"

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with running_chromium(CHROMIUM, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def test_redoc_shows_examples_and_searches(browser: Browser, api: httpx.Client) -> None:
    browser.open(str(api.base_url).rstrip("/") + "/docs")
    browser.wait_for("document.querySelector('#reference [data-section-id]') !== null")
    shown = browser.text()
    assert "Create Job" in shown
    assert f"curl -fsS {str(api.base_url).rstrip('/')}/v1/jobs" in " ".join(shown.split())
    assert "127.0.0.1:8000" not in shown
    assert browser.evaluate("document.querySelector('.plain') === null")
    assert browser.evaluate("document.querySelectorAll('[role=tab]')[1].innerText") == "Python"
    browser.evaluate("document.querySelectorAll('[role=tab]')[1].click()")
    browser.wait_for("document.body.innerText.includes('from layerscope import Client')")
    browser.wait_for(f"document.querySelector({json.dumps(SEARCH)}) !== null")
    browser.evaluate(
        f"""(() => {{
            const field = document.querySelector({json.dumps(SEARCH)});
            Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, "cancel");
            field.dispatchEvent(new Event("input", {{ bubbles: true }}));
        }})()"""
    )
    browser.wait_for(
        "document.querySelector('[data-role=\"search:results\"]')?.innerText.includes('Cancel Job')"
    )
    assert [error for error in browser.errors if LOGO not in error] == []
