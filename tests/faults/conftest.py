"""One service for all faults of a run, its results without faults, and the checks after each fault."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from tests.faults.support.checks import server_errors, wait_until_nothing_is_left
from tests.faults.support.disturbed_job import Reference
from tests.faults.support.monitor import JobMonitor
from tests.faults.support.scale import SCALE, SEED, TEXTS_PER_SHARD
from tests.faults.support.service import MODEL, START_SECONDS, RunningService, random_texts, running_service
from tests.support.models.tiny import causal_model, save


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    model = save(causal_model(num_hidden_layers=2), folder / "model")
    print(f"seed {SEED}, {SCALE.name}")
    with running_service(folder, model) as service:
        yield service


@pytest.fixture(scope="package")
def reference(service: RunningService) -> Reference:
    """The results of all texts without faults."""
    return run_without_faults(service, random_texts(SCALE.texts))


@pytest.fixture(scope="package")
def small_reference(service: RunningService) -> Reference:
    """The results of two shards without faults."""
    return run_without_faults(service, random_texts(2 * TEXTS_PER_SHARD))


def run_without_faults(service: RunningService, texts: list[tuple[str, str]]) -> Reference:
    begun = time.monotonic()
    job_id = service.submit(texts)
    with JobMonitor(service, job_id) as monitor:
        monitor.wait_for_end(START_SECONDS)
    seconds = time.monotonic() - begun
    return Reference(texts, service.file(job_id, "results.csv"), service.file(job_id, "texts.csv"), seconds)


@pytest.fixture
def tiny_settings(empty_database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """For a tiny model, short shards, and a database of its own without tables."""
    folder = save(causal_model(num_hidden_layers=2), tmp_path / "model")
    models = tmp_path / "models.toml"
    models.write_text(f'[{MODEL}]\nsource = "{folder}"\ndevice = "cpu"\n')
    return Settings(
        home=tmp_path / "home",
        database_url=empty_database_url,
        redis_url=redis_url,
        models=models,
        lease_seconds=4,
        sweep_seconds=0.5,
        shard_texts=4,
    )


@pytest.fixture(autouse=True)
def before_and_after_a_fault(request: pytest.FixtureRequest) -> Iterator[None]:
    """Before: all workers are ready. After: nothing is left behind, and the API answered no other 5xx."""
    if "service" not in request.fixturenames:
        yield
        return
    service: RunningService = request.getfixturevalue("service")
    service.wait_for_workers()
    service.allows_503 = False
    api, errors = service.api.process.pid, server_errors(service)
    yield
    service.injection.disarm()
    wait_until_nothing_is_left(service)
    if service.api.process.pid != api:
        errors.clear()  # a new API process counts from 0
    assert set(server_errors(service) - errors) <= ({"503"} if service.allows_503 else set())
