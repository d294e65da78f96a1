"""A coefficient that cannot be computed is nan."""

import numpy as np
import pytest

from layerscope.stats.regression import robust_coefficient


@pytest.mark.parametrize(("difference", "has_result"), [(1e-3, True), (1e-6, False)])
def test_nearly_collinear_regressors_have_no_result(
    difference: float, has_result: bool, rng: np.random.Generator
) -> None:
    design, values = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    design[:, 1] = design[:, 0] + difference * design[:, 1]
    assert np.isfinite(robust_coefficient(design, values, np.ones(1)).p_value) == has_result
