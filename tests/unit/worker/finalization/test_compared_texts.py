"""The values that are compared are those of the chosen texts, in the order of their domains."""

import tempfile
from collections.abc import Iterator
from io import BufferedRandom
from uuid import uuid4

import numpy as np
import pytest

from app.tables import Job
from layerscope.names import COMPONENTS, METRICS, SCOPES
from layerscope.values import encode
from tests.unit.worker.finalization.test_statistics import LAYERS
from worker.corpus.parts import MeasuredRow
from worker.finalization import compared_texts
from worker.finalization.compared_texts import ComparedTexts, DomainTexts

TEXTS = 150  # more than are read at a time
JOB = Job(id=uuid4(), options={"components": list(COMPONENTS)}, scopes=list(SCOPES))
VALUES = np.random.default_rng(0).lognormal(size=(TEXTS, len(COMPONENTS), len(SCOPES), LAYERS, len(METRICS)))
DOMAINS = {
    "a": DomainTexts(np.arange(0, TEXTS, 2), np.arange(TEXTS // 2), np.full(TEXTS // 2, 9.0)),
    "b": DomainTexts(np.arange(1, TEXTS, 2), np.arange(TEXTS // 2), np.full(TEXTS // 2, 9.0)),
    "failed": DomainTexts(np.array([TEXTS]), np.array([0]), np.array([0.0])),
}


@pytest.fixture
def file() -> Iterator[BufferedRandom]:
    with tempfile.TemporaryFile() as opened:
        yield opened


def rows() -> list[MeasuredRow]:
    return [MeasuredRow(i, "ab"[i % 2], 9, encode(VALUES[i]), [], [], b"", None) for i in range(TEXTS)]


def test_the_values_of_each_domain_are_kept(file: BufferedRandom) -> None:
    texts = ComparedTexts(JOB, DOMAINS, file)
    assert len(list(texts.keeping(rows()))) == TEXTS
    for component, scope in ((0, 0), (2, 3), (1, 2)):
        found = texts.values(component, scope)
        assert found.keys() == {"a", "b"}
        for place, domain in enumerate("ab"):
            np.testing.assert_array_equal(found[domain], VALUES[place::2, component, scope])


def test_only_the_chosen_texts_are_kept(file: BufferedRandom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared_texts, "HELD_BYTES", 2 * 5 * VALUES[0, 0, 0].nbytes)
    texts = ComparedTexts(JOB, DOMAINS, file)
    list(texts.keeping(rows()))
    np.testing.assert_array_equal(texts.values(1, 1)["b"], VALUES[1::30, 1, 1])


def test_a_single_domain_is_not_kept(file: BufferedRandom) -> None:
    texts = ComparedTexts(JOB, {"a": DOMAINS["a"], "failed": DOMAINS["failed"]}, file)
    list(texts.keeping(rows()))
    assert file.seek(0, 2) == 0


def test_a_missing_text_is_an_error(file: BufferedRandom) -> None:
    texts = ComparedTexts(JOB, DOMAINS, file)
    with pytest.raises(RuntimeError, match="only 40 of 150 texts"):
        list(texts.keeping([row for row in rows() if row.ordinal != 40]))
