"""The plot of importance: a point for each layer, with its number if it can belong to no other point."""

import math
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.path import Path

from app.plots.drawing.panel import Panel
from app.plots.drawing.scales import Array
from app.plots.drawing.style import INK, MUTED, NOT_SIGNIFICANT
from app.plots.importance import IMPORTANCE, NO_VALUE
from tests.support.drawn_plots import (
    Written,
    dots,
    drawn,
    legend,
    lines,
    numbers,
    overlapping,
    strokes,
    words,
)
from tests.support.jobs.plot_rows import DOMAINS, Rows, analysis_rows, values_of

GREY = matplotlib.colors.to_rgba(NOT_SIGNIFICANT.colour)
WHITE = (1.0, 1.0, 1.0, 1.0)
LAYERS = 20


def names(panel: Panel) -> list[Written]:
    """The numbers of the layers."""
    inside = [each for each in numbers(panel.sheet) if panel.left < each.middle[0] < panel.right]
    return [each for each in inside if panel.bottom < each.middle[1] < panel.top]


def in_layers(
    values: dict[int, tuple[float, float]], domains: list[str] | None = None, half: float = 0.05
) -> Rows:
    """Layers that write and cost about the same, except these: what they write, and what they cost."""
    rows = analysis_rows(domains or ["cpp"], layers=LAYERS)
    for row in rows:
        usual = 0.2 + 0.01 * row["layer"], 0.1 + 0.005 * row["layer"]
        x, y = values.get(row["layer"], usual)
        row |= {"relative_norm": x, "relative_norm_ci_low": x, "relative_norm_ci_high": x}
        if row["ablation_nll"] is not None:
            row |= {"ablation_nll": y, "ablation_nll_ci_low": y - half, "ablation_nll_ci_high": y + half}
    return rows


def panel_of(rows: Rows) -> Panel:
    return drawn(IMPORTANCE, rows).panels[0]


def triangles(panel: Panel) -> list[Any]:
    """With a marker that is turned."""
    return [line for line in lines(panel) if isinstance(line.get_marker(), Path)]


def test_every_layer_is_a_point_at_what_it_writes_and_what_it_costs() -> None:
    rows = analysis_rows(layers=4)
    panels = drawn(IMPORTANCE, rows).panels
    assert [panel.title for panel in panels] == [(f"{domain} (n = 5; 3 ablated)",) for domain in DOMAINS]
    for panel, domain in zip(panels, DOMAINS, strict=True):
        written = values_of(rows, "relative_norm", domain=domain, scope="typical", component="block")
        cost = values_of(rows, "ablation_nll", domain=domain, scope="all", component="block")
        found = sorted((x, y) for x, y, *_ in dots(panel))
        assert found == [pytest.approx(both) for both in sorted(zip(written, cost, strict=True))]


def test_noise_around_0_is_one_cluster() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, LAYERS)
    panel = panel_of(in_layers({layer: (0.3, cost) for layer, cost in enumerate(noise)}))
    costs = np.sort([y for _, y, *_ in dots(panel)])
    heights = panel.at(np.full(LAYERS, 0.3), costs)[:, 1]
    assert not panel.y.logarithmic
    assert np.diff(heights) / np.diff(costs) == pytest.approx(panel.height / (panel.y.high - panel.y.low))


def test_layers_without_certainty_are_muted() -> None:
    rows = in_layers({3: (0.3, 0.01), 7: (0.4, -0.02)})
    for row in rows:
        if row["layer"] == 9:
            row |= {"ablation_nll_ci_low": None, "ablation_nll_ci_high": None}
    panel = panel_of(rows)
    muted = [(round(x, 6), round(y, 6)) for x, y, face, edge in dots(panel) if (face, edge) == (WHITE, GREY)]
    assert sorted(muted) == [(0.29, 0.145), (0.3, 0.01), (0.4, -0.02)]
    colours = {each.words: each.colour for each in names(panel)}
    assert colours["7"] == colours["3"] == MUTED
    assert colours["19"] == INK
    assert legend(panel.sheet) == [
        "the interval does not contain 0",
        "the interval contains 0, or there is none (one text)",
    ]


def test_bars_are_the_intervals_of_both() -> None:
    rows = analysis_rows(["cpp"], layers=1)
    for row in rows:
        row |= {"relative_norm": 0.3, "relative_norm_ci_low": 0.25, "relative_norm_ci_high": 0.35}
        if row["ablation_nll"] is not None:
            row |= {"ablation_nll": 0.5, "ablation_nll_ci_low": 0.4, "ablation_nll_ci_high": 0.6}
    bars = [bar.ravel().tolist() for bar in strokes(panel_of(rows), MUTED)]
    assert pytest.approx([0.25, 0.5, 0.35, 0.5]) in bars
    assert pytest.approx([0.3, 0.4, 0.3, 0.6]) in bars


