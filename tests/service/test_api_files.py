"""The files of finished jobs: what stands in them, and how they are served."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session, sessionmaker
from starlette.types import Message

from app import export, files, jobs
from app.api import results
from app.api.middleware import HEAD
from app.api.results import content_disposition
from app.errors import JobNotFound
from app.main import make_service
from app.settings import Settings
from app.tables import Job, Model
from app.vocabulary import COMPONENTS, METRICS, SCOPES, STATISTIC_COLUMNS
from tests.service.counting import statements
from tests.service.finished_job import ERROR, LAYERS, MEASURED_WITH, finished_job, layer_row
from tests.service.jobs_by_hand import must_claim, submit
from tests.service.serving import serving

NAMES = (
    *("results.csv", "results.json", "texts.csv", "texts.ndjson", "transitions.csv"),
    *("comparison.csv", "comparison.json", "first_token.csv", "first_token.json"),
    *("results.parquet", "texts.parquet", "comparison.parquet"),
)


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def cell(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else repr(float(value))


def path(job_id: UUID, name: str) -> str:
    return f"/v1/jobs/{job_id}/{name}"


def test_results_csv_has_a_row_for_each_place_in_order(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions, [("zeta", "a"), ("Alpha", "b"), ("-minus", "c")])
    answer = api.get(path(job.id, "results.csv"))
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.text.split("\r\n")[0] == ",".join(
        ("domain", "scope", "component", "layer", "texts", "tokens", *STATISTIC_COLUMNS)
    )
    assert answer.text.endswith("\r\n")
    expected = [
        layer_row(job.id, domain, scope, component, layer)
        for domain in ("*", "-minus", "Alpha", "zeta")
        for scope in ("all", "rest", "first")
        for component in ("block", "attention", "mlp")
        for layer in range(LAYERS)
    ]
    for row, want in zip(rows_of(answer), expected, strict=True):
        guarded = "'-minus" if want["domain"] == "-minus" else want["domain"]
        assert (row["domain"], row["scope"], row["component"]) == (guarded, want["scope"], want["component"])
        assert (int(row["layer"]), int(row["texts"]), int(row["tokens"])) == (
            want["layer"],
            want["texts"],
            want["tokens"],
        )
        assert [row[name] for name in STATISTIC_COLUMNS] == [cell(want[name]) for name in STATISTIC_COLUMNS]


def test_results_json_holds_the_job_and_the_same_rows(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions)
    results = api.get(path(job.id, "results.json")).json()
    assert results["provenance"]["measured_with"] == MEASURED_WITH
    assert results["job"] == api.get(f"/v1/jobs/{job.id}").json()
    from_csv = rows_of(api.get(path(job.id, "results.csv")))
    assert [list(row) for row in results["layers"]] == [list(row) for row in from_csv]
    for ours, theirs in zip(results["layers"], from_csv, strict=True):
        assert [cell(ours[name]) for name in STATISTIC_COLUMNS] == [
            theirs[name] for name in STATISTIC_COLUMNS
        ]


@pytest.mark.parametrize("components", [COMPONENTS, ("attention",), ("block", "mlp")])
def test_texts_csv_has_the_values_of_each_text_and_the_error_of_a_failed_one(
    api: httpx.Client, sessions: sessionmaker[Session], components: tuple[str, ...]
) -> None:
    texts = [("cpp", "a"), ("-x", "b"), ("cpp", "c"), ("cpp", "d")]
    job = finished_job(sessions, texts, failing=[2], components=components)
    rows = iter(rows_of(api.get(path(job.id, "texts.csv"))))
    for ordinal, (domain, _) in enumerate(texts):
        if ordinal == 2:
            failed = next(rows)
            assert failed == dict.fromkeys(export.TEXTS_COLUMNS, "") | {
                "ordinal": "2",
                "domain": "cpp",
                "error": f"'{ERROR}",
            }
            continue
        for s, scope in enumerate(SCOPES):
            for c, component in enumerate(components):
                for layer in range(LAYERS):
                    values = [cell(value) for value in job.values[ordinal][c, s, layer]]
                    assert next(rows) == {
                        "ordinal": str(ordinal),
                        "domain": "'-x" if domain == "-x" else domain,
                        "tokens": str(ordinal + 1),
                        "truncated": "true" if ordinal == 1 else "false",
                        "error": "",
                        "scope": scope,
                        "component": component,
                        "layer": str(layer),
                        **dict(zip(METRICS, values, strict=True)),
                    }
    assert next(rows, None) is None


def test_texts_ndjson_has_the_same_rows(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job = finished_job(sessions, [("finance", "a"), ("-nan", "b"), ("c", "c")], failing=[2])
    answer = api.get(path(job.id, "texts.ndjson"))
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    rows = [json.loads(line, parse_constant=pytest.fail) for line in answer.text.splitlines()]
    from_csv = rows_of(api.get(path(job.id, "texts.csv")))
    assert [list(row) for row in rows] == [list(export.TEXTS_COLUMNS)] * len(from_csv)
    for row, theirs in zip(rows, from_csv, strict=True):
        if row["error"] is not None:
            assert row["error"] == ERROR
            continue
        ours = {name: "" if value is None else str(value) for name, value in row.items()}
        written = {
            "truncated": theirs["truncated"].capitalize(),
            "domain": theirs["domain"].removeprefix("'"),
        }
        assert ours == theirs | written


def test_transitions_are_the_block_deltas_from_layer_1_on(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions, [("cpp", "a"), ("python", "b")])
    rows = rows_of(api.get(path(job.id, "transitions.csv")))
    assert list(rows[0]) == ["domain", "layer", "mean_delta", "var_delta", "abs_mean_delta", "var_abs_delta"]
    assert [(row["domain"], int(row["layer"])) for row in rows] == [
        (domain, i) for domain in ("*", "cpp", "python") for i in range(LAYERS - 1)
    ]
    for row in rows:
        want = layer_row(job.id, row["domain"], "all", "block", int(row["layer"]) + 1)
        assert row["mean_delta"] == cell(want["delta_mean"])
        assert row["abs_mean_delta"] == cell(want["delta_abs_mean"])
        if row["domain"] == "*":
            assert float(row["var_delta"]) == want["delta_mean_var"] * 2 / 3
            assert float(row["var_abs_delta"]) == want["delta_abs_mean_var"] * 2 / 3
        else:
            assert (row["var_delta"], row["var_abs_delta"]) == ("0.0", "0.0")


def test_transitions_need_the_block_component(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job = finished_job(sessions, components=["attention", "mlp"])
    for _ in range(2):
        answer = api.get(path(job.id, "transitions.csv"))
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:layerscope:problem:file-not-found")
        assert "block" in answer.json()["detail"]


def test_files_wait_for_the_end(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    must_claim(sessions)
    for name in NAMES:
        answer = api.get(path(job_id, name))
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:layerscope:problem:job-not-finished")
        assert int(answer.headers["Retry-After"]) > 0


def test_a_cancelled_job_has_the_files_of_what_was_measured(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    untouched = submit(sessions, [("cpp", "a")])
    api.post(f"/v1/jobs/{untouched}/cancel")
    assert rows_of(api.get(path(untouched, "results.csv"))) == []
    assert rows_of(api.get(path(untouched, "texts.csv"))) == []
    assert api.get(path(untouched, "results.json")).json()["layers"] == []
    job = finished_job(sessions, outcome="cancelled")
    assert len(rows_of(api.get(path(job.id, "results.csv")))) == 3 * 3 * 3 * LAYERS


@pytest.mark.parametrize("name", ["transitions.parquet", "comparison.xlsx"])
def test_files_that_are_not_offered_are_not_found(
    api: httpx.Client, sessions: sessionmaker[Session], name: str
) -> None:
    answer = api.get(path(finished_job(sessions).id, name))
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_a_length_a_strong_etag_and_ranges(
    api: httpx.Client, sessions: sessionmaker[Session], name: str
) -> None:
    address = path(finished_job(sessions, name="first").id, name)
    whole = api.get(address)
    assert int(whole.headers["Content-Length"]) == len(whole.content)
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(r'"[^"]+"', whole.headers["ETag"])
    assert whole.headers["Content-Disposition"] == f'attachment; filename="first-{name}"'

    head = api.head(address)
    assert (head.status_code, head.content) == (200, b"")
    same = ("Content-Length", "ETag", "Content-Type", "Content-Disposition", "Accept-Ranges")
    assert [head.headers[header] for header in same] == [whole.headers[header] for header in same]

    for known in (whole.headers["ETag"], f'"other", W/{whole.headers["ETag"]}', "*"):
        unchanged = api.get(address, headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["ETag"] == whole.headers["ETag"]
    assert api.get(address, headers={"If-None-Match": '"other"'}).status_code == 200

    rest = api.get(address, headers={"Range": "bytes=10-", "If-Range": whole.headers["ETag"]})
    assert (rest.status_code, rest.content) == (206, whole.content[10:])
    assert rest.headers["Content-Range"] == f"bytes 10-{len(whole.content) - 1}/{len(whole.content)}"
    assert api.get(address, headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert api.get(address, headers={"Range": "bytes=10-", "If-Range": '"other"'}).content == whole.content


def test_a_range_behind_the_end_is_a_problem_and_an_unreadable_one_is_none(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    address = path(finished_job(sessions).id, "results.csv")
    size = len(api.get(address).content)
    behind = api.get(address, headers={"Range": f"bytes={size}-"})
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert behind.headers["Content-Type"] == "application/problem+json"
    for unreadable in ("bytes", "lines=1-2", "bytes=a-b", "bytes=9-1"):
        assert api.get(address, headers={"Range": unreadable}).status_code == 200, unreadable


def test_bytes_and_etags_are_those_of_any_other_machine(
    api: httpx.Client, settings: Settings, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions)
    here = [api.get(path(job.id, name)) for name in NAMES]
    with serving(settings) as url, httpx.Client(base_url=url) as elsewhere:
        there = [elsewhere.get(path(job.id, name)) for name in NAMES]
    for one, other in zip(here, there, strict=True):
        assert (one.content, one.headers["ETag"]) == (other.content, other.headers["ETag"])


def test_a_job_that_no_worker_took_has_the_same_files_for_ever(
    api: httpx.Client, settings: Settings, sessions: sessionmaker[Session]
) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    api.post(f"/v1/jobs/{job_id}/cancel")
    before = api.get(path(job_id, "results.json")).content
    with sessions.begin() as session:
        session.add(Model(name="demo", measured_with=MEASURED_WITH))
    with serving(settings) as url:
        assert httpx.get(f"{url}{path(job_id, 'results.json')}").content == before


def test_head_reads_no_file(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("a")
    sent: list[Message] = []

    async def note(message: Message) -> None:
        sent.append(message)

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "headers": [], HEAD: True, "asgi": {"spec_version": "2.4"}}
    asyncio.run(results.StableFile(file)(scope, nothing, note))
    assert [message.get("body", b"") for message in sent] == [b"", b""]


def test_many_first_requests_at_once_get_one_file(
    api: httpx.Client, api_settings: Settings, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions, [("cpp", "a")] * 200)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.get(path(job.id, "texts.csv")), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(list((api_settings.home / "files" / str(job.id)).iterdir())) == 1


@pytest.mark.parametrize("piece", ["", "a"], ids=["the row alone", "the row and its folder"])
def test_a_job_deleted_while_its_file_is_written_leaves_none(
    settings: Settings, sessions: sessionmaker[Session], piece: str
) -> None:
    job_id = finished_job(sessions).id
    service = make_service(settings, CollectorRegistry())

    def deleting(*_: object) -> Generator[str, None, None]:
        with sessions.begin() as session:
            jobs.delete_job(session, job_id)
        if piece:
            files.remove(settings.home, job_id)
        yield piece

    with pytest.raises(JobNotFound):
        results._write(results.JobFile("results.csv", "text/csv", deleting), service, job_id)
    service.engine.dispose()
    assert not files.folder_of(settings.home, job_id).exists()


@pytest.mark.parametrize("pieces", [export.results_csv, export.texts_csv, export.transitions_csv])
def test_an_export_takes_one_statement_however_many_texts_there_are(
    sessions: sessionmaker[Session], engine: Engine, pieces: export.Pieces
) -> None:
    for texts in (1, 500):
        job_id = finished_job(sessions, [("cpp", "a")] * texts).id
        with sessions.begin() as session:
            job = jobs.get(session, job_id)
            with statements(engine) as executed:
                assert "".join(pieces(session, job)).count("\r\n") > 1
        assert len(executed) == 1


@pytest.mark.parametrize(
    "name", ["</script><svg onload=1>", 'a"; b', "../../etc/passwd", "\u202egpj.exe", "日本"]
)
def test_a_file_is_named_after_its_job_whatever_that_is_called(
    api: httpx.Client, sessions: sessionmaker[Session], name: str
) -> None:
    answer = api.get(path(finished_job(sessions, name=name).id, "results.csv"))
    assert answer.status_code == 200
    assert "/" not in filename_of(answer.headers["Content-Disposition"])


def filename_of(disposition: str) -> str:
    """As RFC 6266 has it: the extended one where both are there."""
    plain, _, true = disposition.removeprefix("attachment; filename=").partition("; filename*=UTF-8''")
    return unquote(true) if true else plain.strip('"')


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=100))
@example("../.bashrc")
@example(" .. a")
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    header = content_disposition(f"{name}-results.csv")
    assert re.fullmatch(r'attachment; filename="[ !#-~]+"(; filename\*=UTF-8\'\'[A-Za-z0-9%._~-]+)?', header)
    filename = filename_of(header)
    assert filename.endswith("-results.csv")
    assert not set(filename) & set('/\\:*?"<>|')
    assert not filename.startswith(".")
    if not set(name) & set('/\\:*?"<>|') and not name.startswith((" ", ".")):
        assert filename == f"{name}-results.csv"


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(
    name=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=100
    )
)
def test_any_name_is_served(api: httpx.Client, sessions: sessionmaker[Session], name: str) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    api.post(f"/v1/jobs/{job_id}/cancel")
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(name=name.replace("\0", "")))
    assert api.get(path(job_id, "results.csv")).status_code == 200


def test_head_answers_for_the_whole_file(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job = finished_job(sessions, [("cpp", "a")])
    whole = api.get(path(job.id, "results.csv"))
    head = api.head(path(job.id, "results.csv"), headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole.content)))
