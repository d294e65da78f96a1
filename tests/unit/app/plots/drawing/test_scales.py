"""Axes: few ticks, plainly written, and no layer that compresses the others."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.plots.drawing.outside import CUT, layer_axis
from app.plots.drawing.scales import (
    EMPTY,
    MOST_OUTSIDE,
    Scale,
    covered_layers,
    figure,
    layer_scale,
    scale_over,
)

INCHES = 3.0
FINITE = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)


@pytest.mark.parametrize("ratio", [1.3, 2.5, 3.5, 8.0, 12.0, 90.0, 900.0, 1e4, 1e6, 1e30])
def test_a_logarithmic_axis_has_a_few_plain_ticks(ratio: float) -> None:
    scale = scale_over([1, ratio], INCHES, logarithmic=True)
    assert scale.logarithmic
    assert scale.low < 1 < ratio < scale.high
    assert 3 <= len(scale.ticks) <= 10
    assert [float(label) for label in scale.labels] == pytest.approx(scale.ticks)
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)


def test_ticks_of_less_than_half_a_decade_are_round() -> None:
    scale = scale_over([0.18, 0.47], 1.7, logarithmic=True)
    assert [tick for tick in scale.ticks if 0.18 <= tick <= 0.47] == pytest.approx([0.2, 0.3, 0.4])


def test_a_scale_without_a_value_is_empty() -> None:
    assert scale_over([math.nan], INCHES) == EMPTY
    assert scale_over([0.0, -1.0], INCHES, logarithmic=True) == EMPTY


@given(st.lists(FINITE, min_size=1), st.booleans())
def test_a_scale_covers_its_values_and_its_ticks(values: list[float], logarithmic: bool) -> None:
    scale = scale_over(values, INCHES, logarithmic=logarithmic)
    shown = [value for value in values if value > 0 or not logarithmic]
    if shown:
        assert scale.low < min(shown) <= max(shown) < scale.high
        places = scale.places([*shown, *scale.ticks], 2.0, INCHES)
        assert ((places >= 2 - 1e-9) & (places <= 2 + INCHES + 1e-9)).all()


def test_values_outside_a_scale_have_no_place_within_it() -> None:
    scale = Scale(0, 10, outside_low=0.5, outside_high=1)
    assert scale.places([0, 5, 10], 1, 4).tolist() == [1.5, 2.75, 4]
    assert scale.cut([-1, 5, 11, math.nan]).tolist()[:3] == [0, 5, 10]
    assert np.isnan(scale.covered([-1, 5, 11])).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("layers", "inches", "step"), [(1, 1, 1), (28, 11, 1), (28, 2.5, 5), (80, 11, 5), (126, 2.5, 20)]
)
def test_ticks_of_layers_are_whole_and_have_space(layers: int, inches: float, step: int) -> None:
    scale = layer_scale(layers, inches)
    assert scale.ticks == tuple(range(0, layers, step))
    assert (scale.low, scale.high) == (-0.5, layers - 0.5)


def usual(layers: int = 28) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 0.5, (3, layers))


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("outside", [{}, {0: 17.0}, {0: 17.0, 27: 9.0}, {11: 1e3, 3: 20.0, 4: 21.0, 5: 19.0}])
def test_layers_that_would_compress_the_others_are_outside(
    outside: dict[int, float], logarithmic: bool
) -> None:
    values = usual()
    for layer, value in outside.items():
        values[:, layer] = value
    covered = covered_layers(values, logarithmic=logarithmic)
    assert np.flatnonzero(~covered).tolist() == sorted(outside)


def test_layers_are_outside_only_if_each_of_them_would_compress_the_others() -> None:
    written = [0.114, 1.2, 0.6, 0.7, *([1.0] * 20), 8.2, 1.9, 2.3, 7.9, 7.0, 30.0]  # of a real model
    assert covered_layers([written], logarithmic=True).all()
    values = usual()
    values[:, 0], values[:, 1] = 17.0, 0.7
    assert np.flatnonzero(~covered_layers(values)).tolist() == [0]


def test_an_axis_that_intervals_extend_covers_the_layers_within_it() -> None:
    values = usual()
    values[:, 0] = 1.2
    intervals = [values - 0.3, values + 0.3]
    assert layer_axis(values, INCHES).outside == [0]
    axis = layer_axis(values, INCHES, bands=[values - 1, values + 1])
    assert (axis.outside, axis.words) == ([], [])
    assert axis.scale.high > 2.2
    assert layer_axis(values, INCHES, intervals=intervals).outside == [0]


def test_as_many_layers_as_others_are_not_outside() -> None:
    values = usual()
    values[:, : MOST_OUTSIDE + 1] = 17.0
    assert covered_layers(values).all()
    few = usual(4)
    few[:, 0] = 17.0
    assert covered_layers(few).all()


def test_a_layer_is_outside_if_its_value_in_one_domain_is() -> None:
    values = usual()
    values[1, 5] = -40.0
    assert np.flatnonzero(~covered_layers(values)).tolist() == [5]
    axis = layer_axis(values, INCHES)
    assert axis.outside == [5]
    assert axis.scale.outside_low > 0 == axis.scale.outside_high
    assert axis.words == ["Triangles: values of layer 5 outside the axis, written from left to right"]


def test_layers_without_a_value_do_not_matter() -> None:
    values = usual()
    values[:, 3] = math.nan
    values[:, 0] = 17.0
    assert np.flatnonzero(~covered_layers(values)).tolist() == [0]
    assert covered_layers(np.full((2, 28), math.nan)).all()
    assert layer_axis(np.full((2, 28), math.nan), INCHES).scale == EMPTY


def test_0_counts_if_the_axis_covers_it() -> None:
    values = np.full((1, 10), 5.0) + np.arange(10) / 100
    values[:, 0] = 5.8
    assert not covered_layers(values)[0]
    assert covered_layers(values, with_zero=True).all()


@pytest.mark.parametrize("logarithmic", [False, True])
def test_bands_are_covered_and_long_intervals_are_cut(logarithmic: bool) -> None:
    values = usual()
    low, high = values * 0.99, values * 1.01
    short = layer_axis(values, INCHES, intervals=[low, high], logarithmic=logarithmic)
    assert (short.scale.low < low.min(), short.scale.high > high.max(), short.words) == (True, True, [])
    low, high = low / 50, high * 50
    band = layer_axis(values, INCHES, bands=[low, high], logarithmic=logarithmic)
    assert (band.scale.low < low.min(), band.scale.high > high.max(), band.words) == (True, True, [])
    cut = layer_axis(values, INCHES, intervals=[low, high], logarithmic=logarithmic)
    assert cut.scale.high < high.max() / 5
    assert cut.words == [CUT]


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.26, "0.260"), (17.25, "17.2"), (-3, "−3.00"), (980.4, "980"), (29_300, "2.93e+04"), (0, "0.00")],
)
def test_values_at_the_edge_have_three_digits(value: float, words: str) -> None:
    assert figure(value) == words
