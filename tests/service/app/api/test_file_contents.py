"""The contents of the files of finished jobs."""

import json
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.files.results import results_csv
from app.files.texts import texts_csv
from app.files.transitions import transitions_csv
from app.jobs import store
from app.tables import Job
from layerscope.names import COMPONENTS, METRICS, SCOPES, STATISTIC_COLUMNS, TEXTS_COLUMNS
from tests.support.databases.counting import statements
from tests.support.http.over_http import path, rows_of
from tests.support.jobs.finished_job import ERROR, finished_job, layer_row
from tests.support.jobs.jobs_by_hand import LAYERS, MEASURED_WITH, submit


def cell(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else repr(float(value))


def test_results_csv_has_a_row_for_each_combination_in_order(
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
        for scope in ("all", "rest", "first", "typical")
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


def test_results_json_contains_the_job_and_the_same_rows(
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
            assert failed == dict.fromkeys((*TEXTS_COLUMNS, "massive_tokens"), "") | {
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
                        "massive_tokens": "1",
                    }
    assert next(rows, None) is None


def test_texts_of_a_job_with_the_option_state_their_special_tokens_last(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    texts = [("cpp", "a"), ("python", "b"), ("cpp", "c")]
    before, after = (
        finished_job(sessions, texts, failing=[2], special_tokens=s, scopes=SCOPES[:3])
        for s in (None, "literal")
    )
    lines, longer = (api.get(path(job.id, "texts.csv")).text.split("\r\n") for job in (before, after))
    assert lines[0] + ",special_tokens_added" == longer[0]
    cells = [line.rsplit(",", 1) for line in longer[:-1]]
    assert [rest for rest, _ in cells] == lines[:-1]  # the files of older jobs keep their bytes
    ordinals = [line.split(",")[0] for line in lines[1:-1]]
    assert [added for _, added in cells[1:]] == ["" if ordinal == "2" else ordinal for ordinal in ordinals]
    rows = [json.loads(line) for line in api.get(path(after.id, "texts.ndjson")).text.splitlines()]
    assert [list(row) for row in rows] == [longer[0].split(",")] * len(rows)
    assert [row["special_tokens_added"] for row in rows] == [
        None if ordinal == "2" else int(ordinal) for ordinal in ordinals
    ]
    old_rows = [json.loads(line) for line in api.get(path(before.id, "texts.ndjson")).text.splitlines()]
    assert [{**row, "special_tokens_added": None} for row in old_rows] == [
        {**row, "special_tokens_added": None} for row in rows
    ]


@pytest.mark.parametrize("special_tokens", [None, "literal"])
def test_a_job_from_before_scope_typical_keeps_its_three_scopes(
    api: httpx.Client, sessions: sessionmaker[Session], special_tokens: str | None
) -> None:
    job = finished_job(sessions, scopes=("all", "rest", "first"), special_tokens=special_tokens)
    for name in ("results.csv", "texts.csv"):
        rows = rows_of(api.get(path(job.id, name)))
        assert {row["scope"] for row in rows} == {"all", "rest", "first"}
        assert "massive_tokens" not in rows[0]
    assert rows_of(api.get(path(job.id, "massive_tokens.csv"))) == []
    assert "scope rest" in api.get(f"/v1/jobs/{job.id}/plots/relative.svg").text
    provenance = api.get(path(job.id, "results.json")).json()["provenance"]
    assert provenance["scopes"] == ["all", "rest", "first"]


def test_a_job_from_before_the_option_does_not_show_it(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    before, after = (finished_job(sessions, special_tokens=s) for s in (None, "parse"))
    assert "special_tokens" not in api.get(f"/v1/jobs/{before.id}").json()["options"]
    assert "special_tokens" not in api.get(path(before.id, "results.json")).text
    assert api.get(f"/v1/jobs/{after.id}").json()["options"]["special_tokens"] == "parse"


def test_texts_ndjson_has_the_same_rows(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job = finished_job(sessions, [("finance", "a"), ("-nan", "b"), ("c", "c")], failing=[2])
    answer = api.get(path(job.id, "texts.ndjson"))
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    rows = [json.loads(line, parse_constant=pytest.fail) for line in answer.text.splitlines()]
    from_csv = rows_of(api.get(path(job.id, "texts.csv")))
    assert [list(row) for row in rows] == [[*TEXTS_COLUMNS, "massive_tokens"]] * len(from_csv)
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


def test_transitions_are_the_block_deltas_after_layer_0(
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


def test_the_files_of_a_cancelled_job_contain_what_was_measured(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    untouched = submit(sessions, [("cpp", "a")])
    api.post(f"/v1/jobs/{untouched}/cancel")
    assert rows_of(api.get(path(untouched, "results.csv"))) == []
    assert rows_of(api.get(path(untouched, "texts.csv"))) == []
    assert api.get(path(untouched, "results.json")).json()["layers"] == []
    job = finished_job(sessions, outcome="cancelled")
    assert len(rows_of(api.get(path(job.id, "results.csv")))) == 3 * len(SCOPES) * 3 * LAYERS


@pytest.mark.parametrize("pieces", [results_csv, texts_csv, transitions_csv])
def test_a_file_takes_one_statement_for_any_number_of_texts(
    sessions: sessionmaker[Session], engine: Engine, pieces: Callable[[Session, Job], Iterator[str]]
) -> None:
    for texts in (1, 500):
        job_id = finished_job(sessions, [("cpp", "a")] * texts).id
        with sessions.begin() as session:
            job = store.get(session, job_id)
            with statements(engine) as executed:
                assert "".join(pieces(session, job)).count("\r\n") > 1
        assert len(executed) == 1
