"""Plots: what they show, and what they say about what is missing."""

import importlib
import math
import re
from collections.abc import Sequence
from functools import cache

import matplotlib
import pytest

from app.errors import FileNotFound
from app.plots import PLOTS, JobContents, draw, find
from app.plots.drawing import canvas
from app.plots.drawing.canvas import LOOKS
from app.plots.profiles import OVERLAID_DOMAINS, PROFILES
from app.plots.ranking import RANKING
from layerscope.names import COMPONENTS, STATISTIC_COLUMNS
from tests.support.plot_rows import CAPTION, DOMAINS, axes_of, layer_rows, rows_for, values_of, words

STUDIED = ("mean_std", "abs_mean_abs_std", "abs_mean_std", "variance_ranking")


LARGE = [pytest.param(*size, marks=pytest.mark.slow) for size in ((4, 28, 45), (16, 2, 2))]


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize(("domains", "layers", "texts"), [(1, 80, 1), *LARGE])
def test_every_plot_can_be_drawn_at_any_size(name: str, domains: int, layers: int, texts: int) -> None:
    rows = rows_for(name, [f"domain-{i}" for i in range(max(domains, PLOTS[name].domains))], layers, texts)
    assert draw(PLOTS[name], rows, CAPTION, "png").startswith(b"\x89PNG")


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


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_s_scale_is_the_one_it_names(name: str) -> None:
    scale = "log" if "log scale" in " ".join(words(name, layer_rows())) else "linear"
    assert {axes.get_yscale() for axes in axes_of(PROFILES[name], layer_rows())} == {scale}


def test_panels_of_many_domains_have_the_others_behind_them() -> None:
    domains = [f"domain-{i}" for i in range(OVERLAID_DOMAINS + 1)]
    for axes in axes_of(PROFILES["mean_std"], layer_rows(domains)):
        assert [line.get_marker() for line in axes.get_lines()] == ["None"] * OVERLAID_DOMAINS + ["o"]


def test_domains_on_one_pair_of_axes_are_named_by_the_legend_alone() -> None:
    (together,) = axes_of(PROFILES["mean_std"], layer_rows())
    assert together.get_title(loc="left") == ""
    (alone, *_) = axes_of(PROFILES["components"], layer_rows())
    assert alone.get_title(loc="left") == f"{DOMAINS[0]} (n = 5)"


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
    row = next(row for row in rows if row["scope"] == "typical" and row["component"] == "block")
    (band,) = axes_of(PROFILES["relative"], rows)[0].collections
    heights = set(band.get_paths()[0].vertices[:, 1])
    assert heights == {row["relative_norm_ci_low"], row["relative_norm_ci_high"]}


def test_one_text_has_no_band_and_no_variance() -> None:
    rows = layer_rows(["cpp"], texts=1)
    for name in PROFILES:
        assert not any(c.get_paths() for c in axes_of(PROFILES[name], rows)[0].collections)
    assert "no sample variance with fewer than two texts" in words("variance_ranking", rows)


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
    assert "\n".join(words(name, rows)).count("no value: every text\nhas only one token") == panels
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


@pytest.mark.parametrize("name", [name for name in PLOTS if PLOTS[name].table == "results"])
def test_layers_that_write_nothing_are_drawn(name: str) -> None:
    rows = rows_for(name, ["cpp"])
    for row in rows:
        row |= dict.fromkeys(STATISTIC_COLUMNS, 0.0)
    assert draw(PLOTS[name], rows, CAPTION, "png")


@cache
def drawn_words(name: str) -> str:
    """Drawn once for two tests."""
    return "\n".join(words(name, rows_for(name, texts=45)))


@pytest.mark.parametrize("name", PLOTS)
def test_titles_units_texts_and_scope_are_said(name: str) -> None:
    text = drawn_words(name)
    assert CAPTION in text
    assert PLOTS[name].title in text
    assert any(line.startswith("layer") for line in text.splitlines())
    assert all(re.search(rf"{domain}.*?\(n = 45", text, re.DOTALL) for domain in DOMAINS)
    assert ("ddof = 1" in text) == (name in STUDIED)
    scope = PLOTS[name].scope
    assert f"scope {scope}" in text
    assert re.search(r"\((activation²?|no unit|standard deviations|nat)(, log scale)?\)", text)


@pytest.mark.parametrize("name", [*PROFILES, "effect", "first_token"])
def test_layers_stand_along_x_in_whole_numbers(name: str) -> None:
    for axes in axes_of(PLOTS[name], rows_for(name, layers=3)):
        assert axes.get_xlim() == (-0.5, 2.5)
        assert all(tick == round(tick) for tick in axes.get_xticks())
    assert axes.get_xlabel() == "layer"


@pytest.mark.parametrize("name", PLOTS)
def test_no_variance_is_bare(name: str) -> None:
    text = drawn_words(name)
    assert text.count("variance") == text.count("sample variance")


def test_names_of_any_kind_are_shown_as_they_are() -> None:
    text = words("mean_std", layer_rows(["_hidden", "a" * 19, "b" * 18]), caption=r"$\frac{1}$ & <b>")
    assert " _hidden (n = 5)" in text
    assert f" {'b' * 18} (n = 5)" in text
    assert " aaaaaaaaa…aaaaaaaa (n = 5)" in text
    assert any(r"$\frac{1}$" in line for line in text)


def test_an_unknown_plot_is_answered_with_the_known_names() -> None:
    with pytest.raises(FileNotFound) as error:
        find("variance")
    assert all(name in error.value.detail for name in PLOTS)


@pytest.mark.parametrize(
    ("components", "name", "missing"),
    [
        (["block"], "components", "attention and mlp"),
        (["block", "mlp"], "components", "attention"),
        (["attention", "mlp"], "relative", "block"),
        (["mlp"], "variance_ranking", "block"),
    ],
)
def test_a_plot_says_what_was_not_measured(components: list[str], name: str, missing: str) -> None:
    lack = PLOTS[name].unavailable_reason(JobContents(components, domains=1))
    assert lack == f"It shows {missing}, which the job's option `components` excludes."


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_is_available_when_everything_was_measured(name: str) -> None:
    assert PLOTS[name].unavailable_reason(JobContents(COMPONENTS, domains=2, analyses=["ablation"])) is None
    assert "None of the job's texts" in (
        PLOTS[name].unavailable_reason(JobContents(COMPONENTS, domains=0)) or ""
    )


def test_a_plot_says_which_analysis_it_needs() -> None:
    lack = PLOTS["importance"].unavailable_reason(JobContents(COMPONENTS, domains=1, analyses=["logit_lens"]))
    assert lack == 'It requires a job with the option `"analyses": ["ablation"]`.'


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    importlib.reload(canvas)
    draw(PLOTS["relative"], rows_for("relative", ["a"], 2, 3), "caption", "svg")
    assert dict(matplotlib.rcParams) == before
