"""The plot of the first token: two shares of each layer, also outside the axis."""

import math
from typing import Any

import pytest

from app.plots.first_token_share import FIRST_TOKEN, HIGHEST, LOWEST, SHARES
from layerscope.names import POOLED_DOMAIN
from tests.support.plot_rows import DOMAINS, Rows, axes_of, first_token_rows, values_of, words

TRIANGLES = "A triangle at the edge"


def lines(axes: Any) -> list[Any]:
    return [line for line in axes.get_lines() if line.get_marker() != "None"]


def triangles(axes: Any) -> list[tuple[float, float, bool]]:
    """(layer, edge, its tip is up), none of them cut off at the edge"""
    assert not any(marks.get_clip_on() for marks in axes.collections)
    return [
        (*place, bool(marks.get_paths()[0].vertices[0, 1] > 0))
        for marks in axes.collections
        for place in marks.get_offsets().tolist()
    ]


def test_both_shares_of_every_layer_are_points_and_the_pool_is_not() -> None:
    rows = first_token_rows(layers=9)
    panels = axes_of(FIRST_TOKEN, rows)
    assert [axes.get_title(loc="left") for axes in panels] == [f"{domain} (n = 5)" for domain in DOMAINS]
    assert POOLED_DOMAIN in {row["domain"] for row in rows}
    for axes, domain in zip(panels, DOMAINS, strict=True):
        for line, name in zip(lines(axes), SHARES, strict=True):
            assert list(line.get_xdata()) == list(range(9))
            assert list(line.get_ydata()) == values_of(rows, name, domain=domain, component="block")


def test_the_shares_differ_without_their_colours_and_are_defined() -> None:
    axes = axes_of(FIRST_TOKEN, first_token_rows())[0]
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines(axes)}) == 2
    (legend,) = axes.figure.legends
    assert [line.get_marker() for line in legend.get_lines()] == [line.get_marker() for line in lines(axes)]
    text = " ".join(words("first_token", first_token_rows()))
    assert "mean(first / T) / mean(all)" in text
    assert "cov(first / T, all) / var(all)" in text


@pytest.mark.parametrize(("share", "edge"), [(-7.5, "low"), (9.0, "high"), (-0.9, None), (1.9, None)])
def test_a_share_of_the_variance_may_be_anything(share: float, edge: str | None) -> None:
    rows = first_token_rows(["cpp", "python"])
    for row in rows:
        row |= {"mean_share": 0.4, "variance_share": 0.6}
    next(row for row in rows if row["layer"] == 2)["variance_share"] = share
    axes, other = axes_of(FIRST_TOKEN, rows)
    low, high = axes.get_ylim()
    assert LOWEST - 0.1 < low < 0 < 1 < high < HIGHEST + 0.1
    assert lines(axes)[1].get_ydata()[2] == share
    assert other.get_ylim() == (low, high)
    marked = {"low": [(2, low, False)], "high": [(2, high, True)], None: []}
    assert triangles(axes) == marked[edge]
    assert (TRIANGLES in " ".join(words("first_token", rows))) == (edge is not None)


def test_where_there_is_no_share_is_a_gap() -> None:
    rows: Rows = first_token_rows(["cpp"])
    rows[1] |= {"mean_share": None, "variance_share": None}
    for line in lines(axes_of(FIRST_TOKEN, rows)[0]):
        assert [math.isnan(share) for share in line.get_ydata()] == [False, True, False, False]
    assert TRIANGLES not in " ".join(words("first_token", rows))
