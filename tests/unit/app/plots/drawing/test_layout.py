"""Where everything is on a sheet, and the encoding."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from PIL import Image

from app.plots import PLOTS, draw
from app.plots.drawing.sheet import Format
from app.plots.drawing.style import DOTS_PER_INCH, WIDTH
from tests.support.drawn_plots import CAPTION, LOOSE, Written, boxes, drawn, numbers, overlapping
from tests.support.jobs.plot_rows import DOMAINS, layer_rows, rows_for

LONG = "with.a-very_long-name-that.goes_on-and-on_until-the.end"
SLOW = pytest.mark.slow
SIZES = [(1, 1, 1), (2, 10, 2), pytest.param(4, 28, 45, marks=SLOW), (16, 28, 5)]
SIZES += [pytest.param(3, 126, 3, marks=SLOW), pytest.param(16, 80, 45, marks=SLOW)]


def names(count: int, *, long: bool) -> list[str]:
    return [f"domain-{i:02}{LONG}" if long else f"domain-{i}" for i in range(count)]


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize(("domains", "layers", "texts"), SIZES)
def test_nothing_that_is_written_covers_anything_else_or_leaves_the_sheet(
    name: str, domains: int, layers: int, texts: int, long: bool
) -> None:
    count = max(domains, PLOTS[name].domains)
    sheet = drawn(PLOTS[name], rows_for(name, names(count, long=long), layers, texts))
    written = boxes(sheet)
    assert len(written) > 3
    places = np.array([box for _, box in written])
    assert (places[:, :2] > -LOOSE).all()
    assert (places[:, 2:] < np.array([WIDTH, sheet.height]) + LOOSE).all()
    assert [(written[a][0], written[b][0]) for a, b in overlapping(places)] == []


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("domains", [2, 4, pytest.param(16, marks=SLOW)])
def test_names_of_64_characters_are_written_whole(name: str, domains: int) -> None:
    long = [f"domain-{i:02}{LONG}"[:64] for i in range(domains)]
    assert {len(each) for each in long} == {64}
    sheet = drawn(PLOTS[name], rows_for(name, long))
    text = "".join(text.get_text() for text in sheet.figure.texts).replace("\n", "")
    shown = long if (name, domains) != ("effect", 16) else []
    assert [each for each in shown if each not in text] == []
    assert "…" not in text


def test_the_png_is_opaque_and_wide_enough() -> None:
    image = Image.open(BytesIO(draw(PLOTS["relative"], rows_for("relative"), CAPTION, "png")))
    assert (image.width, image.mode) == (WIDTH * DOTS_PER_INCH, "RGB")
    assert image.info["dpi"] == pytest.approx((DOTS_PER_INCH, DOTS_PER_INCH), abs=0.1)


@pytest.mark.parametrize(
    ("name", "file_format"), [("components", "png"), ("mean_std", "svg"), ("variance_ranking", "svg")]
)
def test_the_same_rows_give_the_same_bytes_in_many_threads(name: str, file_format: Format) -> None:
    rows = rows_for(name, DOMAINS[:2], layers=3)
    with ThreadPoolExecutor(4) as pool:
        plots = set(pool.map(lambda _: draw(PLOTS[name], rows, CAPTION, file_format), range(6)))
    assert len(plots) == 1
    plot = plots.pop()
    assert b"dc:date" not in plot
    assert matplotlib.__version__.encode() not in plot


@pytest.mark.parametrize(("domains", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (10, 4)])
def test_panels_form_rows_and_only_outer_ones_have_tick_labels(domains: int, columns: int) -> None:
    sheet = drawn(PLOTS["components"], rows_for("components", names(domains, long=False)))
    lefts = [panel.left for panel in sheet.panels]
    assert len(sheet.panels) == domains
    assert sorted({*lefts}) == lefts[:columns]
    assert len({panel.y for panel in sheet.panels}) == 1
    written = numbers(sheet)
    for number, panel in enumerate(sheet.panels):
        below = [
            each
            for each in written
            if panel.left < each.middle[0] < panel.right and _is_below(each, panel.bottom)
        ]
        assert bool(below) == (number + columns >= domains)
    assert sum(each.words == sheet.panels[0].y.labels[0] for each in written) >= -(-domains // columns)


def _is_below(number: Written, bottom: float) -> bool:
    return bottom - 0.25 < number.middle[1] < bottom


@pytest.mark.parametrize("name", ["variance_ranking", "lens"])
def test_panels_with_their_own_scales_all_have_tick_labels(name: str) -> None:
    sheet = drawn(PLOTS[name], rows_for(name))
    for panel in sheet.panels:
        beside = [each for each in numbers(sheet) if panel.left - 0.7 < each.middle[0] < panel.left]
        assert [each for each in beside if panel.bottom - 0.1 < each.middle[1] < panel.top + 0.1]


def test_marks_of_many_layers_are_smaller() -> None:
    few, many = (drawn(PLOTS["relative"], layer_rows(["cpp"], layers)).figure.artists for layers in (40, 41))
    sizes = [
        max(a.get_markersize() for a in artists if np.size(a.get_xdata()) > 1)
        for artists in map(_lines, (few, many))
    ]
    assert sizes[0] > sizes[1]


def _lines(artists: list[matplotlib.artist.Artist]) -> list[matplotlib.lines.Line2D]:
    return [artist for artist in artists if isinstance(artist, matplotlib.lines.Line2D)]


def test_a_long_caption_is_broken_within_the_plot() -> None:
    long = " ".join(["a-model-with-a-long-source"] * 20)
    sheet = drawn(PLOTS["relative"], layer_rows(), long)
    (caption,) = [text for text in sheet.figure.texts if "a-model" in text.get_text()]
    assert caption.get_text().split()[:20] == long.split()
    box = caption.get_window_extent()
    assert box.x1 < sheet.figure.bbox.x1
    assert box.y1 / DOTS_PER_INCH < min(panel.bottom for panel in sheet.panels)
