"""Reads the header Range (RFC 9110, section 14)."""

import re
from collections.abc import Iterable

from app.errors import RangeNotSatisfiable

LARGEST_NUMBER = 100  # of ranges; more are answered with the whole file

# Positions of 80 digits are more than any file has, and their conversion to an integer is fast.
_HEADER = re.compile(r"bytes=([0-9, \t-]*)", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{0,80})-([0-9]{0,80})")

Ranges = list[tuple[int, int]]


def read_ranges(header: str, size: int) -> Ranges:
    """The ranges of a file of `size` bytes, as (start, end): sorted, not empty, and without overlaps.

    Ranges after the end of the file are ignored if others are not. An empty list stands for the whole file:
    the header cannot be read, has too many ranges, or the file is empty.

    Raises: RangeNotSatisfiable if all ranges are after the end of the file.
    """
    given = _parsed(header, size)
    if not given or len(given) > LARGEST_NUMBER or not size:
        return []
    found = sorted((start, min(end, size)) for start, end in given if start < min(end, size))
    if not found:
        raise RangeNotSatisfiable(f"The file has {size} bytes.", headers={"Content-Range": f"bytes */{size}"})
    return _merged(found)


def _parsed(header: str, size: int) -> Ranges:
    """The ranges as given; none if one of them is invalid. The last ranges of a file count from its end."""
    matched = _HEADER.fullmatch(header.strip())
    ranges: Ranges = []
    for item in filter(None, map(str.strip, matched[1].split(",") if matched else ())):
        positions = _RANGE.fullmatch(item)
        if positions is None or positions[0] == "-":
            return []
        first, last = positions.groups()
        if not first:
            ranges.append((max(size - int(last), 0), size))
        elif not last:
            ranges.append((int(first), size))
        elif int(first) <= int(last):
            ranges.append((int(first), int(last) + 1))
        else:
            return []
    return ranges


def _merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted ranges, in which those that overlap or touch have become one."""
    merged: Ranges = []
    for start, end in ranges:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
