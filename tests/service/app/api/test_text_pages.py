"""The pages of texts: search, filters, paging, and each text with its layers and tokens."""

import html
import json
import re

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.service.app.api.test_charts import CHART
from tests.support.jobs.finished_job import FinishedJob, finished_job
from tests.support.jobs.jobs_by_hand import submit

Sessions = sessionmaker[Session]
HOSTILE = "</script><svg onload=alert(1)>\"'&"
TEXTS = [
    ("cpp", "int main() {}"),
    ("cpp", HOSTILE),
    ("python", "100% certain_ly"),
    *(("python", f"print({i})") for i in range(60)),
]


@pytest.fixture
def job(sessions: Sessions) -> FinishedJob:
    """Text 1 is truncated, text 2 has failed."""
    return finished_job(sessions, TEXTS, failing=[2])


def ordinals(page: httpx.Response) -> list[int]:
    assert page.status_code == 200, page.text
    return [
        int(number) for number in re.findall(r'<th scope="row"><a href="/jobs/[^"]+/texts/(\d+)">', page.text)
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"search": "MAIN"}, [0]),
        ({"search": "%"}, [2]),
        ({"search": "certain_l"}, [2]),
        ({"search": "n_m"}, []),
        ({"search": "print(4", "domain": "python"}, [7, *range(43, 53)]),
        ({"search": "print", "domain": "cpp"}, []),
        ({"domain": "cpp"}, [0, 1]),
        ({"only": "failed"}, [2]),
        ({"only": "truncated"}, [1]),
        ({"only": "massive"}, []),
        ({"search": "", "domain": "", "only": "", "after": "60"}, [61, 62]),
    ],
)
def test_texts_are_found(
    api: httpx.Client, job: FinishedJob, query: dict[str, str], found: list[int]
) -> None:
    assert ordinals(api.get(f"/jobs/{job.id}/texts", params=query)) == found


def test_following_the_pages_lists_every_text_once(api: httpx.Client, job: FinishedJob) -> None:
    address, found = f"/jobs/{job.id}/texts", []
    while address:
        page = api.get(address)
        found += ordinals(page)
        more = re.search(r'href="(\?[^"]+)">Next texts', page.text)
        address = f"/jobs/{job.id}/texts{html.unescape(more[1])}" if more else ""
    assert found == list(range(len(TEXTS)))


def test_a_text_is_shown_as_text(api: httpx.Client, job: FinishedJob) -> None:
    for address in (f"/jobs/{job.id}/texts", f"/jobs/{job.id}/texts/1"):
        page = api.get(address).text
        assert HOSTILE not in page
        assert HOSTILE in html.unescape(page)


def test_the_chart_of_a_text_has_its_values(api: httpx.Client, job: FinishedJob) -> None:
    page = api.get(f"/jobs/{job.id}/texts/3", params={"metric": "cosine", "scope": "rest"})
    ((name, data),) = CHART.findall(page.text)
    chart = json.loads(data)
    assert (name, [series["name"] for series in chart["series"]]) == ("text", list(COMPONENTS))
    for series, values in zip(chart["series"], job.values[3], strict=True):
        wanted = values[SCOPES.index("rest"), :, METRICS.index("cosine")]
        assert series["values"] == pytest.approx(wanted.tolist(), rel=5e-4)


def test_a_failed_and_a_waiting_text_say_so(api: httpx.Client, job: FinishedJob, sessions: Sessions) -> None:
    assert "This text failed: =the text has more tokens" in api.get(f"/jobs/{job.id}/texts/2").text
    queued = submit(sessions, [("cpp", "a")])
    assert "has not been measured yet" in api.get(f"/jobs/{queued}/texts/0").text


@pytest.mark.parametrize("ordinal", ["63", "-1", "x", str(10**30), "1.5"])
def test_a_text_that_does_not_exist_has_a_page(api: httpx.Client, job: FinishedJob, ordinal: str) -> None:
    answer = api.get(f"/jobs/{job.id}/texts/{ordinal}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", ["texts", "texts/0"])
def test_an_unknown_parameter_is_refused(api: httpx.Client, job: FinishedJob, path: str) -> None:
    assert api.get(f"/jobs/{job.id}/{path}", params={"serach": "a"}).status_code == 422
