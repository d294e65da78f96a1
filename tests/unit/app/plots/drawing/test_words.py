"""Widths of words, and their lines."""

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import DOTS_PER_INCH, FONT, STYLE
from app.plots.drawing.words import titled, width_of, wrapped, wrapped_name

NAMES = st.text("abcWi01._-", min_size=1, max_size=64)


@pytest.mark.parametrize("words", ["layer", "relative_norm (no unit, log scale)", "WWWW", "0.26 − 12"])
def test_the_width_is_that_of_the_drawing(words: str) -> None:
    with matplotlib.rc_context(STYLE):
        box = Sheet().write(0, 0, words, 40).get_window_extent()
    assert width_of(words, 40) == pytest.approx(box.width / DOTS_PER_INCH, rel=0.03)


@given(st.lists(st.text("abcde", min_size=1, max_size=12), min_size=1).map(" ".join), st.floats(1.2, 5))
def test_sentences_are_broken_between_words(sentence: str, inches: float) -> None:
    lines = wrapped(sentence, FONT, inches)
    assert " ".join(lines).split() == sentence.split()
    assert all(width_of(line, FONT) <= inches for line in lines)


@given(NAMES, st.floats(0.5, 5), st.integers(1, 4))
def test_names_keep_their_ends_and_lose_only_what_has_no_space(name: str, inches: float, most: int) -> None:
    lines = wrapped_name(name, FONT, inches, most)
    assert len(lines) <= most
    assert all(width_of(line, FONT) <= inches for line in lines)
    head, cut, tail = "".join(lines).partition("…")
    assert name.startswith(head)
    assert name.endswith(tail)
    if not cut:
        assert head == name
    elif width_of(name, FONT) <= inches:
        raise AssertionError(name)


def test_names_are_broken_behind_a_separator() -> None:
    lines = wrapped_name("natural-language.from_the_web", FONT, 1.4, 3)
    assert lines == ["natural-language.", "from_the_web"]


def test_a_title_is_one_line_if_there_is_space() -> None:
    assert titled(["cpp"], "(n = 5)", 3) == ("cpp (n = 5)",)
    assert titled(["cpp −", "python"], "(n = 5 and 6)", 3) == ("cpp − python (n = 5 and 6)",)
    assert titled(["a" * 20, "b"], "(n = 5)", 2) == ("a" * 20, "b (n = 5)")
