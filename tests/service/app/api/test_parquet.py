"""Parquet over HTTP has the columns, order and values of the CSV files, and common libraries read it."""

import csv
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import httpx
import pandas
import polars
import pyarrow.parquet as pq
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.files import parquet
from app.tables import Job
from tests.support.jobs.lognormal_job import lognormal_job

Sessions = sessionmaker[Session]
TABLES = ("results", "texts", "comparison")
DOMAINS = {"a": 4, "b": 5}
FAILING = (2,)


def address(job_id: UUID, name: str) -> str:
    return f"/v1/jobs/{job_id}/{name}"


def table_of(api: httpx.Client, job_id: UUID, name: str) -> Any:
    answer = api.get(address(job_id, f"{name}.parquet"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
    return pq.read_table(io.BytesIO(answer.content))


def cells(row: dict[str, Any]) -> dict[str, str]:
    """The cells of a CSV file."""
    return {name: "" if value is None else _cell(value) for name, value in row.items()}


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("options", [{}, {"special_tokens": "literal"}], ids=["older job", "job"])
@pytest.mark.parametrize("name", TABLES)
def test_a_parquet_file_has_the_columns_rows_and_values_of_the_csv(
    api: httpx.Client, sessions: Sessions, name: str, options: dict[str, str]
) -> None:
    job_id, _ = lognormal_job(sessions, DOMAINS, FAILING, **options)
    text = api.get(address(job_id, f"{name}.csv")).text
    expected = list(csv.DictReader(io.StringIO(text, newline="")))
    table = table_of(api, job_id, name)
    assert table.column_names == list(expected[0])
    assert [cells(row) for row in table.to_pylist()] == expected
    assert not any(str(field.type) == "null" for field in table.schema)


def test_a_file_with_many_row_groups_has_the_same_rows(
    api: httpx.Client, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, _ = lognormal_job(sessions, DOMAINS, FAILING)
    whole = {name: table_of(api, job_id, name) for name in TABLES}
    monkeypatch.setattr(parquet, "ROWS_PER_BATCH", 7)
    monkeypatch.setattr(parquet, "TEXTS_PER_BATCH", 2)
    with sessions.begin() as session:
        job = session.get_one(Job, job_id)
        for name, pieces in zip(
            TABLES, (parquet.results_parquet, parquet.texts_parquet, parquet.comparison_parquet), strict=True
        ):
            file = pq.ParquetFile(io.BytesIO(b"".join(pieces(session, job))))
            assert file.num_row_groups > 3
            assert file.read().equals(whole[name])


def test_the_metadata_contains_the_provenance(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, DOMAINS)
    with sessions.begin() as session:
        job = session.get_one(Job, job_id)
        request, options, facts = job.request_sha256.hex(), job.options, job.measured_with
    for name in TABLES:
        said = json.loads(table_of(api, job_id, name).schema.metadata[b"provenance"])
        assert (said["job"], said["request_sha256"], said["options"]) == (str(job_id), request, options)
        assert said["measured_with"] == facts
        assert "welch" in said["estimators"]["difference"].lower()


@pytest.mark.parametrize("name", TABLES)
def test_pandas_polars_and_duckdb_read_it(
    api: httpx.Client, sessions: Sessions, name: str, tmp_path: Path
) -> None:
    """Pandas reads the URL. Polars and DuckDB read a local file: for URLs they download extensions."""
    job_id, _ = lognormal_job(sessions, DOMAINS, FAILING)
    rows = table_of(api, job_id, name).num_rows
    url = str(api.base_url.join(address(job_id, f"{name}.parquet")))
    assert len(pandas.read_parquet(url)) == rows
    file = tmp_path / f"{name}.parquet"
    file.write_bytes(api.get(url).content)
    assert len(polars.read_parquet(file)) == rows
    with duckdb.connect() as database:
        assert database.execute(f"select count(*) from '{file}'").fetchall() == [(rows,)]


def test_a_job_without_values_contains_its_errors(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 2}, failing=(0, 1))
    assert table_of(api, job_id, "results").num_rows == table_of(api, job_id, "comparison").num_rows == 0
    texts = table_of(api, job_id, "texts").to_pylist()
    assert [(row["ordinal"], row["error"], row["delta_mean"]) for row in texts] == [
        (0, "it would not", None),
        (1, "it would not", None),
    ]
