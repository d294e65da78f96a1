"""The commands that use a running service, as processes against a real API."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.tables import Job
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.lognormal_job import lognormal_job
from tests.support.programs.command_line import layerscope

Sessions = sessionmaker[Session]


class Shell:
    """A terminal whose commands use the API."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server

    def run(self, *arguments: str, code: int = 0, **variables: str) -> tuple[str, str]:
        environment: Any = {"LAYERSCOPE_SERVER": self.server, **variables}
        done = layerscope(*arguments, cwd=self.folder, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json")[0])


@pytest.fixture
def shell(api: httpx.Client, tmp_path: Path) -> Shell:
    folder = tmp_path / "folder"
    folder.mkdir()
    return Shell(folder, str(api.base_url))


def submit(api: httpx.Client) -> str:
    body = {"model": "demo", "name": "waiting", "texts": {"cpp": ["a", "b"]}}
    return str(api.post("/v1/jobs", json=body).json()["id"])


def test_jobs_are_listed_and_shown(shell: Shell, api: httpx.Client, sessions: Sessions) -> None:
    second = str(finished_job(sessions, name="known").id)
    first = submit(api)
    out, err = shell.run("jobs")
    assert err == ""
    header, *rows = [line.split() for line in out.splitlines()]
    assert header == ["id", "status", "done", "failed", "texts", "model", "name", "created"]
    assert [row[:7] for row in rows] == [
        [first, "queued", "0", "0", "2", "demo", "waiting"],
        [second, "succeeded", "3", "0", "3", "demo", "known"],
    ]
    assert [job["id"] for job in shell.json("jobs", "--status", "queued")] == [first]
    assert len(shell.json("jobs", "--limit", "1")) == 1
    shown, _ = shell.run("show", first)
    for part in (first, "waiting", "queued: 0 of 2 texts", "overflow=truncate", f"/jobs/{first}"):
        assert part in shown
    assert shown.splitlines()[-1].split() == ["cpp", "2", "0", "0"]
    assert shell.json("show", second)["status"] == "succeeded"


def test_watching_ends_with_the_job(shell: Shell, api: httpx.Client, sessions: Sessions) -> None:
    out, err = shell.run("watch", str(finished_job(sessions).id))
    assert "succeeded: 3 of 3 texts" in out
    assert err.startswith("Fewer than 8 texts: ")
    cancelled = submit(api)
    assert shell.json("cancel", cancelled)["status"] == "cancelled"
    out, err = shell.run("watch", cancelled, code=1)
    assert "cancelled: 0 of 2 texts" in out
    assert err == f"The job {cancelled} was cancelled.\n"  # without a text there is nothing to warn about
    _, err = shell.run("cancel", cancelled, code=2)
    assert "cannot be cancelled" in err
    assert shell.run("delete", cancelled)[0] == f"{cancelled} is deleted.\n"
    _, err = shell.run("delete", cancelled, code=2)
    assert err.count("\n") == 1


def test_files_go_to_standard_output_or_to_a_file(
    shell: Shell, api: httpx.Client, sessions: Sessions
) -> None:
    job = str(finished_job(sessions, name="known").id)
    out, err = shell.run("results", job)
    assert (out, err) == (api.get(f"/v1/jobs/{job}/results.csv").text.replace("\r\n", "\r\n"), "")
    assert len(list(csv.DictReader(io.StringIO(out)))) > 100
    assert shell.json("results", job)["job"]["id"] == job
    assert shell.run("results", job, "texts.ndjson")[0] == api.get(f"/v1/jobs/{job}/texts.ndjson").text
    out, err = shell.run("results", job, "plots/relative.svg", "--out", ".")
    assert (out, err) == ("", "relative.svg is written.\n")
    assert (shell.folder / "relative.svg").read_bytes().startswith(b"<?xml")
    shell.run("results", job, "texts.parquet", "--out", "x.parquet")
    assert (shell.folder / "x.parquet").read_bytes() == api.get(f"/v1/jobs/{job}/texts.parquet").content
    _, err = shell.run("results", job, "nothing.csv", code=2)
    assert "nothing.csv" in err
    _, err = shell.run("results", submit(api), code=2)
    assert err.startswith("The job is queued. Its files exist after it is finished")


def test_two_jobs_are_compared(shell: Shell, sessions: Sessions) -> None:
    first, _ = lognormal_job(sessions, {"a": 20, "b": 20})
    second, _ = lognormal_job(sessions, {"b": 20})
    rows = shell.json("compare", str(first), str(second), "--metric", "delta_rms")
    assert [(row["domain"], row["layer"]) for row in rows] == [("b", 0), ("b", 1), ("b", 2)]
    for row in rows:
        assert row["difference"] == row["a"] - row["b"]
        apart = row["a_ci_low"] > row["b_ci_high"] or row["b_ci_low"] > row["a_ci_high"]
        assert row["intervals"] == ("apart" if apart else "overlap")
    out, _ = shell.run("compare", str(first), str(second))
    assert out.splitlines()[-1].startswith("In ")
    alone, _ = lognormal_job(sessions, {"c": 20})
    other, _ = lognormal_job(sessions, {"b": 20}, window=5)
    out, err = shell.run("compare", str(alone), str(other))
    assert "c / b" in out
    assert err == "The jobs have different options: window is None and 5.\n"
    _, err = shell.run("compare", str(first), str(alone), code=2)
    assert "no domain is in both jobs: a, b; c" in " ".join(err.replace("│", " ").split())


def test_jobs_with_different_numbers_of_layers_are_not_compared(shell: Shell, sessions: Sessions) -> None:
    first, second = finished_job(sessions).id, lognormal_job(sessions, {"a": 3, "b": 3})[0]
    with sessions.begin() as session:
        job = session.get_one(Job, second)
        job.measured_with = {**(job.measured_with or {}), "layers": 28}
    _, err = shell.run("compare", str(first), str(second), code=2)
    assert "so their layers do not correspond" in " ".join(err.replace("│", " ").split())


def test_models_are_listed(shell: Shell) -> None:
    out, _ = shell.run("models")
    assert out.splitlines()[1].split()[0] == "demo"
    assert [model["name"] for model in shell.json("models")] == ["demo", "llama-3.2-3b"]


def test_the_page_is_opened(shell: Shell, sessions: Sessions) -> None:
    browser = shell.folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {shell.folder}/opened\n')
    browser.chmod(0o700)
    job = str(finished_job(sessions).id)
    out, _ = shell.run("open", job, BROWSER=f"{browser} %s")
    assert out == f"{shell.server}/jobs/{job}\n"
    assert (shell.folder / "opened").read_text() == out


def test_without_a_service_each_command_is_one_sentence_and_exit_code_3(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shell = Shell(folder, "http://127.0.0.1:9")
    for command in (("jobs",), ("show", "x"), ("models",), ("open",)):
        out, err = shell.run(*command, code=3)
        assert out == ""
        assert err.startswith("The service at http://127.0.0.1:9 cannot be reached")
        assert err.count("\n") == 1


def test_wrong_use_is_exit_code_2(shell: Shell) -> None:
    shell.run("show", code=2)
    shell.run("jobs", "--status", "lost", code=2)
    shell.run("nothing", code=2)


def test_completion_and_no_color(shell: Shell) -> None:
    words: Any = {"COMP_CWORD": "1", "COMP_WORDS": "layerscope c", "_LAYERSCOPE_COMPLETE": "complete_bash"}
    assert {"compare", "cancel"} <= set(shell.run(**words)[0].split())
    colour = re.compile(r"\x1b\[(\d+;)*(3|9)\d")
    assert colour.search(shell.run("--help", FORCE_COLOR="1")[0])
    assert not colour.search(shell.run("--help", FORCE_COLOR="1", NO_COLOR="1")[0])
