"""One house for all faults of a run, what it gives undisturbed, and order after each fault."""

import time
from collections.abc import Iterator

import pytest

from tests.faults.house import START_SECONDS, House, random_texts, standing_house
from tests.faults.scale import SCALE, SEED
from tests.faults.trial import Reference
from tests.faults.watch import Watch
from tests.tiny import causal_model, save


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
    texts, begun = random_texts(SCALE.texts), time.monotonic()
    job_id = house.submit(texts)
    with Watch(house, job_id) as watch:
        watch.finish(START_SECONDS)
    seconds = time.monotonic() - begun
    return Reference(texts, house.file(job_id, "results.csv"), house.file(job_id, "texts.csv"), seconds)


@pytest.fixture(autouse=True)
def order(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every worker is back before a fault, and no injection outlives it."""
    if "house" not in request.fixturenames:
        yield
        return
    house: House = request.getfixturevalue("house")
    house.wait_for_workers()
    yield
    house.injection.disarm()
