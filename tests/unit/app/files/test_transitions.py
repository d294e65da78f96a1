"""The variance of the original study."""

import pytest

from app.files.transitions import population_variance


@pytest.mark.parametrize(
    ("variance", "texts", "expected"), [(3.0, 3, 2.0), (None, 1, 0.0), (None, 0, None), (0.0, 5, 0.0)]
)
def test_population_variance(variance: float | None, texts: int, expected: float | None) -> None:
    assert population_variance(variance, texts) == expected
