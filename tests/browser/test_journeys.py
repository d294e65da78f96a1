"""The whole way of a user through the pages: from files to a number, with scripts and without."""

import csv
import json
import time
from pathlib import Path

import httpx
import pytest

from tests.support.programs.chromium import Browser
from tests.support.programs.processes import RunningStack

CPP = ["int main() {}", "return 0;", "for (;;) {}", "std::cout << 1;"]
PYTHON = ["print(1)", "x = [1, 2]", "def f(): pass", "import os"]

AXIS_INCLUDES_INTERVALS = """(() => {
  const section = document.getElementById("chart-effect");
  const drawing = echarts.getInstanceByDom(section.querySelector(".drawing"));
  const [least, most] = drawing.getModel().getComponent("yAxis").axis.scale.getExtent();
  const [series] = JSON.parse(section.querySelector("script").textContent).series;
  return series.low.length > 0 && least <= Math.min(...series.low) && Math.max(...series.high) <= most;
})()"""


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.csv"
    with file.open("w", newline="") as opened:
        rows = [(text, name) for name, of in (("cpp", CPP), ("python", PYTHON)) for text in of]
        csv.writer(opened).writerows([("text", "label"), *rows])
    return file


def value_of(rows: str, layer: str, domain: str) -> float:
    (row,) = [
        row
        for row in csv.DictReader(rows.splitlines())
        if (row["domain"], row["scope"], row["component"], row["layer"]) == (domain, "typical", "mlp", layer)
    ]
    return float(row["relative_norm"])


def test_from_dropped_files_to_a_number_and_its_file(
    browser: Browser, stack: RunningStack, texts: Path
) -> None:
    browser.open(f"{stack.base_url}/")
    browser.fill("[name=name]", "dropped")
    browser.drop_files(".drop", texts)
    browser.wait_for("document.getElementById('dropped').textContent === '1 dropped file'")
    browser.click("[data-preview]")
    browser.wait_for("document.querySelector('#preview h2')?.textContent === '8 texts in 2 domains'")
    browser.click("#submit .primary")
    browser.wait_for("location.pathname.startsWith('/jobs/')")
    browser.wait_for("document.querySelector('#job .badge')?.textContent === 'succeeded'")
    browser.wait_for("document.querySelector('#chart-profile svg') !== null")
    assert browser.evaluate("document.querySelector('#answer + .answer li').textContent.length > 20")
    assert browser.evaluate(AXIS_INCLUDES_INTERVALS)
    browser.evaluate("document.querySelector('[name=component]').value = 'mlp'")
    browser.evaluate(
        "document.querySelector('[name=component]').dispatchEvent(new Event('change', {bubbles: true}))"
    )
    browser.wait_for("location.search.includes('component=mlp')")
    browser.wait_for("document.querySelector('#chart-profile .quiet').textContent.includes('mlp')")
    browser.evaluate("document.querySelector('#chart-profile .drawing').focus()")
    browser.press("Home", "ArrowRight", "ArrowDown")
    reading = browser.evaluate("document.querySelector('#chart-profile .reading').textContent")
    name, rows = browser.download("#chart-profile .downloads a")
    assert name == "dropped-results.csv"
    value = value_of(rows, "1", "python")
    assert str(reading).startswith(f"Layer 1, python: {float(f'{value:.3g}'):g} [")
    name, drawing = browser.download("#chart-profile [data-svg]")
    assert (name, drawing[:4]) == ("chart-profile.svg", "<svg")
    assert browser.errors == []


@pytest.mark.slow
def test_the_same_without_scripts(browser: Browser, stack: RunningStack, texts: Path) -> None:
    browser.run_scripts(False)
    try:
        browser.open(f"{stack.base_url}/")
        browser.fill("[name=name]", "plain")
        browser.choose_files("[name=file]", texts)
        browser.click("[data-preview]")
        browser.wait_for("location.pathname === '/jobs/preview' && document.querySelector('h2') !== null")
        assert browser.evaluate("document.querySelector('h2').textContent") == "8 texts in 2 domains"
        browser.open(f"{stack.base_url}/")
        browser.fill("[name=name]", "plain")
        browser.choose_files("[name=file]", texts)
        browser.click("#submit .primary")
        browser.wait_for("document.querySelector('#job .badge')?.textContent === 'succeeded'")
        browser.evaluate("document.querySelector('[name=component]').value = 'mlp'")
        browser.click("#selection button")
        browser.wait_for("location.search.includes('component=mlp')")
        cell = "#chart-profile tbody tr:nth-child(2) td:nth-child(3)"
        browser.wait_for(f"document.querySelector({json.dumps(cell)}) !== null")
        browser.evaluate("document.querySelector('#chart-profile details').open = true")
        shown = str(browser.evaluate(f"document.querySelector({json.dumps(cell)}).innerText"))
        _, rows = browser.download("#chart-profile .downloads a")
        value = value_of(rows, "1", "python")
        assert shown.startswith(f"{value:.3g} [")
        assert not browser.evaluate("document.querySelector('#chart-profile .drawing').offsetHeight")
    finally:
        browser.run_scripts(True)


def test_jobs_are_selected_in_the_list_and_compared(browser: Browser, stack: RunningStack) -> None:
    with httpx.Client(base_url=stack.base_url) as client:
        for name in ("one", "two"):
            job = client.post("/v1/jobs", json={"model": "demo", "name": name, "texts": {"cpp": CPP}}).json()
            while client.get(f"{job['links']['self']}?wait=30").json()["finished_at"] is None:
                time.sleep(0.1)
    browser.open(f"{stack.base_url}/jobs")
    for place in (1, 2):
        browser.click(f".jobs tbody tr:nth-child({place}) input")
    browser.click("#jobs button")
    browser.wait_for("location.pathname === '/compare'")
    browser.wait_for("document.querySelector('#chart-compared svg') !== null")
    browser.evaluate("document.querySelector('[name=axis]').value = 'depth'")
    browser.evaluate(
        "document.querySelector('[name=axis]').dispatchEvent(new Event('change', {bubbles: true}))"
    )
    browser.wait_for("location.search.includes('axis=depth')")
    browser.wait_for("document.querySelector('#chart-compared svg') !== null")
    browser.evaluate("document.querySelector('.drawing').focus()")
    browser.press("End", "ArrowDown")
    reading = str(browser.evaluate("document.querySelector('.reading').textContent"))
    assert "(relative depth 1), B, cpp: " in reading
    assert browser.errors == []
