"""The plot of effects: every layer of every pair, and what is significant in it."""

from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.text import Text

from app.plots import PLOTS, JobContents
from app.plots.effect import EFFECT, LEAST_REACH, MOST_PAIRS, SIGNIFICANT
from layerscope.names import COMPONENTS
from tests.support.plot_rows import DOMAINS, axes_of, comparison_rows, run_into_each_other, words

MANY = [f"domain-{i:02}" for i in range(16)]


def title_of(axes: Any) -> str:
    return str(axes.get_title(loc="left"))


def points(axes: Any) -> Iterator[tuple[float, float, bool]]:
    """(layer, g, marked as significant)"""
    for line in axes.get_lines()[1:]:
        marked = line.get_markerfacecolor() != "white"
        yield from ((layer, g, marked) for layer, g in line.get_xydata().tolist())


def test_every_layer_of_every_pair_is_a_point_marked_where_significant() -> None:
    rows = comparison_rows(layers=9)
    rows[0]["q_value"] = SIGNIFICANT
    panels = axes_of(EFFECT, rows)
    assert [title_of(axes).partition("\n")[0] for axes in panels] == [
        f"{a} − {b}" for i, a in enumerate(DOMAINS) for b in DOMAINS[i + 1 :]
    ]
    for axes in panels:
        a, b = title_of(axes).partition("\n")[0].split(" − ")
        expected = [
            (row["layer"], row["hedges_g"], row["q_value"] < SIGNIFICANT)
            for row in rows
            if (row["domain_a"], row["domain_b"]) == (a, b)
        ]
        assert sorted(points(axes)) == sorted(expected)
        assert {marked for _, _, marked in expected} == {True, False}


def test_significant_points_differ_without_their_colour() -> None:
    (figure,) = {axes.figure for axes in axes_of(EFFECT, comparison_rows())}
    (legend,) = figure.legends
    names = [text.get_text().strip() for text in legend.get_texts()]
    markers = [(line.get_marker(), line.get_markerfacecolor() == "white") for line in legend.get_lines()]
    assert dict(zip(names, markers, strict=True)) == {"q < 0.05": ("o", False), "q ≥ 0.05": ("D", True)}


def test_bars_are_the_intervals() -> None:
    rows = comparison_rows(DOMAINS[:2])
    (axes,) = axes_of(EFFECT, rows)
    bars = {tuple(map(tuple, bar.tolist())) for bars in axes.collections for bar in bars.get_segments()}
    assert bars == {((row["layer"], row["g_ci_low"]), (row["layer"], row["g_ci_high"])) for row in rows}


def test_of_many_pairs_those_that_differ_most_are_shown_and_the_rest_is_counted() -> None:
    rows = comparison_rows(MANY, layers=5)
    for row in rows:
        differs = "domain-07" in (row["domain_a"], row["domain_b"])
        row["q_value"] = 0.01 if differs or (row["domain_a"] == "domain-00" and row["layer"] < 2) else 0.9
    panels = axes_of(EFFECT, rows)
    assert len(panels) == MOST_PAIRS
    assert all("domain-07" in title_of(axes) for axes in panels[:15])
    assert "domain-00" in title_of(panels[15])
    text = " ".join(words("effect", rows))
    assert "The plot shows 16 of 120 pairs: those with the most layers with q < 0.05" in text
    assert "Other pairs with such a layer: 13." in text
    assert "all 600 tests" in text


def test_of_pairs_that_differ_in_as_many_layers_the_largest_effects_are_shown() -> None:
    rows = comparison_rows(MANY[:7], layers=3)
    for row in rows:
        row |= {"hedges_g": -0.5 if row["domain_b"] == MANY[6] else 0.25, "q_value": 0.01}
        without = row["domain_a"] == MANY[0] or (row["domain_a"] == MANY[1] and row["layer"] == 2)
        if without and row["domain_b"] != MANY[6]:
            row["hedges_g"] = None
    titles = [title_of(axes).partition("\n")[0] for axes in axes_of(EFFECT, rows)]
    others = [f"{MANY[a]} − {MANY[b]}" for a in range(1, 6) for b in range(a + 1, 6)]
    assert titles == [*(f"{MANY[a]} − {MANY[6]}" for a in range(6)), *others]


def test_titles_of_long_names_do_not_run_into_each_other() -> None:
    rows = comparison_rows([f"domain-{i:02}.whose_name_is_long" for i in range(16)])
    panels = axes_of(EFFECT, rows)
    panels[0].figure.draw_without_rendering()
    titles = [text for axes in panels for text in axes.findobj(Text) if text.get_text() == title_of(axes)]
    assert len(titles) == MOST_PAIRS
    assert not run_into_each_other(titles)
    assert not any(text.get_window_extent().overlaps(axes.bbox) for text in titles for axes in panels)


def test_a_title_breaks_between_names_and_has_the_most_texts_of_any_layer() -> None:
    rows = comparison_rows(["a-name-of-parts", "another-of-them"])
    rows[0] |= {"texts_a": 2, "texts_b": 1}
    (axes,) = axes_of(EFFECT, rows)
    assert title_of(axes).splitlines() == ["a-name-of-parts −", "another-of-them", "(n = 5 and 6)"]


def test_long_names_are_shortened_to_a_line_each() -> None:
    (axes,) = axes_of(EFFECT, comparison_rows(["a" * 40, "b" * 40]))
    assert title_of(axes).splitlines() == [f"{'a' * 9}…{'a' * 8} −", f"{'b' * 9}…{'b' * 8}", "(n = 5 and 6)"]


def test_few_pairs_are_shown_whole() -> None:
    assert "The plot shows" not in " ".join(words("effect", comparison_rows(MANY[:6])))
    assert len(axes_of(EFFECT, comparison_rows(MANY[:6]))) == 15


def test_effects_fit_on_the_axis_and_longer_intervals_are_said_to_be_cut() -> None:
    rows = comparison_rows(DOMAINS[:2])
    assert "are cut" not in " ".join(words("effect", rows))
    longest = max(abs(row[end]) for row in rows for end in ("g_ci_low", "g_ci_high"))
    assert longest < axes_of(EFFECT, rows)[0].get_ylim()[1] < 1.1 * longest
    for row in rows:
        row |= {"hedges_g": 0.2, "g_ci_low": -40.0, "g_ci_high": 40.0}
    rows[0]["hedges_g"] = None
    rows[-1]["hedges_g"] = -3.0
    low, high = axes_of(EFFECT, rows)[0].get_ylim()
    assert -low == high
    assert 3 < high < 7
    assert "Intervals that are longer than the axis are cut" in " ".join(words("effect", rows))


@pytest.mark.parametrize("texts", [1, 2])
def test_a_pair_without_a_value_says_so(texts: int) -> None:
    rows = comparison_rows(texts=texts)
    text = words("effect", rows)
    assert text.count("no value in any layer") == (6 if texts == 1 else 0)
    assert f"all {0 if texts == 1 else 24} tests" in " ".join(text)
    assert len(axes_of(EFFECT, rows)) == 6
    assert axes_of(EFFECT, rows)[0].get_ylim()[1] >= LEAST_REACH


def test_a_pair_with_a_value_in_one_layer_says_nothing() -> None:
    rows = comparison_rows(DOMAINS[:2])
    for row in rows[1:]:
        row["hedges_g"] = None
    assert "no value in any layer" not in words("effect", rows)


def test_one_domain_has_no_effects() -> None:
    lack = PLOTS["effect"].unavailable_reason(JobContents(COMPONENTS, domains=1))
    assert lack == "It compares domains, but texts of only one domain were measured."
