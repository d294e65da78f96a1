"""The lines of docs/http.md read the files as they are, also where a reader would guess the types wrongly."""

import ast
import re
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from app.files.cells import csv_text, safe_cell
from app.jobs.state.warnings import about_names
from layerscope.core import Model, load_model
from tests.support.http.over_http import path
from tests.support.jobs.measured_job import measured_job
from tests.support.models.tiny import causal_model, save

Sessions = sessionmaker[Session]
DOCUMENT = (Path(__file__).parents[4] / "docs" / "http.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.partition("## Reading the files")[2].partition("\n## ")[0]
CODE = "".join(re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL))
LINES = [ast.get_source_segment(CODE, statement) or "" for statement in ast.parse(CODE).body]
READERS = {"pandas": pandas, "polars": polars, "duckdb": duckdb}
STRINGS = {
    "texts": ["domain"],
    "results": ["domain"],
    "comparison": ["domain_a", "domain_b"],
    "tokens": ["domain", "token", "lens_top1"],
}
# Domain `01` comes first: a reader that guesses from the first rows takes it for a number. Its text that
# fails comes after 30 others with 48 rows each; only the last text of the job is analysed.
TEXTS = [
    *[("01", "a 1")] * 31,
    ("01", ""),
    *[("2023", "x")] * 3,
    ("None", "NA"),
    ("NA", "null 01 true '=' x=' 'a'"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(save(causal_model(), tmp_path_factory.mktemp("model")))


def line(reader: str, name: str, suffix: str) -> str:
    """The statement of the document, for this file and the columns with strings in it."""
    (found,) = (text for text in LINES if text.startswith(reader) and f"texts.{suffix}" in text)
    found = found.replace(f"texts.{suffix}", f"{name}.{suffix}")
    entry = re.search(r"\W(.domain.: [\w.']+)", found)
    if entry is not None:
        columns = [entry[1].replace("domain", column) for column in STRINGS[name]]
        found = found.replace(entry[1], ", ".join(columns))
    return str(found)


def rows_read_by(reader: str, expression: str) -> list[tuple[Any, ...]]:
    """The rows that the expression gives, with None for a missing value."""
    found = eval(expression, dict(READERS))
    if reader == "polars":
        return list(found.rows())
    if reader == "duckdb":
        return list(found.fetchall())
    rows = found.itertuples(index=False, name=None)
    return [tuple(None if pandas.isna(cell) else cell for cell in row) for row in rows]


def is_same(cell: Any, value: Any, suffix: str, is_float32: bool) -> bool:
    if is_float32 and value is not None:  # the cells of a CSV file are read as float64
        return cell is not None and np.float32(cell) == np.float32(value)
    return bool(cell == (safe_cell(value) if suffix == "csv" and isinstance(value, str) else value))


@pytest.mark.parametrize("name", STRINGS)
def test_every_reader_reads_every_file_as_it_is(
    api: httpx.Client,
    sessions: Sessions,
    redis: Redis,
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    job_id = measured_job(
        model, sessions, redis, TEXTS, analyses=["ablation", "logit_lens", "tokens"], analysis_texts=1
    )
    for suffix in ("csv", "parquet"):
        (tmp_path / f"{name}.{suffix}").write_bytes(api.get(path(job_id, f"{name}.{suffix}")).content)
    monkeypatch.chdir(tmp_path)
    table = pq.read_table(f"{name}.parquet")
    expected = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    float32 = [field.type == pa.float32() for field in table.schema]
    for reader, suffix in product(READERS, ("csv", "parquet")):
        found = rows_read_by(reader, line(reader, name, suffix))
        assert len(found) == len(expected)
        for row, want in zip(found, expected, strict=True):
            for cell, value, is_float32 in zip(row, want, float32, strict=True):
                assert is_same(cell, value, suffix, is_float32), (reader, suffix, cell, value)
    _few_texts, found = api.get(f"/v1/jobs/{job_id}").json()["warnings"]
    assert found == (
        "Readers of CSV files may change the domain names 01, 2023 and 2 more: see docs/http.md."
    )


@pytest.mark.parametrize("tokens", [["''", "a"], ["'a'", "b"], ["''", "x", "='"], ["'", "NA", "1", "true"]])
@pytest.mark.parametrize("reader", READERS)
def test_tokens_with_apostrophes_are_read_as_they_are(
    reader: str, tokens: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cell of this file needs quotation marks, so a reader could take the apostrophe for one."""
    monkeypatch.chdir(tmp_path)
    columns = ["ordinal", "domain", "position", "token", "lens_top1"]
    rows: list[list[Any]] = [
        [0, "a", i, safe_cell(token), safe_cell(token)] for i, token in enumerate(tokens * 5)
    ]
    Path("tokens.csv").write_text(csv_text([columns, *rows]), encoding="utf-8", newline="")
    assert [list(row) for row in rows_read_by(reader, line(reader, "tokens", "csv"))] == rows


NAMES = [
    *("NA", "None", "null", "NULL", "NaN", "nan", "NAN", "inf", "Inf", "infinity"),
    *("01", "2023", "1.5", "1e5", "1e400", ".5", "5.", "0x10", "0b1", "20230101"),
    *("true", "True", "TRUE", "t", "T", "f", "yes", "no", "Yes"),
    *("2023-01-01", "01-02-2023", "2023.01.01", "12.30.2020", "30.12.2020"),
    *("cpp", "1_000", "..", "n.a", "n.a.", "1-2", "2023-01", "1d5", "NA_", "._5", "x1", "a.b", "C", "c-2023"),
    *("na", "none", "NONE", "Null", "y", "N", "None.py", "en", "e5", "infra", "v1.2.3", "1.2.3.4"),
    *("0x1_0", "0xd_0", "x_0", "2023_01"),
]
# DuckDB reads some of these as dates, and others as strings; all have a warning.
TRIPLES = ["1.12.23", "01-31-23", "2.1.10", "1-1-1", "13-13-2023", "99.99.99", "1.2.3", "1.10.3", "0-0-0"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_a_reader_changes_has_a_warning(name: str, tmp_path: Path) -> None:
    """With the default settings of each reader. Other names have no warning."""
    assert bool(about_names([name])) == is_changed(name, tmp_path / "x.csv")


def test_triples_of_numbers_have_a_warning(tmp_path: Path) -> None:
    assert all(about_names([name]) for name in TRIPLES)
    assert any(is_changed(name, tmp_path / "x.csv") for name in TRIPLES)


def is_changed(name: str, file: Path) -> bool:
    """Whether a reader gives something other than this string for a cell that contains it."""
    file.write_text(f"domain,value\r\n{name},1.5\r\n{name},2.5\r\n")
    found = [
        pandas.read_csv(file)["domain"][0],
        polars.read_csv(file)["domain"][0],
        duckdb.read_csv(str(file)).fetchall()[0][0],
    ]
    return any(not isinstance(value, str) or value != name for value in found)


def test_a_name_with_an_apostrophe_has_a_warning() -> None:
    assert about_names(["cpp", "-x"]) == ["In the CSV files an apostrophe precedes the domain name -x."]
    assert about_names(["cpp", "python", "finance", "numbers"]) == []


def test_long_names_are_shortened() -> None:
    assert about_names(["9" * 64]) == [
        "Readers of CSV files may change the domain name 99999999999…: see docs/http.md."
    ]
