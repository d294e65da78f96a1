"""The names under which the files of a job are saved."""

import re
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.api.job_files import content_disposition
from app.tables import Job
from tests.support.http.over_http import path
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import submit


@pytest.mark.parametrize(
    "name", ["</script><svg onload=1>", 'a"; b', "../../etc/passwd", "\u202egpj.exe", "日本"]
)
def test_a_file_is_named_after_its_job_for_any_name_of_the_job(
    api: httpx.Client, sessions: sessionmaker[Session], name: str
) -> None:
    answer = api.get(path(finished_job(sessions, name=name).id, "results.csv"))
    assert answer.status_code == 200
    assert "/" not in filename_of(answer.headers["Content-Disposition"])


def filename_of(disposition: str) -> str:
    """By RFC 6266: the extended name if the header has both."""
    plain, _, true = disposition.removeprefix("attachment; filename=").partition("; filename*=UTF-8''")
    return unquote(true) if true else plain.strip('"')


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=100))
@example("../.bashrc")
@example(" .. a")
def test_any_name_gives_a_valid_header(name: str) -> None:
    header = content_disposition(f"{name}-results.csv")
    assert re.fullmatch(r'attachment; filename="[ !#-~]+"(; filename\*=UTF-8\'\'[A-Za-z0-9%._~-]+)?', header)
    filename = filename_of(header)
    assert filename.endswith("-results.csv")
    assert not set(filename) & set('/\\:*?"<>|')
    assert not filename.startswith(".")
    if not set(name) & set('/\\:*?"<>|') and not name.startswith((" ", ".")):
        assert filename == f"{name}-results.csv"


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(
    name=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=100
    )
)
def test_any_name_is_served(api: httpx.Client, sessions: sessionmaker[Session], name: str) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    api.post(f"/v1/jobs/{job_id}/cancel")
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(name=name.replace("\0", "")))
    assert api.get(path(job_id, "results.csv")).status_code == 200
