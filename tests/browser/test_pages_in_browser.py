"""The pages in a real browser: what the scripts do, and what they must not do."""

import csv
import json
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.plots import PLOTS
from app.settings import Settings
from app.tables import Job
from tests.support.http.keys import new_key
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import submit
from tests.support.jobs.lognormal_job import lognormal_job
from tests.support.programs.chromium import Browser
from tests.support.programs.processes import RunningStack, wait_for
from tests.support.programs.serving import serving

HOSTILE = "</script><svg onload=document.documentElement.dataset.owned=1>"
ALERT = "#submit [role=alert]"


def address(api: httpx.Client, path: str) -> str:
    return str(api.base_url).rstrip("/") + path


def alert_of(browser: Browser) -> str:
    browser.wait_for(f"!document.querySelector({json.dumps(ALERT)}).hidden")
    return str(browser.evaluate(f"document.querySelector({json.dumps(ALERT)}).textContent"))


def test_a_submitted_text_is_measured_and_shown_as_plots(browser: Browser, stack: RunningStack) -> None:
    browser.open(f"{stack.base_url}/")
    browser.fill("[name=pasted_domain]", "python")
    browser.fill("[name=name]", "From a browser")
    browser.fill("[name=pasted]", "def double(x):\n    return 2 * x\n")
    browser.click("#submit .primary")
    browser.wait_for("location.pathname.startsWith('/jobs/')")
    browser.wait_for("document.querySelector('.chart svg') !== null")
    assert "From a browser" in browser.text()
    assert "1 of 1 text measured" in browser.text()
    browser.load_images()
    assert browser.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    plots = "[...document.images].filter((image) => image.src.includes('/plots/')).length"
    drawn = [plot for plot in PLOTS.values() if plot.domains < 2 and plot.analysis is None]
    assert browser.evaluate(plots) == len(drawn)
    assert browser.errors == []


def test_files_are_previewed_and_become_texts(browser: Browser, api: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("content,language\nint x;,C++\nx = 1,python\n,python\n")
    (tmp_path / "b.json").write_text(json.dumps({"cpp": ["a", "b"]}))
    browser.open(address(api, "/"))
    browser.choose_files("[name=file]", *sorted(tmp_path.iterdir()))
    browser.click("#submit [data-preview]")
    browser.wait_for("document.querySelector('#preview h2') !== null")
    preview = str(browser.evaluate("document.querySelector('#preview').innerText"))
    assert "4 texts in 3 domains" in preview
    assert "text from the field content, domain from the field language" in preview
    assert "a.csv, line 4" in preview
    browser.click("#submit .primary")
    assert "a.csv, line 4" in alert_of(browser)
    assert api.get("/v1/jobs").json()["data"] == []
    browser.evaluate("document.querySelector('[name=unusable]').value = 'skip'")
    browser.click("#submit .primary")
    browser.wait_for("location.pathname.startsWith('/jobs/')")
    (job,) = api.get("/v1/jobs").json()["data"]
    assert sum(domain["texts"] for domain in job["domains"].values()) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1", "file.json"),
        (b'{"cpp": "text"}', "must be a list of texts"),
        (b"\xff", "is not UTF-8"),
        (b'["a", " "]', "file.json, record 2: "),
        (b'["a", " "]', "To leave such rows out, choose so at"),
    ],
)
def test_an_invalid_file_is_reported(
    browser: Browser, api: httpx.Client, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "file.json").write_bytes(content)
    browser.open(address(api, "/"))
    browser.choose_files("[name=file]", tmp_path / "file.json")
    browser.click("#submit .primary")
    assert message in alert_of(browser)
    assert not browser.evaluate("document.querySelector('#submit .primary').disabled")
    assert api.get("/v1/jobs").json()["data"] == []


def test_the_error_of_an_option_is_next_to_its_field(browser: Browser, api: httpx.Client) -> None:
    browser.open(address(api, "/"))
    browser.fill("[name=pasted]", "a text")
    browser.evaluate("document.querySelector('[name=analysis_texts]').removeAttribute('max')")
    browser.click("#submit summary")
    browser.fill("[name=analysis_texts]", "5000")
    browser.click("#submit summary")
    assert not browser.evaluate("document.querySelector('#submit details').open")
    browser.click("#submit .primary")
    browser.wait_for("document.querySelector('.field-error') !== null")
    assert (
        browser.evaluate("document.querySelector('.field-error').parentNode.control.name") == "analysis_texts"
    )
    assert browser.evaluate("document.querySelector('#submit details').open")


def test_an_empty_form_is_reported(browser: Browser, api: httpx.Client) -> None:
    browser.open(address(api, "/"))
    browser.click("#submit .primary")
    assert "The form has no file" in alert_of(browser)


def test_a_text_that_is_only_an_address_is_noted(browser: Browser, api: httpx.Client) -> None:
    browser.open(address(api, "/"))
    browser.fill("[name=pasted]", "file:///data/texts.csv")
    browser.click("#submit .primary")
    browser.wait_for("location.pathname.startsWith('/jobs/')")
    browser.wait_for("document.body.innerText.includes('is only an address: file:///data/texts.csv.')")
    assert browser.errors == []


