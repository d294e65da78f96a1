"""Values at the edge of a panel: next to their triangles, and none over another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.plots.drawing.panel import GAP, values_beside
from app.plots.drawing.style import VALUE_FONT
from app.plots.drawing.words import width_of

RIGHT = 5.0
WIDTH = width_of("9.40", VALUE_FONT)
NEAR = 1e-9


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ([1.0], [("a", 1.0 + GAP)]),
        ([1.0, 3.0], [("a", 1.0 + GAP), ("b", 3.0 + GAP)]),
        ([1.0, 1.1, 3.0], [("a, b", 1.1 + GAP), ("c", 3.0 + GAP)]),
        ([4.95], [("a", 4.95 - GAP - width_of("a", VALUE_FONT))]),
        ([4.9, 4.95], [("a, b", 4.9 - GAP - width_of("a, b", VALUE_FONT))]),
    ],
)
def test_values_are_at_the_right_of_their_triangles_if_there_is_space(
    places: list[float], found: list[tuple[str, float]]
) -> None:
    shown = values_beside(places, "abcd"[: len(places)], RIGHT)
    assert [words for words, _ in shown] == [words for words, _ in found]
    assert [start for _, start in shown] == pytest.approx([start for _, start in found])


@given(st.lists(st.floats(1.8, RIGHT), min_size=1, max_size=4, unique=True).map(sorted))
def test_all_values_are_written_in_order_and_within_the_panel(places: list[float]) -> None:
    shown = values_beside(places, ["9.40"] * len(places), RIGHT)
    assert ", ".join(words for words, _ in shown) == ", ".join(["9.40"] * len(places))
    end = 0.0
    for words, start in shown:
        width = width_of(words, VALUE_FONT)
        assert end - NEAR < start
        assert start + width < RIGHT + NEAR
        end = start + width
        assert not any(start - GAP / 2 < place < end + GAP / 2 for place in places)
