"""Two API processes that share nothing but the servers give the same bytes and ETags."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from app.api.endpoints.files import FILES
from app.api.endpoints.plots import MEDIA_TYPES
from app.settings import Settings
from benchmarks.service.api_process import api_process
from layerscope.core import load_model
from tests.support.http.over_http import path
from tests.support.jobs.measured_job import measured_job
from tests.support.models.tiny import causal_model, save
from tests.support.programs.serving import NO_TLS

TEXTS = [(domain, f"{domain} {'x ' * i}") for i in range(6) for domain in ("cpp", "python", "go")]


@pytest.fixture
def replicas(settings: Settings, tmp_path: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    homes = [settings.model_copy(update={"home": tmp_path / name}) for name in ("first", "second")]
    with (
        api_process(homes[0]) as (first, _),
        api_process(homes[1]) as (second, _),
        httpx.Client(base_url=first, timeout=60, verify=NO_TLS) as a,
        httpx.Client(base_url=second, timeout=60, verify=NO_TLS) as b,
    ):
        yield a, b


def test_a_download_continues_at_another_replica(
    replicas: tuple[httpx.Client, httpx.Client],
    sessions: sessionmaker[Session],
    redis: Redis,
    tmp_path: Path,
) -> None:
    model = load_model(save(causal_model(), tmp_path / "model"))
    analyses = ["ablation", "logit_lens", "tokens"]
    job_id = measured_job(model, sessions, redis, TEXTS, analyses=analyses, analysis_texts=3)
    a, b = replicas
    plots = [plot["name"] for plot in a.get(path(job_id, "plots")).json()["data"] if not plot["unavailable"]]
    names = [
        *(file.name for file in FILES),
        *(f"plots/{name}.{suffix}" for name in plots[::5] for suffix in MEDIA_TYPES),
    ]
    assert len(plots) > 10
    for name in names:
        whole = a.get(path(job_id, name))
        assert whole.status_code == 200, name
        middle = len(whole.content) // 2
        condition = {"Range": f"bytes={middle}-", "If-Range": whole.headers["ETag"]}
        rest = b.get(path(job_id, name), headers=condition)  # its cache does not have the file yet
        assert rest.status_code == 206, name
        assert whole.content[:middle] + rest.content == whole.content, name
        again = b.get(path(job_id, name))
        assert (again.content, again.headers["ETag"]) == (whole.content, whole.headers["ETag"]), name
        known = b.get(path(job_id, name), headers={"If-None-Match": whole.headers["ETag"]})
        assert known.status_code == 304, name
