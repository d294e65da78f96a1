"""The processors and GPUs of the actors of a corpus."""

import pytest

from app.errors import ConfigurationError
from worker.corpus.cluster import Actors, plan_actors

CPUS = {"CPU": 16.0, "memory": 1e9}
GPUS = {"CPU": 16.0, "GPU": 8.0}


@pytest.mark.parametrize(
    ("machines", "wanted", "device", "expected"),
    [
        ([{"CPU": 2.0}], None, "auto", Actors(1, 2, 0)),
        ([{"CPU": 2.0}], 2, "auto", Actors(2, 1, 0)),
        ([CPUS] * 4, None, "auto", Actors(1, 16, 0)),  # not the processors of all machines
        ([CPUS] * 4, 4, "auto", Actors(4, 16, 0)),
        ([CPUS] * 4, 5, "auto", Actors(5, 8, 0)),
        ([{"CPU": 1.0}, CPUS], 4, "auto", Actors(4, 4, 0)),
        ([CPUS, GPUS, GPUS], None, "auto", Actors(16, 1, 1)),
        ([CPUS, GPUS, GPUS], 3, "auto", Actors(3, 1, 1)),
        ([GPUS], None, "cpu", Actors(1, 16, 0)),
    ],
)
def test_actors_fit_on_the_machines(
    machines: list[dict[str, float]], wanted: int | None, device: str, expected: Actors
) -> None:
    assert plan_actors(machines, wanted, device) == expected


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"CPU": 2.0}, "3 actors need 3 processors; there are 2: use --actors 2"),
        (GPUS, "9 actors need 9 GPUs"),
    ],
)
def test_too_many_actors_are_refused(machine: dict[str, float], words: str) -> None:
    wanted = 9 if "GPU" in machine else 3
    with pytest.raises(ConfigurationError, match=words):
        plan_actors([machine], wanted, "auto")
