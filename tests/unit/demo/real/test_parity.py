"""The reference of `make real` agrees with the measurement of a tiny model, and a changed value is found."""

import csv
from pathlib import Path

import numpy as np
import pytest

from demo.real.parity import TOLERANCE, Array, massive_positions, worst_errors
from layerscope.core import load_model, profile_texts
from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.support.models.tiny import add_massive_activation, causal_model, save

TEXTS = {3: "int main() { return 0; }", 7: "def f(x):\n    return x * x\n" * 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = causal_model()
    add_massive_activation(model)
    return save(model, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def measured(folder: Path) -> dict[int, Array]:
    texts = profile_texts(load_model(folder, dtype="float32"), list(TEXTS.values()))
    return dict(zip(TEXTS, (text.values.astype(np.float64) for text in texts), strict=True))


def write_texts(path: Path, values: dict[int, Array]) -> Path:
    """The columns of texts.csv that are compared."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("ordinal", "component", "scope", "layer", *METRICS))
        for ordinal, table in values.items():
            for i, j, layer in np.ndindex(table.shape[:3]):
                writer.writerow((ordinal, COMPONENTS[i], SCOPES[j], layer, *table[i, j, layer].tolist()))
    return path


def test_the_measurement_agrees(folder: Path, measured: dict[int, Array], tmp_path: Path) -> None:
    errors = worst_errors(folder, write_texts(tmp_path / "texts.csv", measured), TEXTS)
    assert list(errors.measured) == list(errors.float32) == list(SCOPES)
    for found in (errors.measured, errors.float32):
        assert 0 < max(found.values()) < TOLERANCE


@pytest.mark.parametrize("metric", METRICS)
def test_a_changed_value_is_found(
    folder: Path, measured: dict[int, Array], metric: str, tmp_path: Path
) -> None:
    changed = {ordinal: table.copy() for ordinal, table in measured.items()}
    changed[7][2, 3, 1, METRICS.index(metric)] += 0.01
    errors = worst_errors(folder, write_texts(tmp_path / "texts.csv", changed), TEXTS)
    assert [scope for scope in SCOPES if errors.measured[scope] > TOLERANCE] == [SCOPES[3]]


def test_massive_tokens_are_found_at_any_layer() -> None:
    residuals = np.ones((3, 6, 2))
    residuals[1, 0] = residuals[2, 4] = 3.1
    residuals[0, 2] = 99  # the embedding does not count
    assert massive_positions(residuals, 3).tolist() == [0, 4]
