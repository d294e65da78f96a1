"""The layout that all plots share, and the encoding."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from app.plots import PLOTS, draw
from app.plots.drawing.canvas import POSITION_DIGITS, STYLE, Format, encode, fix_layout
from app.plots.profiles import PROFILES
from layerscope.names import STATISTIC_COLUMNS
from tests.support.plot_rows import CAPTION, DOMAINS, axes_of, layer_rows, rows_for, run_into_each_other

PNG_WIDTH = 1800
WITH_LEGEND = (*PROFILES, "effect", "first_token")
SLOW = pytest.mark.slow


def test_the_png_is_wide_enough(tmp_path: Any) -> None:
    file = tmp_path / "plot.png"
    file.write_bytes(draw(PLOTS["relative"], layer_rows(), CAPTION, "png"))
    assert imread(file).shape[1] == PNG_WIDTH


@pytest.mark.parametrize(
    ("name", "file_format"),
    [("components", "png"), ("mean_std", "svg"), pytest.param("variance_ranking", "svg", marks=SLOW)],
)
def test_the_same_rows_give_the_same_bytes_in_many_threads(name: str, file_format: Format) -> None:
    rows = layer_rows(DOMAINS[:2], layers=3)
    with ThreadPoolExecutor(4) as pool:
        plots = set(pool.map(lambda _: draw(PLOTS[name], rows, CAPTION, file_format), range(6)))
    assert len(plots) == 1
    plot = plots.pop()
    assert b"dc:date" not in plot
    assert matplotlib.__version__.encode() not in plot


@pytest.mark.parametrize(("domains", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (10, 4)])
def test_panels_form_rows_and_only_the_lowest_have_a_layer_label(domains: int, columns: int) -> None:
    panels = axes_of(PLOTS["components"], layer_rows([f"domain-{i}" for i in range(domains)]))
    assert [bool(axes.get_xlabel()) for axes in panels] == [i >= domains - columns for i in range(domains)]
    assert {axes.get_gridspec().ncols for axes in panels} == {columns}
    assert len({axes.get_ylim() for axes in panels}) == 1
    assert all(line.get_visible() for axes in panels for line in axes.get_ygridlines())


@pytest.mark.parametrize(("domains", "layers"), [(1, 80), pytest.param(4, 28, marks=SLOW), (16, 80)])
def test_numbers_of_layers_do_not_run_into_each_other(domains: int, layers: int) -> None:
    panels = axes_of(PLOTS["components"], layer_rows([f"domain-{i}" for i in range(domains)], layers))
    panels[0].figure.draw_without_rendering()
    for axes in panels:
        assert not run_into_each_other(axes.get_xticklabels())
        assert {*np.diff(axes.get_xticks())} <= {1, 2, 5, 10, 20}


def test_marks_of_many_layers_are_smaller() -> None:
    few, many = (axes_of(PLOTS["relative"], layer_rows(["cpp"], layers))[0] for layers in (40, 41))
    assert few.get_lines()[0].get_markersize() > many.get_lines()[0].get_markersize()


@pytest.mark.parametrize(
    "name",
    ["relative", "importance", *[pytest.param(name, marks=SLOW) for name in ("variance_ranking", "effect")]],
)
def test_words_instead_of_a_drawing_fit_their_panel(name: str) -> None:
    rows = rows_for(name, [f"domain-{i:02}" for i in range(16)], texts=1)
    for row in rows:
        row |= dict.fromkeys(STATISTIC_COLUMNS) | {"texts": 0}
    panels = [axes for axes in axes_of(PLOTS[name], rows) if axes.texts]
    panels[0].figure.draw_without_rendering()
    assert len(panels) == 16
    for axes in panels:
        (text,) = axes.texts
        assert text.get_bbox_patch() is not None  # no line runs through it
        assert not run_into_each_other([text, *axes.get_xticklabels()])
        assert axes.bbox.x0 < text.get_window_extent().x0 < text.get_window_extent().x1 < axes.bbox.x1


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("domains", [1, pytest.param(2, marks=SLOW), 4])
def test_title_legend_and_caption_have_places_of_their_own(name: str, domains: int) -> None:
    rows = rows_for(name, DOMAINS[: max(domains, PLOTS[name].domains)])
    (figure,) = {axes.figure for axes in axes_of(PLOTS[name], rows)}
    fix_layout(figure)
    around = [*figure.texts, *figure.legends]
    assert not run_into_each_other(around)
    assert len(figure.legends) == (name in WITH_LEGEND)
    places = [text.get_window_extent() for text in around]
    panels = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(place.overlaps(panel) for place in places for panel in panels)
    assert all(figure.bbox.count_contains(box.get_points()) == 2 for box in (*places, *panels))


@pytest.mark.parametrize("name", ["variance_ranking", "importance", "heatmap"])
def test_places_are_rounded_as_the_solver_s_last_digits_vary_from_run_to_run(name: str) -> None:
    (figure,) = {axes.figure for axes in axes_of(PLOTS[name], rows_for(name, DOMAINS[:3]))}
    encode(figure, "svg")
    places = [axes.get_position(original=True).get_points() for axes in figure.axes]
    places += [text.get_position() for text in figure.texts]
    assert all((np.round(place, POSITION_DIGITS) == place).all() for place in places)


def test_a_long_caption_is_broken_within_the_plot() -> None:
    long = " ".join(["a-model-with-a-long-source"] * 20)
    with matplotlib.rc_context(STYLE):
        figure: Any = Figure()
        PLOTS["relative"].draw(figure, layer_rows(), long)
        figure.draw_without_rendering()
    (caption,) = [text for text in figure.texts if "a-model" in text.get_text()]
    assert caption.get_text().split()[:20] == long.split()
    assert caption.get_window_extent().x1 < figure.bbox.x1
    assert not any(caption.get_window_extent().overlaps(axes.get_tightbbox()) for axes in figure.axes)