def test_a_job_is_cancelled_and_deleted(
    browser: Browser, api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    browser.open(address(api, f"/jobs/{job_id}"))
    browser.click("[data-do=cancel]")
    browser.wait_for("document.querySelector('.badge').textContent === 'cancelled'")
    browser.wait_for("document.querySelector('[data-do=cancel]') === null")
    browser.click("[data-do=delete]")
    browser.wait_for("location.pathname === '/'")
    assert api.get(f"/v1/jobs/{job_id}").status_code == 404
    assert browser.errors == []


def test_the_home_page_follows_its_jobs(
    browser: Browser, api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    browser.open(address(api, "/"))
    assert browser.evaluate("document.querySelector('.badge').textContent") == "queued"
    api.post(f"/v1/jobs/{job_id}/cancel")
    browser.wait_for("document.querySelector('.badge').textContent === 'cancelled'")


def press(browser: Browser, chart: str, *keys: str) -> str:
    """Focus a chart, press keys, and return what is read out."""
    browser.evaluate(f"document.querySelector('#chart-{chart} .drawing').focus()")
    for key in keys:
        browser.evaluate(
            "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
            f"{{key: {json.dumps(key)}, bubbles: true, cancelable: true}}))"
        )
    return str(browser.evaluate(f"document.querySelector('#chart-{chart} .reading').textContent"))


def test_charts_are_read_by_keyboard_and_selected(
    browser: Browser, api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 9, "b": 8})
    browser.open(address(api, f"/jobs/{job_id}"))
    browser.wait_for(
        "document.querySelectorAll('.chart svg').length === document.querySelectorAll('.chart').length"
    )
    rows = [
        row
        for row in csv.DictReader(api.get(f"/v1/jobs/{job_id}/results.csv").text.splitlines())
        if (row["domain"], row["scope"], row["component"]) == ("b", "typical", "mlp")
    ]
    browser.evaluate("document.querySelector('[name=component]').value = 'mlp'")
    browser.evaluate(
        "document.querySelector('[name=component]').dispatchEvent(new Event('change', {bubbles: true}))"
    )
    browser.wait_for("location.search.includes('component=mlp')")
    browser.wait_for("document.querySelectorAll('#chart-profile svg').length === 1")
    found = press(browser, "profile", "End", "ArrowLeft", "ArrowDown")
    value = float(rows[1]["relative_norm"])
    assert found.startswith(f"Layer 1, b: {value:.3g} [")
    assert found.endswith("n = 8")
    assert browser.errors == []


def test_a_table_is_sorted_by_a_click(
    browser: Browser, api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 9, "b": 8})
    browser.open(address(api, f"/jobs/{job_id}"))
    browser.wait_for("document.querySelector('.chart svg') !== null")
    cells = "[...document.querySelectorAll('#chart-profile tbody tr > :nth-child(2)')]"
    column = f"{cells}.map((cell) => parseFloat(cell.textContent))"
    browser.evaluate("document.querySelector('#chart-profile details').open = true")
    browser.click("#chart-profile thead th:nth-child(2)")
    downwards = browser.evaluate(column)
    assert downwards == sorted(downwards, reverse=True)
    browser.click("#chart-profile thead th:nth-child(2)")
    assert browser.evaluate(column) == sorted(downwards)


def test_a_hostile_name_is_harmless(
    browser: Browser, api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions, name=HOSTILE)
    for path in ("/", f"/jobs/{job.id}"):
        browser.open(address(api, path))
        assert HOSTILE in browser.text()
        assert browser.evaluate("document.querySelector('svg[onload]')") is None
        assert browser.evaluate("document.documentElement.dataset.owned") is None
    assert HOSTILE in browser.evaluate("document.title")
    assert browser.errors == []


def test_injected_markup_does_not_run(browser: Browser, api: httpx.Client) -> None:
    browser.open(address(api, "/"))
    browser.evaluate(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(HOSTILE)})")

    def is_refused() -> bool:
        browser.evaluate("0")  # the browser sends its messages together with an answer
        return any("Content Security Policy" in error for error in browser.errors)

    wait_for(is_refused)
    assert browser.evaluate("document.documentElement.dataset.owned") is None


def test_signing_in_and_out(browser: Browser, settings: Settings, sessions: sessionmaker[Session]) -> None:
    key = new_key(sessions, "alice")
    with serving(settings) as url:
        browser.open(f"{url}/")
        browser.fill("[name=key]", key)
        browser.click("form button")
        browser.wait_for("document.querySelector('.account') !== null")
        assert "alice (write)" in browser.text()
        assert browser.evaluate("document.cookie") == ""
        browser.fill("[name=pasted]", "a")
        browser.click("#submit .primary")
        browser.wait_for("location.pathname.startsWith('/jobs/')")
        browser.wait_for("document.querySelector('.account button') !== null")
        browser.click(".account button")
        browser.wait_for("document.querySelector('[name=key]') !== null")
        with sessions() as session:
            assert session.scalars(select(Job.owner)).all() == ["alice"]
