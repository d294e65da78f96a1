"""The statistics of a job do not depend on how many of its texts are accumulated at a time."""

from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from app.tables import Job
from layerscope.names import COMPONENTS, METRICS, SCOPES
from layerscope.values import encode, encode_square_norms
from worker.corpus.parts import MeasuredRow
from worker.finalization import statistics

LAYERS, TEXTS = 3, 23


def measured_text(ordinal: int, rng: np.random.Generator) -> MeasuredRow:
    values = rng.lognormal(size=(len(COMPONENTS), len(SCOPES), LAYERS, len(METRICS)))
    values[rng.random(values.shape) < 0.1] = np.nan
    massive = [0] if ordinal % 2 else []
    norms = encode_square_norms(rng.lognormal(size=(2, LAYERS)))
    strings = ["<s>"] * len(massive)
    return MeasuredRow(ordinal, "cpp", int(rng.integers(1, 9)), encode(values), massive, strings, norms, None)


def rows_of(job: Job, texts: list[MeasuredRow]) -> list[dict[str, Any]]:
    found = statistics.statistics_of(job, texts, {})
    return [*found.layers, *found.first_tokens, *found.massive, *found.strings]


@pytest.mark.parametrize("at_a_time", [1, 7])
def test_the_number_of_texts_at_a_time_does_not_matter(
    at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    job = Job(id=uuid4(), options={"components": list(COMPONENTS)}, scopes=list(SCOPES))
    texts = [measured_text(ordinal, rng) for ordinal in range(TEXTS)]
    expected = rows_of(job, texts)
    monkeypatch.setattr(statistics, "TEXTS_AT_A_TIME", at_a_time)
    for found, row in zip(rows_of(job, texts), expected, strict=True):
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        assert {name: found[name] for name in numbers} == pytest.approx(numbers, rel=1e-9)
        assert {name: found[name] for name in row.keys() - numbers} == {
            name: row[name] for name in row.keys() - numbers
        }
