"""Axes for numbers that span decades: few ticks, plainly written."""

from typing import Any

import pytest
from matplotlib.figure import Figure

from app.plots.drawing.scales import scale_around_zero, scale_logarithmically


def axes_with(values: list[float]) -> Any:
    axes = Figure().subplots()
    axes.plot(values)
    return axes


@pytest.mark.parametrize("ratio", [1.3, 2.5, 3.5, 8.0, 12.0, 90.0, 900.0, 1e4, 1e6])
def test_a_logarithmic_axis_has_a_few_plain_ticks(ratio: float) -> None:
    axes = axes_with([1, ratio])
    scale_logarithmically(axes, "y")
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    shown = [
        (tick, label.get_text())
        for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        if low <= tick <= high
    ]
    assert 3 <= len(shown) <= 9
    assert all(float(text) == pytest.approx(tick) for tick, text in shown)
    assert axes.yaxis.get_minorticklocs().size == 0


def test_ticks_of_less_than_half_a_decade_are_round() -> None:
    axes = axes_with([0.18, 0.47])
    scale_logarithmically(axes, "y")
    shown = [tick for tick in axes.get_yticks() if 0.18 <= tick <= 0.47]
    assert shown == pytest.approx([0.2, 0.3, 0.4])


def test_an_axis_with_nothing_above_zero_stays_as_it_is() -> None:
    axes = axes_with([0.0, -1.0])
    scale_logarithmically(axes, "y")
    assert axes.get_yscale() == "linear"


@pytest.mark.parametrize(
    ("values", "linear"),
    [
        ([1e-12, 0.2, -0.3, 0.4, 0.5], 0.1),
        ([0.0, 0.0, 0.0, -2.0, 30.0], 1.0),
        ([0.02, float("nan"), 0.03], 0.01),
        ([0.0, float("nan")], 1.0),
        ([], 1.0),
    ],
)
def test_around_zero_an_axis_is_linear_as_far_as_few_values_go(values: list[float], linear: float) -> None:
    axes = axes_with(values)
    assert scale_around_zero(axes, values) == pytest.approx(linear)
    assert axes.get_yscale() == "symlog"
    assert all(float(label.get_text().replace("−", "-")) is not None for label in axes.get_yticklabels())
