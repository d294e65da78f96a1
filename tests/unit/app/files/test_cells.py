"""Cells: numbers round-trip, texts cannot be formulas, a missing value is empty or null."""

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.files.cells import Cell, csv_line, json_object, safe_cell

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
def test_a_text_that_a_spreadsheet_would_execute_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == "'" + text
    assert next(csv.reader([csv_line([text])])) == ["'" + text] or "\n" in text or "\r" in text


@pytest.mark.parametrize("text", ["", " ", "a=1", "cpp", "*", "'=1", "1-1", "c++"])
def test_any_other_text_is_unchanged(text: str) -> None:
    assert safe_cell(text) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_round_trip_and_are_never_quoted(number: float) -> None:
    assert csv_line([number]) == f"{number!r}\r\n"
    assert json.loads(json_object({"a": number})) == {"a": number}


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_a_missing_value_is_empty_in_csv_and_null_in_json(missing: float | None) -> None:
    assert csv_line(["a", missing, 1]) == "a,,1\r\n"
    assert json_object({"a": missing}) == '{"a": null}'


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1))
def test_any_text_round_trips_through_a_line_of_csv(cells: list[Cell]) -> None:
    (row,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert row == [safe_cell(str(cell)) for cell in cells]
