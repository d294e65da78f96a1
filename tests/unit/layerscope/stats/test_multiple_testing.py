"""The corrections of p values."""

import numpy as np

from layerscope.stats.multiple_testing import benjamini_hochberg, holm


def test_missing_p_values_stay_missing() -> None:
    for correct in (holm, benjamini_hochberg):
        assert np.isnan(correct(np.full((2, 3), np.nan))).all()
