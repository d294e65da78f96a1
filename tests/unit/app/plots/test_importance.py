"""The plot of importance: a point for each layer, with its number if there is space."""

from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from app.plots.drawing.labels import UNLINKED
from app.plots.importance import IMPORTANCE, NO_VALUE
from tests.support.plot_rows import DOMAINS, Rows, axes_of, importance_rows, values_of, words


def panels_of(rows: Rows) -> list[Any]:
    """Without the bar of shades."""
    return [axes for axes in axes_of(IMPORTANCE, rows) if axes.get_title(loc="left")]


def points(axes: Any) -> list[list[float]]:
    """In the order of the layers: 0 is drawn last."""
    *later, first = [dots.get_offsets() for dots in axes.collections if isinstance(dots, PathCollection)]
    found: list[list[float]] = np.concatenate([first, *later]).tolist()
    return found


def numbers(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_layer_is_a_point_at_what_it_writes_and_what_it_costs() -> None:
    rows = importance_rows(layers=9)
    panels = panels_of(rows)
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == [f"{domain}\n(n = 5; 3 ablated)" for domain in DOMAINS]
    for axes, domain in zip(panels, DOMAINS, strict=True):
        written = values_of(rows, "relative_norm", domain=domain, scope="typical", component="block")
        cost = values_of(rows, "ablation_nll", domain=domain, scope="all", component="block")
        assert points(axes) == [list(both) for both in zip(written, cost, strict=True)]
        assert sorted(number.split()[0] for number in numbers(axes)) == [str(layer) for layer in range(9)]


def test_bars_are_the_intervals_of_both() -> None:
    rows = importance_rows(["cpp"], layers=1)
    (axes,) = panels_of(rows)
    upright, level = (bars.get_segments()[0].tolist() for bars in axes.collections[:2])
    rest, whole = (
        next(row for row in rows if (row["scope"], row["component"]) == (scope, "block"))
        for scope in ("typical", "all")
    )
    x, y = rest["relative_norm"], whole["ablation_nll"]
    assert upright == [[x, whole["ablation_nll_ci_low"]], [x, whole["ablation_nll_ci_high"]]]
    assert level == [[rest["relative_norm_ci_low"], y], [rest["relative_norm_ci_high"], y]]


def test_shades_and_bar_follow_the_depth() -> None:
    rows = importance_rows(["cpp"], layers=12)
    (axes,) = panels_of(rows)
    lightness = np.array(axes.collections[-1].get_facecolors())[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert "layer" in words("importance", rows)


@pytest.mark.parametrize("layers", [28, 60])
def test_numbers_cover_neither_points_nor_each_other(layers: int) -> None:
    rows = importance_rows(layers=layers)
    (figure,) = {axes.figure for axes in panels_of(rows)}
    figure.draw_without_rendering()
    for axes in figure.axes[: len(DOMAINS)]:
        boxes = [Text.get_window_extent(text) for text in axes.texts]  # without lines to their points
        assert all(axes.bbox.containsx(x) for box in boxes for x in box.intervalx)
        assert all(axes.bbox.containsy(y) for box in boxes for y in box.intervaly)
        dots = axes.transData.transform(points(axes))
        assert len(boxes) > 0.8 * layers
        assert not any(box.contains(*dot) for box in boxes for dot in dots)
        apart = [box.padded(1, 0) for box in boxes]  # or two numbers read as one
        assert not any(a.overlaps(b) for i, a in enumerate(apart) for b in apart[:i])


def test_a_number_stands_close_by_its_point_or_has_a_line_to_it() -> None:
    (alone,) = panels_of(importance_rows(["cpp"], layers=1))[0].texts
    assert np.hypot(*alone.get_position()) < UNLINKED
    assert min(map(abs, alone.get_position())) > 1  # where no bar is
    distances = {True: [0.0], False: [0.0]}
    for axes in panels_of(importance_rows(layers=60)):
        for text in axes.texts:
            distances[text.arrow_patch is not None].append(float(np.hypot(*text.get_position())))
    assert max(distances[False]) <= UNLINKED < min(distances[True][1:])


def with_layer_0_at(written: float, cost: float) -> Any:
    """The panel of a domain whose other layers write 0.2 to 0.4 and cost 0.1 to 0.2."""
    rows = importance_rows(["cpp"], layers=5)
    for row in rows:
        x, y = (
            (written, cost) if row["layer"] == 0 else (0.1 + 0.1 * row["layer"], 0.05 + 0.05 * row["layer"])
        )
        row |= {"relative_norm": x, "relative_norm_ci_low": x, "relative_norm_ci_high": x}
        if row["ablation_nll"] is not None:
            row |= {"ablation_nll": y, "ablation_nll_ci_low": y, "ablation_nll_ci_high": y}
    return panels_of(rows)[0]


def triangles(axes: Any) -> list[Any]:
    return [line for line in axes.get_lines() if len(line.get_xdata()) == 1]


@pytest.mark.parametrize(
    ("written", "cost", "edge", "degrees", "name"),
    [
        (81.2, 0.1, "right", -90, "0 (81.2; 0.1)"),
        (0.001, 0.1, "left", 90, "0 (0.001; 0.1)"),
        (0.25, 6.25, "top", 0, "0 (0.25; 6.25)"),
        (0.25, -3.0, "bottom", 180, "0 (0.25; -3)"),
    ],
)
def test_layer_0_beyond_the_others_stands_at_the_edge(
    written: float, cost: float, edge: str, degrees: float, name: str
) -> None:
    axes = with_layer_0_at(written, cost)
    (triangle,) = triangles(axes)
    x, y = axes.transAxes.inverted().transform(axes.transData.transform(triangle.get_xydata()[0]))
    assert {"left": x, "bottom": y, "right": 1 - x, "top": 1 - y}[edge] == pytest.approx(0)
    sides, style, angle = triangle.get_marker()
    assert (sides, style) == (3, 0)
    assert angle % 360 == pytest.approx(degrees % 360)
    assert not triangle.get_clip_on()
    assert name in numbers(axes)


def test_layer_0_does_not_stretch_the_axes() -> None:
    axes = with_layer_0_at(81.2, 6.25)
    later = axes.transAxes.inverted().transform(axes.transData.transform(points(axes)[1:]))
    assert np.ptp(later[:, 0]) > 0.85
    assert axes.get_ylim()[1] < 0.3
    assert points(axes)[0] == [81.2, 6.25]


def test_layer_0_among_the_others_is_a_point_like_them() -> None:
    axes = with_layer_0_at(0.3, 0.12)
    assert triangles(axes) == []
    assert sorted(numbers(axes)) == list("01234")
    (alone,) = panels_of(importance_rows(["cpp"], layers=1))
    assert triangles(alone) == []
    assert numbers(alone) == ["0"]


def test_layer_0_without_a_place_has_no_triangle() -> None:
    for written in (0.0, -1.0):
        axes = with_layer_0_at(written, 6.25)
        assert triangles(axes) == []


def test_panels_have_the_same_axes_and_every_lowest_one_has_its_figures() -> None:
    panels = panels_of(importance_rows(["a", "b", "c"]))
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
    assert {axes.get_xscale() for axes in panels} == {"log"}
    for axes in panels[-2:]:
        assert axes.xaxis.get_tick_params()["labelbottom"]
        assert axes.get_xlabel() == "relative_norm (no unit)"


def test_the_bar_of_shades_has_whole_layers() -> None:
    for layers in (1, 3):
        bar = axes_of(IMPORTANCE, importance_rows(["cpp"], layers=layers))[-1]
        assert all(tick == round(tick) for tick in bar.get_yticks())


def test_a_layer_without_a_place_has_no_number() -> None:
    rows = importance_rows(["cpp"], layers=5)
    for row in rows:
        if (row["scope"], row["layer"]) in (("typical", 1), ("typical", 3)):
            row["relative_norm"] = None if row["layer"] == 1 else 0.0
    assert sorted(number[0] for number in numbers(panels_of(rows)[0])) == ["0", "2", "4"]


@pytest.mark.parametrize("size", [1e-9, 1.0])
def test_costs_of_any_size_and_sign_are_told_apart(size: float) -> None:
    rows = importance_rows(["cpp"], layers=4)
    costs = iter((-0.01 * size, -0.02 * size, 0.01 * size, 4 * size))
    for row in rows:
        if (row["domain"], row["scope"], row["component"]) == ("cpp", "all", "block"):
            row |= {"ablation_nll": next(costs), "ablation_nll_ci_low": None, "ablation_nll_ci_high": None}
    (axes,) = panels_of(rows)
    heights = axes.transAxes.inverted().transform(axes.transData.transform(points(axes)))[1:, 1]
    assert (np.diff(heights) > 0.1).all()
    assert (heights > 0).all()
    assert (heights < 1).all()
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[0, 0]]


def test_a_domain_without_an_ablated_text_says_so() -> None:
    rows = importance_rows()
    for row in rows:
        if row["domain"] == "cpp":
            row["ablation_nll"] = None
    panels = panels_of(rows)
    assert numbers(panels[0]) == [NO_VALUE]
    assert len(numbers(panels[1])) == 4
