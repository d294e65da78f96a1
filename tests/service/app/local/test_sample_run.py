"""The sample run, against the whole service and against an API whose jobs the test ends itself."""

import csv
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.errors import ProfilingFailed
from app.jobs import store
from app.local.sample_run import TABLES, SampleRun, profile
from app.plots import PLOTS
from app.resources import ROOT, SAMPLES
from app.tables import Job
from tests.support.processes import RunningStack, wait_for

PROBLEM = {"type": "urn:layerscope:problem:x", "title": "The model can't be loaded", "detail": "no weights"}


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "samples"
    folder.mkdir()
    (folder / "cpp.json").write_text(json.dumps(["int main() {}", "int x = 3;"]))
    (folder / "python.json").write_text(json.dumps(["print(1)", "def f(x): return x", "import this"]))
    return folder


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def unfinished_job(sessions: sessionmaker[Session]) -> Job | None:
    with sessions.begin() as session:
        return session.scalars(select(Job).where(Job.outcome.is_(None))).one_or_none()


def end_as_failed(sessions: sessionmaker[Session]) -> None:
    wait_for(lambda: unfinished_job(sessions))
    with sessions.begin() as session:
        session.execute(
            update(Job).values(started_at=CLOCK, finished_at=CLOCK, outcome="failed", error=PROBLEM)
        )


def end_as_cancelled(sessions: sessionmaker[Session]) -> None:
    wait_for(lambda: unfinished_job(sessions))
    with sessions.begin() as session:
        store.cancel(session, session.scalars(select(Job.id).where(Job.outcome.is_(None))).one())


def test_tables_and_plots_of_the_samples_are_in_the_folder(
    stack: RunningStack, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "profile"
    out.mkdir(parents=True)
    (out / "results.csv").write_text("an older file")
    profile(stack.base_url, out, samples)
    assert {file.name for file in out.iterdir()} == {*TABLES, *(f"{name}.png" for name in PLOTS)}
    assert (out / "relative.png").read_bytes().startswith(b"\x89PNG")
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if (row["scope"], row["component"]) == ("typical", "block")
        ]
    assert {row["domain"] for row in rows} == {"*", "cpp", "python"}
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == "queued: 0 of 5 texts measured"
    assert "succeeded: 5 of 5 texts measured" in lines
    assert str(out) in lines[-1]
    for domain in ("cpp", "python"):
        of_domain = [row for row in rows if row["domain"] == domain]
        first = next(line for line in lines if f"│ {domain} " in line)
        shown = first.replace("│", " ").split()[1:]
        for metric, layer, value in (("delta_abs_mean", *shown[:2]), ("relative_norm", *shown[2:])):
            highest = max(of_domain, key=lambda row: float(row[metric]))
            assert layer == highest["layer"]
            assert float(value) == pytest.approx(float(highest[metric]), rel=5e-3)
    assert "│ *" not in printed


@pytest.mark.slow
def test_another_run_has_its_own_options_and_files(
    stack: RunningStack, samples: Path, tmp_path: Path
) -> None:
    tables = ("results.csv", "massive_tokens.json")
    run = SampleRun("demo", {"analyses": ["ablation", "logit_lens"], "analysis_texts": 1}, tables)
    profile(stack.base_url, tmp_path / "out", samples, run)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *tables,
        *(f"{name}.png" for name in PLOTS),
    }
    assert "lens_kl" in (tmp_path / "out" / "results.csv").read_text().partition("\n")[0]
    job = json.loads((tmp_path / "out" / "massive_tokens.json").read_text())["job"]
    assert job["options"]["analysis_texts"] == 1


def test_the_samples_are_four_domains() -> None:
    assert {file.stem for file in SAMPLES.glob("*.json")} == {"cpp", "finance", "numbers", "python"}


def test_a_second_run_is_a_new_job(
    api: httpx.Client, api_url: str, sessions: sessionmaker[Session], samples: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        with (
            meanwhile(lambda: end_as_cancelled(sessions)),
            pytest.raises(ProfilingFailed, match="The job was cancelled"),
        ):
            profile(api_url, tmp_path, samples)
    assert len(api.get("/v1/jobs").json()["data"]) == 2


def test_a_failed_job_is_reported_with_its_problem(
    api_url: str, sessions: sessionmaker[Session], redis_url: str, samples: Path, tmp_path: Path
) -> None:
    with (
        meanwhile(lambda: end_as_failed(sessions)),
        pytest.raises(ProfilingFailed, match="The model can't be loaded: no weights"),
    ):
        profile(api_url, tmp_path / "out", samples)
    assert not (tmp_path / "out").exists()


def test_a_rejection_is_reported_with_its_detail(
    api_url: str, database_url: str, redis_url: str, samples: Path, tmp_path: Path
) -> None:
    (samples / "bad name.json").write_text('["text"]')
    with pytest.raises(ProfilingFailed, match="The service rejected the request: "):
        profile(api_url, tmp_path / "out", samples)


def test_another_kind_of_server_is_reported(api_url: str, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(ProfilingFailed, match=r"/metrics/v1/jobs answered|The service rejected the request"):
        profile(f"{api_url}/metrics", tmp_path / "out", samples)


def test_without_samples_nothing_is_posted(tmp_path: Path) -> None:
    with pytest.raises(ProfilingFailed, match="no sample texts"):
        profile("http://127.0.0.1:9", tmp_path / "out", tmp_path)


def test_a_folder_that_is_not_writable_is_reported(
    stack: RunningStack, samples: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProfilingFailed, match=r"is not writable \(.+\): choose another folder with --out\."):
        profile(stack.base_url, tmp_path / "file", samples)


def test_an_interrupted_run_cancels_its_job(api: httpx.Client, api_url: str, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "app.cli", "profile", "--url", api_url, "--out", str(tmp_path / "out"))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"queued: ")
        process.send_signal(signal.SIGINT)
    assert process.returncode == 128 + signal.SIGINT
    (job,) = api.get("/v1/jobs").json()["data"]
    assert job["status"] == "cancelled"


def test_no_proxy_is_used_for_this_machine(
    api_url: str, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    (samples / "bad name.json").write_text('["text"]')
    with pytest.raises(ProfilingFailed, match="The service rejected the request: "):
        profile(api_url, tmp_path / "out", samples)
