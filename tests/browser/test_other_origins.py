"""What a web page of another site can do to a service on the same machine, in a real browser: nothing."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.support.http.over_http import submit
from tests.support.programs.chromium import REBOUND, Browser
from tests.support.programs.processes import wait_for

# Requests that a browser sends without asking the service first.
SUBMIT = """(() => {
  const form = new FormData();
  form.append("file", new Blob(["a text"]), "a.txt");
  form.append("model", "demo");
  return fetch(%s, { method: "POST", mode: %s, body: form }).then((answer) => answer.status);
})()"""
CANCEL = """fetch(%s, { method: "POST", mode: "no-cors" }).then((answer) => answer.type)"""
READ = """fetch(%s).then((answer) => answer.text(), () => "refused")"""
FORM = """(() => {
  const form = Object.assign(document.createElement("form"), {
    method: "post", enctype: "multipart/form-data", action: %s,
  });
  for (const [name, value] of [["model", "demo"], ["pasted", "a text"]])
    form.append(Object.assign(document.createElement("input"), { name, value }));
  document.body.append(form);
  form.submit();
})()"""
FRAME = """document.body.append(Object.assign(document.createElement("iframe"), { src: %s }))"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another site</title><p>Another site")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def other_site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def url(api: httpx.Client) -> str:
    return str(api.base_url).rstrip("/")


def refused(api: httpx.Client) -> float:
    """The number of POST requests that were refused for their origin, as the service counts them."""
    counted = r'requests_total{method="POST",route="none",status="403"} (\S+)'
    found = re.search(counted, api.get("/metrics").text)
    return float(found[1]) if found else 0


def script(template: str, *values: str) -> str:
    return template % tuple(map(json.dumps, values))


def test_its_own_page_can_submit(browser: Browser, api: httpx.Client, url: str) -> None:
    """What the next test sends is refused for its origin only."""
    browser.open(url)
    assert browser.evaluate(script(SUBMIT, f"{url}/v1/jobs", "cors")) == 202


def test_another_site_changes_nothing(browser: Browser, api: httpx.Client, url: str, other_site: str) -> None:
    job = submit(api)["id"]
    browser.open(other_site)
    before = refused(api)
    browser.evaluate(script(SUBMIT, f"{url}/v1/jobs", "no-cors"))
    browser.evaluate(script(CANCEL, f"{url}/v1/jobs/{job}/cancel"))
    assert refused(api) == before + 2  # the browser has sent both
    browser.evaluate(script(FORM, f"{url}/jobs/new"))
    browser.wait_for("location.pathname === '/jobs/new'")
    assert "A web page of another site may not change anything." in browser.text()
    (kept,) = api.get("/v1/jobs").json()["data"]
    assert (kept["id"], kept["status"]) == (job, "queued")


def test_another_site_reads_nothing(browser: Browser, api: httpx.Client, url: str, other_site: str) -> None:
    submit(api)
    browser.open(other_site)
    assert browser.evaluate(script(READ, f"{url}/v1/jobs")) == "refused"


def test_another_site_cannot_show_a_page_in_a_frame(
    browser: Browser, api: httpx.Client, url: str, other_site: str
) -> None:
    browser.open(other_site)
    browser.evaluate(script(FRAME, f"{url}/jobs"))

    def is_refused() -> bool:
        browser.evaluate("0")  # the browser sends its messages together with an answer
        return any("frame-ancestors" in error for error in browser.errors)

    wait_for(is_refused)


def test_a_name_that_was_rebound_to_this_machine_is_refused(
    browser: Browser, api: httpx.Client, url: str
) -> None:
    browser.open(url.replace("127.0.0.1", REBOUND))
    assert f"This service is not known as '{REBOUND}:" in browser.text()
