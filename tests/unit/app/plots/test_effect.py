"""The plot of effects: every layer of every pair, and what is significant in it."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.plots import PLOTS, JobContents
from app.plots.drawing.panel import Panel
from app.plots.drawing.style import SIGNIFICANT
from app.plots.effect import EFFECT, LEAST_REACH, MOST_PAIRS
from layerscope.names import COMPONENTS, LARGEST_Q
from tests.support.drawn_plots import drawn, legend, points, series, strokes, words
from tests.support.jobs.plot_rows import DOMAINS, comparison_rows

MANY = [f"domain-{i:02}" for i in range(16)]


def pair_of(panel: Panel) -> str:
    return " ".join(panel.title).partition(" (n = ")[0]


def effects(panel: Panel) -> Iterator[tuple[Any, ...]]:
    """(layer, g, marked as significant)"""
    for line in series(panel):
        marked = line.get_markerfacecolor() != "white"
        yield from ((round(layer), g, marked) for layer, g in points(panel, line))


def test_every_layer_of_every_pair_is_a_point_marked_where_significant() -> None:
    rows = comparison_rows(layers=9)
    rows[0]["q_value"] = LARGEST_Q
    panels = drawn(EFFECT, rows).panels
    assert [pair_of(panel) for panel in panels] == [
        f"{a} − {b}" for i, a in enumerate(DOMAINS) for b in DOMAINS[i + 1 :]
    ]
    for panel in panels:
        a, b = pair_of(panel).split(" − ")
        expected = [
            (row["layer"], pytest.approx(row["hedges_g"]), row["q_value"] < LARGEST_Q)
            for row in rows
            if (row["domain_a"], row["domain_b"]) == (a, b)
        ]
        assert sorted(effects(panel)) == expected
        assert {marked for _, _, marked in expected} == {True, False}


def test_significant_points_differ_without_their_colour() -> None:
    sheet = drawn(EFFECT, comparison_rows())
    assert legend(sheet) == ["q < 0.05", "q ≥ 0.05"]
    faces = {line.get_markerfacecolor() for panel in sheet.panels for line in series(panel)}
    assert faces == {SIGNIFICANT.colour, "white"}


def test_bars_are_the_intervals() -> None:
    rows = comparison_rows(DOMAINS[:2])
    for row in rows:
        row["q_value"] = 0.01
    (panel,) = drawn(EFFECT, rows).panels
    bars = [bar.ravel().tolist() for bar in strokes(panel, SIGNIFICANT.colour)]
    assert bars == [
        pytest.approx([row["layer"], row["g_ci_low"], row["layer"], row["g_ci_high"]], abs=1e-9)
        for row in rows
    ]


def test_of_many_pairs_those_that_differ_most_are_shown_and_the_rest_is_counted() -> None:
    rows = comparison_rows(MANY, layers=5)
    for row in rows:
        differs = "domain-07" in (row["domain_a"], row["domain_b"])
        row["q_value"] = 0.01 if differs or (row["domain_a"] == "domain-00" and row["layer"] < 2) else 0.9
    panels = drawn(EFFECT, rows).panels
    assert len(panels) == MOST_PAIRS
    assert all("domain-07" in pair_of(panel) for panel in panels[:15])
    assert "domain-00" in pair_of(panels[15])
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
    titles = [pair_of(panel) for panel in drawn(EFFECT, rows).panels]
    others = [f"{MANY[a]} − {MANY[b]}" for a in range(1, 6) for b in range(a + 1, 6)]
    assert titles == [*(f"{MANY[a]} − {MANY[6]}" for a in range(6)), *others]


def test_a_title_breaks_between_names_and_has_the_most_texts_of_any_layer() -> None:
    rows = comparison_rows(["a-name-of-parts" * 3, "another-of-them" * 3])
    rows[0] |= {"texts_a": 2, "texts_b": 1}
    (panel,) = drawn(EFFECT, rows).panels
    assert panel.title == ("a-name-of-parts" * 3 + " − " + "another-of-them" * 3 + " (n = 5 and 6)",)
    several = drawn(EFFECT, comparison_rows([*{"a-name-of-parts" * 3, "another-of-them" * 3}, "c"]))
    names = {"a-name-of-parts" * 3 + " −", "another-of-them" * 3 + " (n = 5 and 6)"}
    assert names <= {line for panel in several.panels for line in panel.title}


def test_few_pairs_are_shown_whole() -> None:
    assert "The plot shows" not in " ".join(words("effect", comparison_rows(MANY[:6])))
    assert len(drawn(EFFECT, comparison_rows(MANY[:6])).panels) == 15


def test_effects_fit_on_the_axis_and_longer_intervals_are_said_to_be_cut() -> None:
    rows = comparison_rows(DOMAINS[:2])
    assert "are cut" not in " ".join(words("effect", rows))
    longest = max(abs(row[end]) for row in rows for end in ("g_ci_low", "g_ci_high"))
    assert longest < drawn(EFFECT, rows).panels[0].y.high < 1.1 * longest
    for row in rows:
        row |= {"hedges_g": 0.2, "g_ci_low": -40.0, "g_ci_high": 40.0}
    rows[0]["hedges_g"] = None
    rows[-1]["hedges_g"] = -3.0
    panel = drawn(EFFECT, rows).panels[0]
    assert -panel.y.low == panel.y.high
    assert 3 < panel.y.high < 7
    assert len(series(panel)) > 0
    assert "Intervals that are longer than the axis are cut" in " ".join(words("effect", rows))


@pytest.mark.parametrize("texts", [1, 2])
def test_a_pair_without_a_value_says_so(texts: int) -> None:
    rows = comparison_rows(texts=texts)
    text = words("effect", rows)
    assert text.count("no value in any layer") == (6 if texts == 1 else 0)
    assert f"all {0 if texts == 1 else 24} tests" in " ".join(text)
    assert len(drawn(EFFECT, rows).panels) == 6
    assert drawn(EFFECT, rows).panels[0].y.high >= LEAST_REACH


def test_a_pair_with_a_value_in_one_layer_says_nothing() -> None:
    rows = comparison_rows(DOMAINS[:2])
    for row in rows[1:]:
        row["hedges_g"] = None
    assert "no value in any layer" not in words("effect", rows)


def test_one_domain_has_no_effects() -> None:
    lack = PLOTS["effect"].unavailable_reason(JobContents(COMPONENTS, domains=1))
    assert lack == "It compares domains, but texts of only one domain were measured."
