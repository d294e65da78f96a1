"""Pictures: what stands in them, and that they never change by themselves."""

import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from app.errors import FileNotFound
from app.plots import PICTURES, Measured, draw
from app.plots.canvas import LOOKS, PLACE_DIGITS, Format, encode, settle
from app.plots.heatmap import HEATMAP, NUMBERED_LAYERS
from app.plots.profiles import OVERLAID_DOMAINS, PROFILES
from app.plots.ranking import RANKING
from app.vocabulary import COMPONENTS, STATISTIC_COLUMNS
from tests.picture_rows import CAPTION, DOMAINS, axes_of, layer_rows, rows_for, values_of, words

PNG_WIDTH = 1800
STUDIED = ("mean_std", "abs_mean_abs_std", "abs_mean_std", "variance_ranking")


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("domains", "layers", "texts"), [(1, 80, 1), (4, 28, 45), (16, 2, 2)])
def test_every_picture_can_be_drawn_at_any_size(name: str, domains: int, layers: int, texts: int) -> None:
    rows = rows_for(name, [f"domain-{i}" for i in range(max(domains, PICTURES[name].domains))], layers, texts)
    assert draw(name, rows, CAPTION, "png").startswith(b"\x89PNG")


def test_the_png_is_wide_enough(tmp_path: Any) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(draw("relative", layer_rows(), CAPTION, "png"))
    assert imread(file).shape[1] == PNG_WIDTH


@pytest.mark.parametrize(
    ("name", "file_format"), [("components", "png"), ("mean_std", "svg"), ("variance_ranking", "svg")]
)
def test_the_same_rows_give_the_same_bytes_in_many_threads(name: str, file_format: Format) -> None:
    rows = layer_rows(DOMAINS[:2], layers=3)
    with ThreadPoolExecutor(4) as pool:
        pictures = set(pool.map(lambda _: draw(name, rows, CAPTION, file_format), range(6)))
    assert len(pictures) == 1
    assert b"dc:date" not in pictures.pop()


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("domains", [1, OVERLAID_DOMAINS, OVERLAID_DOMAINS + 1])
def test_every_layer_of_every_domain_is_a_point_and_the_pool_is_not(name: str, domains: int) -> None:
    profile = PROFILES[name]
    rows = layer_rows([f"domain-{i}" for i in range(domains)], layers=7)
    lines = [line for axes in axes_of(PROFILES[name], rows) for line in axes.get_lines()]
    drawn = [list(line.get_ydata()) for line in lines if line.get_marker() != "None"]
    expected = [
        values_of(rows, profile.metric, domain=f"domain-{i}", scope=profile.scope, component=component)
        for i in range(domains)
        for component in profile.components
    ]
    assert drawn == expected


def test_panels_of_many_domains_have_the_others_behind_them() -> None:
    domains = [f"domain-{i}" for i in range(OVERLAID_DOMAINS + 1)]
    for axes in axes_of(PROFILES["mean_std"], layer_rows(domains)):
        assert [line.get_marker() for line in axes.get_lines()] == ["None"] * OVERLAID_DOMAINS + ["o"]


def test_lines_differ_without_their_colours() -> None:
    axes = axes_of(PROFILES["mean_std"], layer_rows())[0]
    lines = axes.get_lines()
    (legend,) = axes.figure.legends
    assert [line.get_color() for line in legend.get_lines()] == [line.get_color() for line in lines]
    assert len({line.get_marker() for line in lines}) == len(lines) == len(DOMAINS)
    assert len({line.get_linestyle() for line in lines}) == len(lines)
    assert len(LOOKS) == OVERLAID_DOMAINS


def test_bands_are_what_the_captions_say() -> None:
    rows = layer_rows(["cpp"], layers=1)
    row = next(row for row in rows if row["scope"] == "all" and row["component"] == "block")
    for name, spread in (("abs_mean_abs_std", "delta_abs_mean_std"), ("abs_mean_std", "delta_mean_std")):
        (band,) = axes_of(PROFILES[name], rows)[0].collections
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == pytest.approx(row["delta_abs_mean"] - row[spread])
        assert heights.max() == pytest.approx(row["delta_abs_mean"] + row[spread])
    row = next(row for row in rows if row["scope"] == "rest" and row["component"] == "block")
    (band,) = axes_of(PROFILES["relative"], rows)[0].collections
    heights = set(band.get_paths()[0].vertices[:, 1])
    assert heights == {row["relative_norm_ci_low"], row["relative_norm_ci_high"]}


