"""Cells: numbers round-trip, texts can't be formulas, no value is none."""

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.files import cache
from app.files.export import Cell, csv_line, json_object, population_variance, safe_cell

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    " \t=1",
    "＝1",
    "-x",
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    assert safe_cell(text) == "'" + text
    assert next(csv.reader([csv_line([text])])) == ["'" + text] or "\n" in text or "\r" in text


@pytest.mark.parametrize("text", ["", " ", "a=1", "cpp", "*", "'=1", "1-1", "c++"])
def test_any_other_text_stays(text: str) -> None:
    assert safe_cell(text) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_round_trip_and_are_never_quoted(number: float) -> None:
    assert csv_line([number]) == f"{number!r}\r\n"
    assert json.loads(json_object({"a": number})) == {"a": number}


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_no_value_is_empty_in_csv_and_null_in_json(missing: float | None) -> None:
    assert csv_line(["a", missing, 1]) == "a,,1\r\n"
    assert json_object({"a": missing}) == '{"a": null}'


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1))
def test_any_text_comes_back_from_a_line_of_csv(cells: list[Cell]) -> None:
    (row,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert row == [safe_cell(str(cell)) for cell in cells]


@pytest.mark.parametrize(
    ("variance", "texts", "expected"), [(3.0, 3, 2.0), (None, 1, 0.0), (None, 0, None), (0.0, 5, 0.0)]
)
def test_population_variance(variance: float | None, texts: int, expected: float | None) -> None:
    assert population_variance(variance, texts) == expected


def test_a_file_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    def breaking() -> Iterator[str]:
        yield "a"
        raise RuntimeError

    path = tmp_path / "job" / "results.csv"
    with pytest.raises(RuntimeError):
        cache.write(path, breaking())
    assert list(path.parent.iterdir()) == []
    cache.write(path, ["a\r\n", "é"])
    assert path.read_bytes() == "a\r\né".encode()
    assert list(path.parent.iterdir()) == [path]
