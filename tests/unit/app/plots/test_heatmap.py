"""The heatmap: a colour and a number for each layer of each domain."""

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from app.plots.drawing.sheet import Sheet
from app.plots.heatmap import HEATMAP
from tests.support.drawn_plots import drawn, numbers, numbers_in
from tests.support.jobs.plot_rows import DOMAINS, Rows, layer_rows, values_of


def cells(sheet: Sheet) -> dict[tuple[int, int], tuple[float, ...]]:
    """The colour of each cell by row and layer."""
    (panel,) = sheet.panels
    found = {}
    for artist in sheet.figure.artists:
        if isinstance(artist, PolyCollection):
            for path, colour in zip(artist.get_paths(), np.asarray(artist.get_facecolor()), strict=True):
                x, y = np.asarray(path.vertices)[:-1].mean(axis=0)
                if panel.left < x < panel.right:
                    layer = round((x - panel.left) / panel.width * (panel.x.high - panel.x.low) - 0.5)
                    found[int((panel.top - y) / panel.height * panel.y.high), layer] = tuple(colour[:3])
    return found


def fractions(sheet: Sheet) -> dict[tuple[int, int], float]:
    """Where the colour of each cell is on the colour scale."""
    steps = np.linspace(0, 1, 256)
    scale = matplotlib.colormaps["cividis"](steps)[:, :3]
    return {
        place: float(steps[np.abs(scale - colour).sum(axis=1).argmin()])
        for place, colour in cells(sheet).items()
    }


def bar_labels(sheet: Sheet) -> list[str]:
    return [each.words for each in numbers(sheet) if each.box[0] > sheet.panels[0].right]


def tips(sheet: Sheet) -> int:
    """The pointed ends of the colour bar."""
    areas = [artist for artist in sheet.figure.artists if isinstance(artist, PolyCollection)]
    return sum(len(np.asarray(path.vertices)) == 4 for area in areas for path in area.get_paths())


def of_layer(rows: Rows, layer: int, value: float | None) -> Rows:
    return [row | {"relative_norm": value} if row["layer"] == layer else row for row in rows]


def test_the_heatmap_has_a_cell_and_a_number_for_each_domain_and_layer() -> None:
    rows = layer_rows(layers=6)
    sheet = drawn(HEATMAP, rows)
    expected = [
        value
        for domain in reversed(DOMAINS)  # the numbers are found from the lowest to the highest
        for value in values_of(rows, "relative_norm", domain=domain, scope="typical", component="block")
    ]
    assert [float(number) for number in numbers_in(sheet.panels[0])] == pytest.approx(expected, rel=0.05)
    assert sorted(cells(sheet)) == [(row, layer) for row in range(len(DOMAINS)) for layer in range(6)]


def test_the_first_domain_is_the_highest_row_and_lighter_is_more() -> None:
    rows = layer_rows(["b", "a"], layers=3)
    for row in rows:
        row["relative_norm"] = (1.0 if row["domain"] == "b" else 2.0) + row["layer"]
    sheet = drawn(HEATMAP, rows)
    heights = {text.get_text(): text.get_position()[1] for text in sheet.figure.texts}
    assert heights["b (n = 5)"] > heights["a (n = 5)"]
    shades = fractions(sheet)
    assert shades[0, 1] == min(shades[place] for place in shades if place[1] > 0)
    assert shades[1, 2] == max(shades.values())


def test_numbers_of_the_heatmap_are_readable_on_their_shades() -> None:
    for zeros in ((), (1,), range(8)):
        rows = layer_rows(layers=8)
        for row in rows:
            if row["layer"] in zeros:
                row["relative_norm"] = 0.0
        sheet = drawn(HEATMAP, rows)
        (panel,) = sheet.panels
        shown = [
            each
            for each in numbers(sheet)
            if panel.left < each.middle[0] < panel.right and each.box[1] > panel.bottom
        ]
        assert len(shown) == len(DOMAINS) * 8
        for number in shown:
            layer = round((number.middle[0] - panel.left) / panel.width * 8 - 0.5)
            place = int((panel.top - number.middle[1]) / panel.height * len(DOMAINS))
            linear = [((c + 0.055) / 1.055) ** 2.4 for c in cells(sheet)[place, layer]]
            light = np.dot([0.2126, 0.7152, 0.0722], linear)  # of WCAG 2
            white = number.colour == "#ffffff"
            assert (1.05 / (light + 0.05) if white else (light + 0.05) / 0.05) > 3.5


@pytest.mark.parametrize(("first", "shade"), [(300.0, 1.0), (0.001, 0.0), (0.0, 0.0)])
def test_layer_0_does_not_stretch_the_scale(first: float, shade: float) -> None:
    sheet = drawn(HEATMAP, of_layer(layer_rows(), 0, first))
    shades = fractions(sheet)
    assert {shades[row, 0] for row in range(len(DOMAINS))} == {shade}
    later = [value for (_, layer), value in shades.items() if layer]
    assert (min(later), max(later)) == pytest.approx((0, 1))
    assert tips(sheet) == 1


def test_the_scale_ends_where_its_values_do() -> None:
    for rows in (layer_rows(layers=1), of_layer(layer_rows(), 0, 1.0), of_layer(layer_rows(), 0, None)):
        assert tips(drawn(HEATMAP, rows)) == 0
    both = [
        row | {"relative_norm": 1e3 if row["domain"] == "cpp" else 1e-3} if row["layer"] == 0 else row
        for row in layer_rows()
    ]
    assert tips(drawn(HEATMAP, both)) == 2


@pytest.mark.parametrize(("layers", "shown"), [(28, 28), (36, 36), (60, 0)])
def test_cells_have_numbers_as_long_as_they_fit(layers: int, shown: int) -> None:
    assert len(numbers_in(drawn(HEATMAP, layer_rows(["cpp"], layers)).panels[0])) == shown


def test_the_bar_is_plainly_numbered() -> None:
    assert 3 <= len(bar_labels(drawn(HEATMAP, layer_rows()))) <= 9
    rows = layer_rows(["cpp"])
    for row in rows:
        row["relative_norm"] = None
    empty = drawn(HEATMAP, rows)
    assert bar_labels(empty) == []
    assert cells(empty) == {}


def test_a_heatmap_leaves_out_what_has_no_value() -> None:
    sheet = drawn(HEATMAP, of_layer(layer_rows(["cpp"]), 2, None))
    assert sorted(layer for _, layer in cells(sheet)) == [0, 1, 3]
    assert len(numbers_in(sheet.panels[0])) == 3


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (0.00012, "1e-4"),
        (0.0781, "0.078"),
        (0.26, "0.26"),
        (0.1, "0.10"),
        (9.14, "9.1"),
        (9.98, "10"),
        (327.6, "328"),
    ],
)
def test_numbers_of_the_heatmap_have_two_digits_and_their_zero(value: float, words: str) -> None:
    rows = layer_rows(["cpp"], layers=1)
    for row in rows:
        row["relative_norm"] = value
    assert numbers_in(drawn(HEATMAP, rows).panels[0]) == [words]