def test_one_text_has_no_band_and_no_variance() -> None:
    rows = layer_rows(["cpp"], texts=1)
    for name in PROFILES:
        assert not any(c.get_paths() for c in axes_of(PROFILES[name], rows)[0].collections)
    assert "no sample variance over fewer than two texts" in words("variance_ranking", rows)


@pytest.mark.parametrize(
    ("name", "domains", "panels"),
    [
        ("relative", DOMAINS, 1),
        ("relative", ["cpp"], 0),
        ("components", DOMAINS, 4),
        ("components", ["cpp"], 1),
    ],
)
def test_an_empty_panel_says_that_its_texts_have_one_token(
    name: str, domains: Sequence[str], panels: int
) -> None:
    rows = layer_rows()
    for row in rows:
        if row["domain"] in domains:
            row |= dict.fromkeys(STATISTIC_COLUMNS) | {"texts": 0}
    assert words(name, rows).count("no value: no text has a token but its first") == panels
    for axes in axes_of(PROFILES[name], rows):
        assert (axes.get_yscale(), axes.get_yticks().size > 0) == (
            ("linear", False) if domains == DOMAINS else ("log", True)
        )


def test_a_layer_without_a_value_is_a_gap() -> None:
    rows = layer_rows(["cpp"])
    for row in rows:
        if row["layer"] == 1:
            row |= dict.fromkeys(STATISTIC_COLUMNS)
    (line,) = axes_of(PROFILES["relative"], rows)[0].get_lines()
    assert [math.isnan(value) for value in line.get_ydata()] == [False, True, False, False]
    assert [label.get_text() for label in axes_of(RANKING, rows)[0].get_xticklabels()].count("1") == 0


@pytest.mark.parametrize("name", [name for name in PICTURES if PICTURES[name].table == "results"])
def test_layers_that_write_nothing_are_drawn(name: str) -> None:
    rows = rows_for(name, ["cpp"])
    for row in rows:
        row |= dict.fromkeys(STATISTIC_COLUMNS, 0.0)
    assert draw(name, rows, CAPTION, "png")


def test_the_ranking_names_all_layers_by_falling_variance() -> None:
    rows = layer_rows(layers=12)
    for axes, domain in zip(axes_of(RANKING, rows), DOMAINS, strict=True):
        variances = values_of(rows, "delta_abs_mean_var", domain=domain, scope="all", component="block")
        ranked = [int(label.get_text()) for label in axes.get_xticklabels()]
        assert ranked == sorted(range(12), key=lambda layer: -variances[layer])
        assert [bar.get_height() for bar in axes.patches] == sorted(variances, reverse=True)


