"""The plot of the first token: two shares of each layer, also outside the axis."""

import math

import pytest

from app.plots.drawing.panel import Panel
from app.plots.first_token_share import FIRST_TOKEN, HIGHEST, LOWEST, SHARES
from layerscope.names import POOLED_DOMAIN
from tests.support.drawn_plots import drawn, legend, points, series, words
from tests.support.drawn_plots import triangles as triangles_of
from tests.support.jobs.plot_rows import DOMAINS, Rows, first_token_rows, values_of

TRIANGLES = "A triangle at the edge"


def triangles(panel: Panel) -> list[tuple[float, float, bool]]:
    """(layer, edge, its tip is up)"""
    return [
        (round(layer), round(share, 6), line.get_marker() == "^")
        for line in triangles_of(panel)
        for layer, share in points(panel, line)
    ]


def shares(panel: Panel, number: int) -> list[float]:
    return [share for _, share in points(panel, series(panel)[number])]


def test_both_shares_of_every_layer_are_points_and_the_pool_is_not() -> None:
    rows = first_token_rows(layers=9)
    panels = drawn(FIRST_TOKEN, rows).panels
    assert [panel.title for panel in panels] == [(f"{domain} (n = 5)",) for domain in DOMAINS]
    assert POOLED_DOMAIN in {row["domain"] for row in rows}
    for panel, domain in zip(panels, DOMAINS, strict=True):
        for number, name in enumerate(SHARES):
            expected = values_of(rows, name, domain=domain, component="block")
            assert shares(panel, number) == pytest.approx(expected)


def test_the_shares_differ_without_their_colours_and_are_defined() -> None:
    sheet = drawn(FIRST_TOKEN, first_token_rows())
    lines = series(sheet.panels[0])
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 2
    assert legend(sheet) == list(SHARES.values())
    text = " ".join(words("first_token", first_token_rows()))
    assert "mean(first / T) / mean(all)" in text
    assert "cov(first / T, all) / var(all)" in text


@pytest.mark.parametrize(("share", "edge"), [(-7.5, "low"), (9.0, "high"), (-0.9, None), (1.9, None)])
def test_a_share_of_the_variance_may_be_anything(share: float, edge: str | None) -> None:
    rows = first_token_rows(["cpp", "python"])
    for row in rows:
        row |= {"mean_share": 0.4, "variance_share": 0.6}
    next(row for row in rows if row["layer"] == 2)["variance_share"] = share
    panel, other = drawn(FIRST_TOKEN, rows).panels
    low, high = panel.y.low, panel.y.high
    assert LOWEST - 0.1 < low < 0 < 1 < high < HIGHEST + 0.1
    assert math.isnan(shares(panel, 1)[2]) == (edge is not None)
    assert other.y == panel.y
    marked = {"low": [(2, round(low, 6), False)], "high": [(2, round(high, 6), True)], None: []}
    assert triangles(panel) == marked[edge]
    assert (TRIANGLES in " ".join(words("first_token", rows))) == (edge is not None)


def test_where_there_is_no_share_is_a_gap() -> None:
    rows: Rows = first_token_rows(["cpp"])
    rows[1] |= {"mean_share": None, "variance_share": None}
    (panel,) = drawn(FIRST_TOKEN, rows).panels
    for number in (0, 1):
        assert [math.isnan(share) for share in shares(panel, number)] == [False, True, False, False]
    assert TRIANGLES not in " ".join(words("first_token", rows))
