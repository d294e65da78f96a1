"""A real API and a real worker, and what they show of one job that they have finished."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.openmetrics import parser
from prometheus_client.samples import Sample

from app.settings import Settings
from tests.support.http.otlp_receiver import Receiver, otlp_receiver
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import NO_TLS, serving
from tests.support.programs.worker_process import start_worker

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"  # of the client
OPEN_METRICS = {"Accept": "application/openmetrics-text"}
NAME, TEXT = "the name of the job", "canary in a text"
TEXTS: dict[str, list[str | dict[str, Any]]] = {
    "cpp": [f"{TEXT} {'word ' * i}" for i in range(12)],
    "python": ["x = 1", {"token_ids": [10**6]}],  # the second is not in the vocabulary: it fails
}
FINISHED = re.compile(r"the metrics of this worker are at (http://[^\"\s]+)")


@dataclass(frozen=True)
class Observed:
    job: dict[str, Any]
    of_api: str
    of_worker: str
    worker_log: Path
    metrics_url: str
    receiver: Receiver

    @cached_property
    def samples(self) -> list[Sample]:
        parse = parser.text_string_to_metric_families
        families = (*parse(self.of_api), *parse(self.of_worker))  # type: ignore[no-untyped-call]
        return [sample for family in families for sample in family.samples]

    def value(self, sample: str, **labels: str) -> float:
        """The sample with this name and exactly these labels."""
        (found,) = [each.value for each in self.samples if each.name == sample and each.labels == labels]
        return float(found)

    @property
    def names(self) -> set[str]:
        """Of all samples, as a query names them."""
        return {sample.name for sample in self.samples}


@contextmanager
def running_worker(settings: Settings, log: Path) -> Iterator[None]:
    """With metrics at any port, which the log names."""
    traces = {"LAYERSCOPE_TRACES_ENDPOINT": settings.traces_endpoint} if settings.traces_endpoint else {}
    with log.open("wb") as out:
        process = start_worker(settings, "demo", out, LAYERSCOPE_WORKER_METRICS_PORT="0", **traces)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def observed_service(settings: Settings, folder: Path) -> Iterator[Observed]:
    """After one job, and after all its spans were received."""
    log = folder / "worker.log"
    with (
        otlp_receiver() as receiver,
        serving(settings := settings.model_copy(update={"traces_endpoint": receiver.url})) as url,
        running_worker(settings, log),
        httpx.Client(base_url=url, timeout=70, verify=NO_TLS) as api,
    ):
        body = {"model": "demo", "name": NAME, "texts": TEXTS, "options": {"analyses": ["ablation"]}}
        for path in ("/health/live", "/metrics", "/static/page.css"):
            api.get(path).raise_for_status()
        client = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        job_id = api.post("/v1/jobs", json=body, headers=client).json()["id"]
        job = api.get(f"/v1/jobs/{job_id}?wait=60").json()
        wait_for(lambda: FINISHED.search(log.read_text()))
        said = FINISHED.search(log.read_text())
        assert said is not None
        finalized = 'layerscope_worker_finalized_jobs_total{model="demo",outcome="succeeded"} 1.0'
        wait_for(lambda: finalized in httpx.get(said[1], headers=OPEN_METRICS, verify=NO_TLS).text)
        wait_for(lambda: all(map(receiver.named, ("POST /v1/jobs", "shard", "finalize"))))
        yield Observed(
            job=job,
            of_api=api.get("/metrics", headers=OPEN_METRICS).text,
            of_worker=httpx.get(said[1], headers=OPEN_METRICS, verify=NO_TLS).text,
            worker_log=log,
            metrics_url=said[1],
            receiver=receiver,
        )
