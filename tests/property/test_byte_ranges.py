"""The reader of the header Range: any header gives ranges of the file, the whole file, or the error 416."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.api.byte_ranges import LARGEST_NUMBER, read_ranges
from app.errors import RangeNotSatisfiable

SIZES = st.integers(0, 40)
POSITIONS = st.integers(0, 50)
ITEMS = st.tuples(POSITIONS, st.none() | POSITIONS) | st.tuples(st.none(), POSITIONS)
PARTS = ("bytes", "=", "-", ",", " ", "\t", "0", "9", "10", "x", "+", "_", ";", "\u00b2", "9" * 90)


def written(item: tuple[int | None, int | None]) -> str:
    first, last = item
    return f"{'' if first is None else first}-{'' if last is None else last}"


@given(
    st.text(max_size=60) | st.lists(st.sampled_from(PARTS), max_size=30).map("".join).map("bytes=".__add__),
    SIZES,
)
def test_any_header_is_read(header: str, size: int) -> None:
    try:
        ranges = read_ranges(header, size)
    except RangeNotSatisfiable:
        return
    assert_in_order(ranges, size)


def assert_in_order(ranges: list[tuple[int, int]], size: int) -> None:
    assert all(0 <= start < end <= size for start, end in ranges)
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


@given(st.lists(ITEMS, min_size=1, max_size=6), st.integers(1, 40))
def test_ranges_contain_the_bytes_of_rfc_9110(items: list[tuple[int | None, int | None]], size: int) -> None:
    """The bytes of each range, one by one. A range whose end is before its start makes the header invalid."""
    valid = not any(first is not None and last is not None and last < first for first, last in items)
    expected = {byte for item in items for byte in bytes_of(*item, size)}
    try:
        ranges = read_ranges("bytes=" + ", ".join(map(written, items)), size)
    except RangeNotSatisfiable:
        assert valid
        assert not expected
        return
    assert_in_order(ranges, size)
    found = {byte for start, end in ranges for byte in range(start, end)}
    assert found == (expected if valid else set())
    assert bool(ranges) == valid


def bytes_of(first: int | None, last: int | None, size: int) -> set[int]:
    if first is None:
        assert last is not None
        return {byte for byte in range(size) if byte >= size - last}
    return {byte for byte in range(size) if byte >= first and (last is None or byte <= last)}


@given(st.lists(ITEMS, min_size=1, max_size=6))
def test_an_empty_file_is_sent_whole(items: list[tuple[int | None, int | None]]) -> None:
    assert read_ranges("bytes=" + ",".join(map(written, items)), 0) == []


@given(st.integers(1, 3 * LARGEST_NUMBER))
def test_a_header_with_too_many_ranges_is_answered_with_the_whole_file(number: int) -> None:
    header = "bytes=" + ",".join(f"{2 * i}-{2 * i}" for i in range(number))
    assert len(read_ranges(header, 6 * LARGEST_NUMBER)) == (number if number <= LARGEST_NUMBER else 0)
