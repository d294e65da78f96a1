"""The heatmap: a colour and a number for each layer of each domain."""

import numpy as np
import pytest

from app.plots.heatmap import HEATMAP, NUMBERED_LAYERS
from tests.support.plot_rows import DOMAINS, Rows, axes_of, layer_rows, run_into_each_other, values_of


def test_the_heatmap_has_a_cell_and_a_figure_for_each_domain_and_layer() -> None:
    rows = layer_rows(layers=6)
    axes = axes_of(HEATMAP, rows)[0]
    expected = [
        values_of(rows, "relative_norm", domain=domain, scope="typical", component="block")
        for domain in DOMAINS
    ]
    assert axes.images[0].get_array().tolist() == expected
    written = [float(text.get_text()) for text in axes.texts]
    assert written == pytest.approx([value for row in expected for value in row], rel=0.05)


def test_figures_of_the_heatmap_are_readable_on_their_shades() -> None:
    for zeros in ((), (1,), range(8)):
        rows = layer_rows(layers=8)
        for row in rows:
            if row["layer"] in zeros:
                row["relative_norm"] = 0.0
        axes = axes_of(HEATMAP, rows)[0]
        (shades,) = axes.images
        for text in axes.texts:
            layer, domain = text.get_position()
            *colour, alpha = shades.to_rgba(shades.get_array()[domain : domain + 1, layer : layer + 1])[0, 0]
            assert alpha == 1  # a zero is not blank
            linear = [((c + 0.055) / 1.055) ** 2.4 for c in colour]
            light = np.dot([0.2126, 0.7152, 0.0722], linear)  # of WCAG 2
            assert (1.05 / (light + 0.05) if text.get_color() == "white" else (light + 0.05) / 0.05) > 3.5


def of_layer(rows: Rows, layer: int, value: float | None) -> Rows:
    return [row | {"relative_norm": value} if row["layer"] == layer else row for row in rows]


@pytest.mark.parametrize(
    ("first", "end", "shade"), [(300.0, "max", 1.0), (0.001, "min", 0.0), (0.0, "min", 0.0)]
)
def test_layer_0_does_not_stretch_the_scale(first: float, end: str, shade: float) -> None:
    (shades,) = axes_of(HEATMAP, of_layer(layer_rows(), 0, first))[0].images
    places = shades.norm(shades.get_array())
    assert (places[:, 0] == shade).all()
    assert (places[:, 1:].min(), places[:, 1:].max()) == pytest.approx((0, 1))
    assert shades.colorbar.extend == end


def test_the_scale_ends_where_its_values_do() -> None:
    for rows in (layer_rows(layers=1), of_layer(layer_rows(), 0, 1.0), of_layer(layer_rows(), 0, None)):
        (shades,) = axes_of(HEATMAP, rows)[0].images
        assert shades.colorbar.extend == "neither"
    values = values_of(layer_rows(layers=1), "relative_norm", scope="typical", component="block")[
        : len(DOMAINS)
    ]
    assert axes_of(HEATMAP, layer_rows(layers=1))[0].images[0].get_clim() == (min(values), max(values))
    both = [
        row | {"relative_norm": 1e3 if row["domain"] == "cpp" else 1e-3} if row["layer"] == 0 else row
        for row in layer_rows()
    ]
    assert axes_of(HEATMAP, both)[0].images[0].colorbar.extend == "both"


@pytest.mark.parametrize(
    ("layers", "figures"), [(NUMBERED_LAYERS, NUMBERED_LAYERS), (NUMBERED_LAYERS + 1, 0)]
)
def test_a_heatmap_of_many_layers_has_no_figures(layers: int, figures: int) -> None:
    axes = axes_of(HEATMAP, layer_rows(["cpp"], layers))[0]
    assert len(axes.texts) == figures


def test_the_heatmap_s_layers_are_whole_and_its_bar_is_plainly_numbered() -> None:
    for rows in (layer_rows(), layer_rows(["cpp"], layers=1)):
        axes, bar = axes_of(HEATMAP, rows)
        assert all(tick == round(tick) for tick in axes.get_xticks())
        assert not any(line.get_visible() for line in axes.get_xgridlines() + axes.get_ygridlines())
        assert all("$" not in label.get_text() for label in bar.get_yticklabels())
        assert bar.yaxis.get_minorticklocs().size == 0
        assert axes.get_position().width > 0.7
        assert axes.get_xlabel() == "layer"
    low, high = axes_of(HEATMAP, layer_rows())[1].get_ylim()
    shown = [tick for tick in axes_of(HEATMAP, layer_rows())[1].get_yticks() if low <= tick <= high]
    assert len(shown) >= 3


def test_numbers_of_many_layers_do_not_run_into_each_other() -> None:
    axes = axes_of(HEATMAP, layer_rows(["cpp"], layers=80))[0]
    axes.figure.draw_without_rendering()
    assert not run_into_each_other(axes.get_xticklabels())


def test_the_bar_of_a_heatmap_without_values_goes_from_0_to_1() -> None:
    rows = layer_rows(["cpp"])
    for row in rows:
        row["relative_norm"] = None
    bar = axes_of(HEATMAP, rows)[1]
    assert bar.get_ylim() == (0, 1)
    assert [tick for tick in bar.get_yticks() if 0 <= tick <= 1] == pytest.approx(np.linspace(0, 1, 6))


def test_a_heatmap_leaves_out_what_has_no_value() -> None:
    rows = layer_rows(["cpp"])
    for row in rows:
        if row["layer"] == 2:
            row["relative_norm"] = None
    axes = axes_of(HEATMAP, rows)[0]
    assert axes.images[0].get_array().mask.tolist() == [[False, False, True, False]]
    assert len(axes.texts) == 3


@pytest.mark.parametrize(
    ("value", "figure"),
    [(0, "0"), (0.00012, "1e-4"), (0.0781, ".078"), (0.1, ".10"), (9.14, "9.1"), (327.6, "328")],
)
def test_figures_of_the_heatmap_fit_their_cells(value: float, figure: str) -> None:
    rows = layer_rows(["cpp"], layers=1)
    for row in rows:
        row["relative_norm"] = value
    assert [text.get_text() for text in axes_of(HEATMAP, rows)[0].texts] == [figure]
