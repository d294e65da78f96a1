"""What a browser loads for each page, compressed, with everything that the page refers to."""

import gzip

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from tests.support.http.html_page import Page
from tests.support.jobs.jobs_by_hand import submit
from tests.support.jobs.lognormal_job import lognormal_job

Sessions = sessionmaker[Session]
WITH_CHARTS, WITHOUT_CHARTS = 450_000, 60_000
ECHARTS = "/static/echarts/echarts.min.js"


def loaded(api: httpx.Client, path: str) -> dict[str, int]:
    """The compressed sizes of a page and of its scripts and styles."""
    page = api.get(path)
    assert page.status_code == 200
    parsed = Page(page.text)
    scripts = [a["src"] or "" for a in parsed.all("script") if "src" in a]
    others = [a["href"] or "" for a in parsed.all("link")]
    return {path: len(gzip.compress(page.content))} | {
        name: len(gzip.compress(api.get(name).content)) for name in (*scripts, *others)
    }


@pytest.mark.parametrize("path", ["/jobs/{job}", "/compare?job={job}&job={other}", "/jobs/{job}/texts/0"])
def test_a_page_with_charts_is_small(api: httpx.Client, sessions: Sessions, path: str) -> None:
    job, other = (lognormal_job(sessions, {"a": 9, "b": 8, "c": 9})[0] for _ in range(2))
    sizes = loaded(api, path.format(job=job, other=other))
    assert ECHARTS in sizes
    assert sum(sizes.values()) < WITH_CHARTS, sizes


@pytest.mark.parametrize("path", ["/", "/jobs", "/models", "/compare", "/jobs/{job}", "/jobs/{job}/texts"])
def test_a_page_without_charts_is_small(api: httpx.Client, sessions: Sessions, path: str) -> None:
    jobs = [submit(sessions, [("cpp", "a")]) for _ in range(30)]
    sizes = loaded(api, path.format(job=jobs[0]))
    assert ECHARTS not in sizes
    assert sum(sizes.values()) < WITHOUT_CHARTS, sizes