def test_shades_follow_the_depth_and_the_bar_has_whole_layers() -> None:
    panel = panel_of(in_layers({}))
    faces = [face for _, _, face, _ in sorted(dots(panel), key=lambda dot: dot[0])]
    lightness = np.array(faces)[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    for layers in (1, 3, 28):
        sheet = drawn(IMPORTANCE, analysis_rows(["cpp"], layers=layers))
        labels = [each.words for each in numbers(sheet) if each.box[0] > sheet.panels[0].right]
        assert labels
        assert [int(label) for label in labels] == sorted({int(label) for label in labels})


@pytest.mark.parametrize(("domains", "layers"), [(4, 28), (4, 60), (16, 28)])
def test_a_number_is_next_to_no_other_point(domains: int, layers: int) -> None:
    sheet = drawn(IMPORTANCE, analysis_rows([f"d{i}" for i in range(domains)], layers=layers))
    for panel in sheet.panels:
        places = np.array([panel.at(x, y) for x, y, *_ in dots(panel)])
        found = strokes(panel, MUTED) + strokes(panel, NOT_SIGNIFICANT.colour)
        bars = [_box(panel.at(*bar.T)) for bar in found if not _is_frame(panel, bar)]
        assert len(bars) >= layers
        shown = names(panel)
        assert len(shown) > 0.1 * layers
        for number in (each for each in shown if "(" not in each.words):
            low, high = np.array(number.box[:2]), np.array(number.box[2:])
            gaps = np.sort(np.hypot(*np.maximum(np.maximum(low - places, places - high), 0).T))
            assert gaps[0] < 0.07  # inches
            assert gaps[1] > 0.1
            assert [pair for pair in overlapping(np.array([number.box, *bars])) if 0 in pair] == []
            assert panel.left < low[0] < high[0] < panel.right


def _is_frame(panel: Panel, line: Array) -> bool:
    """An axis, or the line at 0."""
    across, up = np.ptp(panel.at(*line.T), axis=0)
    return bool(across > 0.999 * panel.width or up > 0.999 * panel.height)


def _box(bar: Array) -> Array:
    return np.concatenate([bar.min(axis=0), bar.max(axis=0)])


def test_numbers_are_those_of_their_points() -> None:
    rows = in_layers({})
    panel = panel_of(rows)
    shown = names(panel)
    assert len(shown) >= LAYERS / 2
    for number in shown:
        distances = {
            layer: math.dist(number.middle, panel.at(0.2 + 0.01 * layer, 0.1 + 0.005 * layer))
            for layer in range(LAYERS)
        }
        assert min(distances, key=lambda layer: distances[layer]) == int(number.words)


@pytest.mark.parametrize(
    ("written", "cost", "edge", "towards", "name"),
    [
        (81.2, 0.15, "right", (1, 0), "0 (81.2; 0.150)"),
        (0.001, 0.15, "left", (-1, 0), "0 (0.00100; 0.150)"),
        (0.25, 6.25, "top", (0, 1), "0 (0.250; 6.25)"),
        (0.25, -3.0, "bottom", (0, -1), "0 (0.250; −3.00)"),
    ],
)
def test_layer_0_beyond_the_others_is_at_the_edge(
    written: float, cost: float, edge: str, towards: tuple[int, int], name: str
) -> None:
    panel = panel_of(in_layers({0: (written, cost)}))
    (triangle,) = triangles(panel)
    x, y = triangle.get_xydata()[0]
    gaps = {
        "left": x - panel.left,
        "bottom": y - panel.bottom,
        "right": panel.right - x,
        "top": panel.top - y,
    }
    assert 0 < gaps[edge] < 0.15
    tip = max(triangle.get_marker().vertices, key=np.linalg.norm)
    assert tip / np.linalg.norm(tip) == pytest.approx(towards, abs=1e-6)
    assert name in [each.words for each in names(panel)]
    assert "layers outside the axes" in " ".join(words("importance", in_layers({0: (written, cost)})))


def test_layers_outside_do_not_stretch_the_axes_and_are_all_named() -> None:
    outside = {0: (81.2, 9.4), 1: (0.9, 5.0), 2: (0.3, 2.0), 11: (0.3, 2.3)}
    sheet = drawn(IMPORTANCE, in_layers(outside, [f"d{i}" for i in range(16)]))
    for panel in sheet.panels:
        assert panel.y.high < 0.4
        assert panel.x.high < 2
        found = [each.words for each in names(panel) if "(" in each.words]
        assert sorted(found) == ["0 (81.2; 9.40)", "1 (0.900; 5.00)", "11 (0.300; 2.30)", "2 (0.300; 2.00)"]
        assert len(triangles(panel)) == 4


def test_layer_0_among_the_others_is_a_point_like_them() -> None:
    panel = panel_of(in_layers({}))
    assert triangles(panel) == []
    alone = panel_of(analysis_rows(["cpp"], layers=1))
    assert triangles(alone) == []
    assert [each.words for each in names(alone)] == ["0"]


@pytest.mark.parametrize("value", [None, 0.0, -1.0])
def test_a_layer_without_a_place_has_neither_point_nor_number(value: float | None) -> None:
    rows = in_layers({})
    for row in rows:
        if (row["scope"], row["layer"]) == ("typical", 0):
            row["relative_norm"] = value
    panel = panel_of(rows)
    assert len(dots(panel)) == LAYERS - 1
    assert triangles(panel) == []
    assert "0" not in [each.words for each in names(panel)]


def test_panels_have_the_same_axes() -> None:
    panels = drawn(IMPORTANCE, analysis_rows(["a", "b", "c"])).panels
    assert len({(panel.x, panel.y) for panel in panels}) == 1
    assert panels[0].x.logarithmic
    assert (
        words("importance", analysis_rows(["a", "b", "c"])).count("relative_norm (no unit, log scale)") == 2
    )


def test_a_domain_without_an_ablated_text_says_so() -> None:
    rows = analysis_rows()
    for row in rows:
        if row["domain"] == "cpp":
            row["ablation_nll"] = None
    sheet = drawn(IMPORTANCE, rows)
    assert [text.get_text() for text in sheet.figure.texts].count(NO_VALUE) == 1
    assert names(sheet.panels[0]) == []
    assert names(sheet.panels[1])
