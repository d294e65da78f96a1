"""One house for all faults of a run, what it gives undisturbed, and order after each fault."""

import time
from collections.abc import Iterator

import pytest

from tests.faults.house import START_SECONDS, House, random_texts, standing_house
from tests.faults.scale import SCALE, SEED, TEXTS_PER_SHARD
from tests.faults.trial import Reference
from tests.faults.watch import Watch, everything_settled, server_errors
from tests.support.tiny import causal_model, save


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    model = save(causal_model(num_hidden_layers=2), folder / "model")
    print(f"seed {SEED}, {SCALE.name}")
    with standing_house(folder, model) as house:
        yield house


@pytest.fixture(scope="package")
def reference(house: House) -> Reference:
    """The undisturbed run."""
    return undisturbed(house, random_texts(SCALE.texts))


@pytest.fixture(scope="package")
def small(house: House) -> Reference:
    """Two shards, undisturbed."""
    return undisturbed(house, random_texts(2 * TEXTS_PER_SHARD))


def undisturbed(house: House, texts: list[tuple[str, str]]) -> Reference:
    begun = time.monotonic()
    job_id = house.submit(texts)
    with Watch(house, job_id) as watch:
        watch.finish(START_SECONDS)
    seconds = time.monotonic() - begun
    return Reference(texts, house.file(job_id, "results.csv"), house.file(job_id, "texts.csv"), seconds)


@pytest.fixture(autouse=True)
def order(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every worker is back before a fault; after it nothing is left behind, and no wrong answer was given."""
    if "house" not in request.fixturenames:
        yield
        return
    house: House = request.getfixturevalue("house")
    house.wait_for_workers()
    house.outage = False
    api, errors = house.api.process.pid, server_errors(house)
    yield
    house.injection.disarm()
    everything_settled(house)
    if house.api.process.pid != api:
        errors.clear()  # the new one counts from nothing
    assert set(server_errors(house) - errors) <= ({"503"} if house.outage else set())