def test_the_heatmap_has_a_cell_and_a_figure_for_each_domain_and_layer() -> None:
    rows = layer_rows(layers=6)
    axes = axes_of(HEATMAP, rows)[0]
    expected = [
        values_of(rows, "relative_norm", domain=domain, scope="rest", component="block") for domain in DOMAINS
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
    low, high = axes_of(HEATMAP, layer_rows())[1].get_ylim()
    shown = [tick for tick in axes_of(HEATMAP, layer_rows())[1].get_yticks() if low <= tick <= high]
    assert len(shown) >= 3


def test_a_heatmap_leaves_out_what_has_no_value() -> None:
    rows = layer_rows(["cpp"])
    for row in rows:
        if row["layer"] == 2:
            row["relative_norm"] = None
    axes = axes_of(HEATMAP, rows)[0]
    assert axes.images[0].get_array().mask.tolist() == [[False, False, True, False]]
    assert len(axes.texts) == 3


@pytest.mark.parametrize("name", PICTURES)
def test_titles_units_texts_and_scope_are_said(name: str) -> None:
    text = "\n".join(words(name, rows_for(name, texts=45)))
    assert CAPTION in text
    assert PICTURES[name].title in text
    assert any(line.startswith("layer") for line in text.splitlines())
    assert all(re.search(rf"{domain}.*?\(n = 45", text, re.DOTALL) for domain in DOMAINS)
    assert ("ddof = 1" in text) == (name in STUDIED)
    scope = PICTURES[name].scope
    assert f"scope {scope}" in text
    assert re.search(r"\((activation²?|no unit|standard deviations|nat)(, log scale)?\)", text)


@pytest.mark.parametrize("name", [*PROFILES, "effect", "first_token"])
def test_layers_stand_along_x_in_whole_numbers(name: str) -> None:
    for axes in axes_of(PICTURES[name], rows_for(name, layers=3)):
        assert axes.get_xlim() == (-0.5, 2.5)
        assert all(tick == round(tick) for tick in axes.get_xticks())
    assert axes.get_xlabel() == "layer"


@pytest.mark.parametrize("name", ["mean_std", "components", "effect", "first_token"])
def test_the_legend_has_a_place_of_its_own(name: str) -> None:
    (figure,) = {axes.figure for axes in axes_of(PICTURES[name], rows_for(name))}
    settle(figure)
    (legend,) = (legend.get_window_extent() for legend in figure.legends)
    title = next(text for text in figure.texts if text.get_text() == PICTURES[name].title)
    assert not legend.overlaps(title.get_window_extent())
    assert not any(legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)


@pytest.mark.parametrize("name", ["variance_ranking", "importance", "heatmap"])
def test_places_are_rounded_as_the_solver_s_last_digits_vary_from_run_to_run(name: str) -> None:
    (figure,) = {axes.figure for axes in axes_of(PICTURES[name], rows_for(name, DOMAINS[:3]))}
    encode(figure, "svg")
    places = [axes.get_position(original=True).get_points() for axes in figure.axes]
    places += [text.get_position() for text in figure.texts]
    assert all((np.round(place, PLACE_DIGITS) == place).all() for place in places)


@pytest.mark.parametrize("name", PICTURES)
def test_no_variance_is_bare(name: str) -> None:
    text = "\n".join(words(name, rows_for(name)))
    assert text.count("variance") == text.count("sample variance")


def test_names_of_any_kind_are_shown_as_they_are() -> None:
    text = words("mean_std", layer_rows(["_hidden", "a" * 40]), caption=r"$\frac{1}$ & <b>")
    assert " _hidden (n = 5)" in text
    assert " aaaaaaaaa…aaaaaaaa (n = 5)" in text
    assert any(r"$\frac{1}$" in line for line in text)


def test_an_unknown_picture_is_answered_with_the_known_names() -> None:
    with pytest.raises(FileNotFound) as error:
        draw("variance", layer_rows(), CAPTION, "png")
    assert all(name in error.value.detail for name in PICTURES)


@pytest.mark.parametrize(
    ("components", "name", "missing"),
    [
        (["block"], "components", "attention and mlp"),
        (["block", "mlp"], "components", "attention"),
        (["attention", "mlp"], "relative", "block"),
        (["mlp"], "variance_ranking", "block"),
    ],
)
def test_a_picture_says_what_was_not_measured(components: list[str], name: str, missing: str) -> None:
    lack = PICTURES[name].lack(Measured(components, domains=1))
    assert lack == f"It shows {missing}, which the job's option `components` leaves out."


@pytest.mark.parametrize("name", PICTURES)
def test_where_all_was_measured_a_picture_lacks_nothing(name: str) -> None:
    assert PICTURES[name].lack(Measured(COMPONENTS, domains=2, analyses=["ablation"])) is None
    assert "None of the job's texts" in (PICTURES[name].lack(Measured(COMPONENTS, domains=0)) or "")


def test_a_long_caption_is_broken_within_the_picture() -> None:
    figure = Figure()
    long = " ".join(["a-model-with-a-long-source"] * 20)
    PICTURES["relative"].draw(figure, layer_rows(), long)
    figure.draw_without_rendering()
    (caption,) = [text for text in figure.texts if "a-model" in text.get_text()]
    assert caption.get_text().split()[:20] == long.split()
    assert caption.get_window_extent().x1 < figure.bbox.x1
    axes_below = min(axes.get_window_extent().y0 for axes in figure.axes)
    assert caption.get_window_extent().y1 < axes_below


@pytest.mark.parametrize(
    ("value", "figure"),
    [(0, "0"), (0.00012, "1e-4"), (0.0781, ".078"), (0.1, ".10"), (9.14, "9.1"), (327.6, "328")],
)
def test_figures_of_the_heatmap_fit_their_cells(value: float, figure: str) -> None:
    rows = layer_rows(["cpp"], layers=1)
    for row in rows:
        row["relative_norm"] = value
    assert [text.get_text() for text in axes_of(HEATMAP, rows)[0].texts] == [figure]


def test_a_picture_says_which_analysis_it_needs() -> None:
    lack = PICTURES["importance"].lack(Measured(COMPONENTS, domains=1, analyses=["logit_lens"]))
    assert lack == 'It needs a job with the option `"analyses": ["ablation"]`.'
