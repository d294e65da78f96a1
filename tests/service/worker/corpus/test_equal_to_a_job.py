"""The files of a corpus are those of a job with the same texts, to the last digit. Without Ray."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from app.files.comparison import comparison_csv, comparison_json
from app.files.first_token import first_token_csv
from app.files.massive_tokens import massive_tokens_csv, massive_tokens_json
from app.files.parquet import comparison_parquet, results_parquet, texts_parquet
from app.files.results import results_csv
from app.files.transitions import transitions_csv
from app.jobs import shards, store
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft, StoredText
from app.jobs.view import present_one
from app.schemas import Options
from app.tables import Job
from layerscope.core import load_model
from tests.support.jobs.contexts import context_of
from tests.support.jobs.corpora import BAD_LINES, lines_of, measure_corpus, task_of, write_lines
from tests.support.jobs.jobs_by_hand import MODEL, claim
from tests.support.models.tiny import add_massive_activation, causal_model, save
from worker.corpus.storage import Storage
from worker.finalization.finalize import finalize_jobs
from worker.measurement.shard import measure, new_work
from worker.observation.step_times import StepTimes
from worker.runtime.lease import Lease

Sessions = sessionmaker[Session]
CSV: dict[str, Callable[[Session, Job], Iterator[str]]] = {
    "results.csv": results_csv,
    "comparison.csv": comparison_csv,
    "transitions.csv": transitions_csv,
    "first_token.csv": first_token_csv,
    "massive_tokens.csv": massive_tokens_csv,
}
JSON = {"comparison.json": comparison_json, "massive_tokens.json": massive_tokens_json}
PARQUET = {"results.parquet": results_parquet, "comparison.parquet": comparison_parquet}
WITHOUT = {"job": None, "provenance": None}  # they name the job, its times and its links
TEXTS_PER_SHARD = 8
ERRORS = (
    ("cpp", "the text is a number, not a string, token ids or messages"),
    ("python", "the text is empty or contains only white space"),
    ("texts", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """With another number of threads the last digits of a matrix product differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = causal_model()
    add_massive_activation(model)
    return save(model, tmp_path_factory.mktemp("model"))


def job_of_the_service(
    sessions: Sessions, redis: Redis, folder: Path, texts: list[StoredText], options: dict[str, Any]
) -> UUID:
    """Submitted, measured shard by shard, and finalized by the functions of the service."""
    with sessions.begin() as session:
        draft = Draft(model=MODEL, options=Options.model_validate(options).model_dump(mode="json"))
        job_id = store.submit(session, draft, texts, ShardSize(10**9, TEXTS_PER_SHARD))[0].id
    context = context_of(load_model(folder, dtype="float32", device="cpu"), sessions, redis)
    while (claimed := claim(sessions)) is not None:
        with sessions.begin() as session:
            stored = shards.texts(session, claimed)
        with Lease(context, claimed) as lease:
            work = new_work(context, claimed, stored, StepTimes())
            measured = measure(context, claimed, stored, lease, work)
        with sessions.begin() as session:
            shards.commit(session, claimed, measured)
    finalize_jobs(sessions, MODEL)
    return job_id


def table_of(content: bytes) -> pa.Table:
    table: Any = pq.read_table(io.BytesIO(content))
    return table.replace_schema_metadata()  # the provenance names the job


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"analyses": ["ablation", "activations"], "analysis_texts": 5},
        {"max_tokens": 40, "overflow": "fail", "components": ["block", "mlp"]},
        {"window": 20},
    ],
    ids=["defaults", "analyses", "overflow", "window"],
)
def test_every_file_equals_that_of_a_job(
    sessions: Sessions, redis: Redis, tmp_path: Path, model_folder: Path, options: dict[str, Any]
) -> None:
    lines = lines_of(150)
    texts = [StoredText(line["domain"], line["text"]) for line in lines]
    texts += [StoredText(domain, "", None, None, error) for domain, error in ERRORS]
    job_id = job_of_the_service(sessions, redis, model_folder, texts, options)
    source = write_lines(tmp_path / "texts.jsonl", lines, BAD_LINES)
    task = task_of(source, tmp_path / "out", model_folder, texts_per_shard=TEXTS_PER_SHARD, **options)
    storage = measure_corpus(task)
    with sessions() as session:
        job = session.get_one(Job, job_id)
        for name, csv_of in CSV.items():
            assert storage.read(name).decode() == "".join(csv_of(session, job)), name
        state = present_one(session, job, {})
        for name, json_of in JSON.items():
            found, expected = (
                json.loads(storage.read(name)),
                json.loads("".join(json_of(session, job, state))),
            )
            assert found | WITHOUT == expected | WITHOUT, name
        for name, parquet_of in PARQUET.items():
            expected = table_of(b"".join(parquet_of(session, job)))
            assert table_of(storage.read(name)).equals(expected), name
        expected = table_of(b"".join(texts_parquet(session, job)))
    assert texts_of(storage).equals(expected)


def texts_of(storage: Storage) -> pa.Table:
    parts = sorted(storage.names("texts"))
    assert len(parts) > 1
    return pa.concat_tables([table_of(storage.read(f"texts/{part}")) for part in parts])


def test_bad_rows_are_failed_texts_with_their_reasons(tmp_path: Path, model_folder: Path) -> None:
    long = {"domain": "cpp", "text": "x" * 60}
    source = write_lines(tmp_path / "texts.jsonl", [*lines_of(20, longest=3), long], BAD_LINES)
    storage = measure_corpus(
        task_of(source, tmp_path / "out", model_folder, texts_per_shard=1, max_tokens=50, overflow="fail")
    )
    rows = texts_of(storage).to_pylist()
    failed = {row["ordinal"]: (row["domain"], row["error"]) for row in rows if row["error"] is not None}
    assert failed.pop(20)[1].startswith("the text has 61 tokens, more than the limit of 50")
    assert failed == dict(enumerate(ERRORS, start=21))
    job = json.loads(storage.read("results.json"))["job"]
    assert job["progress"] | {"tokens": 0} == {"texts": 24, "done": 20, "failed": 4, "tokens": 0}
    assert job["domains"]["texts"] == {"texts": 1, "done": 0, "failed": 1}
