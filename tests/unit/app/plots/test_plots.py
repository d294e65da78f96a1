"""Plots: what they show, and what they say about what is missing."""

import importlib
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import matplotlib
import numpy as np
import pytest

from app.errors import FileNotFound
from app.plots import PLOTS, JobContents, draw, find
from app.plots.drawing import style
from app.plots.drawing.lines import GROUP
from app.plots.drawing.panel import Panel
from app.plots.drawing.style import FAINT, LOOKS
from app.plots.profiles import PROFILES
from layerscope.names import ANALYSES, COMPONENTS, STATISTIC_COLUMNS
from tests.support.drawn_plots import (
    CAPTION,
    drawn,
    legend,
    numbers_in,
    points,
    polygons,
    series,
    strokes,
    triangles,
    words,
)
from tests.support.jobs.plot_rows import DOMAINS, layer_rows, rows_for, values_of

STUDIED = ("mean_std", "abs_mean_abs_std", "abs_mean_std", "variance_ranking")
OVERLAID = ("mean_std", "relative", "massive")
WITHOUT_LINES = ("variance_ranking", "heatmap", "importance")


LARGE = [pytest.param(*size, marks=pytest.mark.slow) for size in ((4, 28, 45), (16, 2, 2))]


def heights(panel: Panel, line: Any) -> list[float]:
    return [y for _, y in points(panel, line)]


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize(("domains", "layers", "texts"), [(1, 80, 1), *LARGE])
def test_every_plot_can_be_drawn_at_any_size(name: str, domains: int, layers: int, texts: int) -> None:
    rows = rows_for(name, [f"domain-{i}" for i in range(max(domains, PLOTS[name].domains))], layers, texts)
    assert draw(PLOTS[name], rows, CAPTION, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("domains", [1, GROUP, GROUP + 1])
def test_every_layer_of_every_domain_is_a_point_and_the_pool_is_not(name: str, domains: int) -> None:
    profile = PROFILES[name]
    rows = layer_rows([f"domain-{i}" for i in range(domains)], layers=4)
    panels = drawn(profile, rows).panels
    shown = [heights(panel, line) for panel in panels for line in series(panel)]
    expected = [
        values_of(rows, profile.metric, domain=f"domain-{i}", scope=profile.scope, component=component)
        for i in range(domains)
        for component in profile.components
    ]
    assert shown == [pytest.approx(values) for values in expected]


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_s_scale_is_the_one_it_names(name: str) -> None:
    logarithmic = "log scale" in " ".join(words(name, layer_rows()))
    assert {panel.y.logarithmic for panel in drawn(PROFILES[name], layer_rows()).panels} == {logarithmic}


@pytest.mark.parametrize("name", OVERLAID)
def test_panels_of_many_domains_have_the_others_behind_them(name: str) -> None:
    rows = rows_for(name, [f"domain-{i}" for i in range(GROUP + 1)])
    panels = drawn(PLOTS[name], rows).panels
    own = [heights(panel, *series(panel)) for panel in panels]
    for number, panel in enumerate(panels):
        behind = [line[:, 1].tolist() for line in strokes(panel, FAINT)]
        assert behind == [pytest.approx(values) for i, values in enumerate(own) if i != number]
    assert not strokes(drawn(PLOTS[name], rows_for(name)).panels[0], FAINT)


def test_domains_on_one_pair_of_axes_are_named_by_the_legend_alone() -> None:
    together = drawn(PROFILES["mean_std"], layer_rows())
    assert [panel.title for panel in together.panels] == [()]
    assert legend(together) == [f"{domain} (n = 5)" for domain in DOMAINS]
    apart = drawn(PROFILES["components"], layer_rows())
    assert [panel.title for panel in apart.panels] == [(f"{domain} (n = 5)",) for domain in DOMAINS]
    assert legend(apart) == ["attention", "mlp"]


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("count", [3, 5])
def test_domains_are_in_the_order_of_the_rows(name: str, count: int) -> None:
    order = ["zulu", "alpha", "mike", "bravo", "yankee"][:count]
    text = "\n".join(words(name, rows_for(name, order)))
    if name == "effect":
        pairs = [f"{a} − {b}" for i, a in enumerate(sorted(order)) for b in sorted(order)[i + 1 :]]
        assert sorted(pairs, key=text.index) == pairs
    else:
        assert sorted(order, key=text.index) == order


def test_lines_differ_without_their_colours() -> None:
    (panel,) = drawn(PROFILES["mean_std"], layer_rows()).panels
    lines = series(panel)
    assert len({line.get_marker() for line in lines}) == len(lines) == len(DOMAINS) == len(LOOKS) == GROUP
    assert len({line.get_linestyle() for line in lines}) == len(lines)


def test_bands_are_what_the_captions_say() -> None:
    rows = layer_rows(["cpp"], layers=2)
    for name, mean, low, high in (
        ("abs_mean_abs_std", "delta_abs_mean", -1, "delta_abs_mean_std"),
        ("abs_mean_std", "delta_abs_mean", -1, "delta_mean_std"),
        ("relative", "relative_norm", "relative_norm_ci_low", "relative_norm_ci_high"),
    ):
        scope = PROFILES[name].scope
        for row in rows:
            row |= {"relative_norm_ci_low": row["relative_norm"] * 0.9}
            row |= {"relative_norm_ci_high": row["relative_norm"] * 1.2}
        shown = [
            row for row in rows if (row["scope"], row["component"], row["domain"]) == (scope, "block", "cpp")
        ]
        ends = [
            (row[low], row[high]) if isinstance(low, str) else (row[mean] - row[high], row[mean] + row[high])
            for row in shown
        ]
        (panel,) = drawn(PROFILES[name], rows).panels
        (band,) = polygons(panel, LOOKS[0].colour)
        assert band[:, 1].tolist() == pytest.approx([ends[0][0], ends[1][0], ends[1][1], ends[0][1]])


def test_one_text_has_no_band_no_deviation_and_no_variance() -> None:
    rows = layer_rows(["cpp"], texts=1)
    for name, profile in PROFILES.items():
        (panel,) = drawn(profile, rows).panels
        assert not polygons(panel, LOOKS[0].colour)
        text = " ".join(words(name, rows))
        assert "±" not in text
        assert "Band" not in text
        assert ("±" in profile.title) == (name in STUDIED)
        assert "(n = 1)" in text
    assert "no sample variance with fewer than two texts" in words("variance_ranking", rows)


@pytest.mark.parametrize("name", ["mean_std", "relative"])
def test_the_title_keeps_its_deviation_if_a_domain_has_several_texts(name: str) -> None:
    rows = [*layer_rows(["cpp"], texts=1), *layer_rows(["python"], texts=2)]
    assert PROFILES[name].title in words(name, rows)
    assert "Band" in " ".join(words(name, rows))


@pytest.mark.parametrize("name", ["relative", "mean_std", "abs_mean_abs_std", "components"])
def test_layer_0_does_not_compress_the_others(name: str) -> None:
    profile = PROFILES[name]
    rows = layer_rows(DOMAINS[:2], layers=10)
    for row in rows:
        value = 0.4 + 0.01 * row["layer"]
        row |= {profile.metric: value, f"{profile.metric}_ci_low": value, f"{profile.metric}_ci_high": value}
        row |= {f"{profile.deviation}": 0.01}
        if row["layer"] == 0:
            row[profile.metric] = 17.25
    panels = drawn(profile, rows).panels
    for panel in panels:
        assert panel.y.high < 1
        for line in series(panel):
            assert [math.isnan(y) for y in heights(panel, line)] == [True] + [False] * 9
        layers = [points(panel, triangle)[0][0] for triangle in triangles(panel)]
        assert layers == pytest.approx([0, 0])
        assert {triangle.get_marker() for triangle in triangles(panel)} == {"^"}
        assert numbers_in(panel) == ["17.2", "17.2"]
    assert "Triangles: values of layer 0 outside the axis" in " ".join(words(name, rows))


def test_values_outside_have_the_colours_of_their_lines_and_a_row_each() -> None:
    rows = layer_rows(layers=10)
    for row in rows:
        row |= {"relative_norm": 0.3, "relative_norm_ci_low": 0.3, "relative_norm_ci_high": 0.3}
        if row["layer"] in (0, 9):
            row["relative_norm"] = 10.0 + (DOMAINS.index(row["domain"]) if row["domain"] in DOMAINS else 0)
    (panel,) = drawn(PROFILES["relative"], rows).panels
    assert numbers_in(panel) == [f"{10 + i}.0" for i in (3, 2, 1, 0) for _ in (0, 9)]
    found = triangles(panel)
    assert [triangle.get_color() for triangle in found] == [look.colour for look in LOOKS]
    assert [float(triangle.get_ydata()[0]) for triangle in found] == sorted(
        (float(triangle.get_ydata()[0]) for triangle in found), reverse=True
    )
    assert len({float(triangle.get_ydata()[0]) for triangle in found}) == 4


def test_the_band_of_a_layer_outside_is_not_drawn() -> None:
    rows = layer_rows(["cpp"], layers=10)
    for row in rows:
        value = 17.0 if row["layer"] == 3 else 0.4 + 0.01 * row["layer"]
        row |= {
            "relative_norm": value,
            "relative_norm_ci_low": value / 1.1,
            "relative_norm_ci_high": value * 1.1,
        }
    (panel,) = drawn(PROFILES["relative"], rows).panels
    covered = [{round(x) for x in band[:, 0]} for band in polygons(panel, LOOKS[0].colour)]
    assert covered == [{0, 1, 2}, {4, 5, 6, 7, 8, 9}]


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
    for panel in drawn(PROFILES[name], rows).panels:
        assert bool(panel.y.ticks) == (domains != DOMAINS)


def test_a_layer_without_a_value_is_a_gap() -> None:
    rows = layer_rows(["cpp"])
    for row in rows:
        if row["layer"] == 1:
            row |= dict.fromkeys(STATISTIC_COLUMNS)
    (panel,) = drawn(PROFILES["relative"], rows).panels
    (line,) = series(panel)
    assert [math.isnan(y) for y in heights(panel, line)] == [False, True, False, False]
    assert len(polygons(panel, LOOKS[0].colour)) == 1  # from layer 2 to layer 3
    (ranking,) = drawn(PLOTS["variance_ranking"], rows).panels
    assert "1" not in ranking.x.labels


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
    texts = 3 if name in ("ablation", "lens") else 45
    assert all(re.search(rf"{domain}.*?n = {texts}", text, re.DOTALL) for domain in DOMAINS)
    assert ("ddof = 1" in text) == (name in STUDIED)
    scope = PLOTS[name].scope
    assert f"scope {scope}" in text or name == "massive"
    assert re.search(
        r"\((activation²?|no unit|standard deviations|nat|share of tokens)(, log scale)?\)", text
    )


@pytest.mark.parametrize("name", [name for name in PLOTS if name not in WITHOUT_LINES])
def test_layers_stand_along_x_in_whole_numbers(name: str) -> None:
    sheet = drawn(PLOTS[name], rows_for(name, layers=3))
    for panel in sheet.panels:
        assert panel.x.ticks == (0, 1, 2)
        assert panel.x.labels == ("0", "1", "2")
        layers = [x for line in series(panel) for x, y in points(panel, line) if not math.isnan(y)]
        assert np.round(layers, 6).tolist() == np.round(layers).tolist()
    assert [text.get_text() for text in sheet.figure.texts].count("layer") in (1, 2, 3)


@pytest.mark.parametrize("name", PLOTS)
def test_no_variance_is_bare(name: str) -> None:
    text = drawn_words(name)
    assert text.count("variance") == text.count("sample variance")


def test_names_of_any_kind_are_shown_as_they_are() -> None:
    text = words("mean_std", layer_rows(["_hidden", "a" * 64]), caption=r"$\frac{1}$ & <b>")
    assert "_hidden (n = 5)" in text
    assert f"{'a' * 64} (n = 5)" in text
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
    assert PLOTS[name].unavailable_reason(JobContents(COMPONENTS, domains=2, analyses=ANALYSES)) is None
    assert "None of the job's texts" in (
        PLOTS[name].unavailable_reason(JobContents(COMPONENTS, domains=0)) or ""
    )


@pytest.mark.parametrize(
    ("name", "analysis"), [("importance", "ablation"), ("ablation", "ablation"), ("lens", "logit_lens")]
)
def test_a_plot_says_which_analysis_it_needs(name: str, analysis: str) -> None:
    others = [other for other in ANALYSES if other != analysis]
    lack = PLOTS[name].unavailable_reason(JobContents(COMPONENTS, domains=1, analyses=others))
    assert lack == f'It requires a job with the option `"analyses": ["{analysis}"]`.'


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    importlib.reload(style)
    draw(PLOTS["relative"], rows_for("relative", ["a"], 2, 3), "caption", "svg")
    assert dict(matplotlib.rcParams) == before
