"""The width of words, and how they are broken into lines."""

import math
from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from app.plots.drawing.style import FONT

POINTS = 72  # per inch
SEPARATORS = "-._"  # a name is broken behind one of them
DIGIT_HEIGHT = 0.73  # of the font size
LINE_SPACING = 1.3  # font sizes


def width_of(words: str, size: float) -> float:
    """In inches. Kerning is ignored, so the words are at most as wide."""
    return sum(map(advance, words)) * size / POINTS


def line_height(size: float) -> float:
    """In inches."""
    return LINE_SPACING * size / POINTS


@cache
def advance(character: str) -> float:
    """The width of a character, in font sizes."""
    font = get_font(findfont(FontProperties()))
    font.set_size(100, POINTS)
    wide: float = font.load_char(ord(character), flags=LoadFlags.NO_HINTING).linearHoriAdvance
    return wide / 2**16 / 100


@cache
def outline(character: str) -> Path:
    """The outline of a character with the font size 1."""
    return TextPath((0, 0), character, size=1)


def wrapped(sentence: str, size: float, inches: float) -> list[str]:
    """Lines, broken between words."""
    lines = [""]
    for word in sentence.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > inches:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def wrapped_name(name: str, size: float, inches: float, most: int) -> list[str]:
    """At most `most` lines, broken behind a separator if possible; a longer name loses its middle."""
    lines = list(_pieces(name, size, inches))
    if len(lines) <= most:
        return lines
    kept = sum(map(len, lines[:most])) - 1
    while True:
        head = math.ceil(kept / 2)
        lines = list(_pieces(f"{name[:head]}…{name[len(name) - (kept - head) :]}", size, inches))
        if len(lines) <= most:
            return lines
        kept -= 1


def _pieces(name: str, size: float, inches: float) -> Sequence[str]:
    found = []
    while name:
        end = 1
        while end < len(name) and width_of(name[: end + 1], size) <= inches:
            end += 1
        if end < len(name):
            end = _break(name, end)
        found.append(name[:end])
        name = name[end:]
    return found


def _break(name: str, end: int) -> int:
    """The place behind the last separator in the second half of the line, else its end."""
    return max((i for i in range(end // 2 + 1, end + 1) if name[i - 1] in SEPARATORS), default=end)


def titled(names: Sequence[str], note: str, inches: float, most: int = 3) -> tuple[str, ...]:
    """A title: names, each in at most `most` lines, and a note; in one line if there is space."""
    if width_of(" ".join([*names, note]), FONT) <= inches:
        return (" ".join([*names, note]),)
    lines = [line for name in names for line in wrapped_name(name, FONT, inches, most)]
    if width_of(f"{lines[-1]} {note}", FONT) <= inches:
        return (*lines[:-1], f"{lines[-1]} {note}")
    return (*lines, *wrapped(note, FONT, inches))
