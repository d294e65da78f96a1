"""`layerscope profile` as a process, against the whole service and against an API without workers."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.errors import ModelUnavailable
from app.plots import PLOTS
from app.resources import SAMPLES
from app.tables import Job
from layerscope.cli.profiling.measure import TABLES
from layerscope.names import Analysis
from tests.support.programs.command_line import layerscope
from tests.support.programs.processes import RunningStack, wait_for

CPP = [f"int f{i}(int a) {{ return a * {i}; }}" for i in range(10)]
BODY = ("body.csv", "--text", "body")
PYTHON = [f"def f{i}(a):\n    return a * {i}" for i in range(10)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


def write_csv(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "label"), *rows])


def csv_of_texts(path: Path) -> None:
    write_csv(path, [*[(text, "C++") for text in CPP], ("", "C++"), *[(text, "python") for text in PYTHON]])


def test_a_csv_file_becomes_tables_plots_and_sentences(stack: RunningStack, folder: Path) -> None:
    csv_of_texts(folder / "mine.csv")
    done = layerscope("profile", "mine.csv", "--model", "demo", "--server", stack.base_url, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "mine.csv: CSV, UTF-8; 20 texts; text in the field 'text', domain in the field 'label'.",
        "Domains with other names, because of their characters: 'C++' → Cpp.",
        "1 row cannot be used and will not be measured:",
        "  mine.csv, line 12: the text is empty or contains only white space",
    ]
    out = folder / "profile"
    plots = {f"{name}.png" for name, plot in PLOTS.items() if plot.analysis is None}
    assert {file.name for file in out.iterdir()} == {*TABLES, *plots}
    assert (out / "relative.png").read_bytes().startswith(b"\x89PNG")
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if (row["scope"], row["component"]) == ("typical", "block")
        ]
    assert {row["domain"] for row in rows} == {"*", "Cpp", "python"}
    lines = done.stdout.splitlines()
    assert lines[0].startswith("20 of 20 texts measured in ")
    for domain in ("Cpp", "python"):
        of_domain = [row for row in rows if row["domain"] == domain]
        shown = next(line for line in lines if line.startswith(f"{domain} ")).split()[1:]
        for metric, layer, value in (("delta_abs_mean", *shown[:2]), ("relative_norm", *shown[2:])):
            highest = max(of_domain, key=lambda row: float(row[metric]))
            assert layer == highest["layer"]
            assert float(value) == pytest.approx(float(highest[metric]), rel=5e-3)
        top = max(of_domain, key=lambda row: float(row["relative_norm"]))
        mean, low, high = (float(top[f"relative_norm{end}"]) for end in ("", "_ci_low", "_ci_high"))
        sentence = (
            f"In {domain}, layer {top['layer']} writes {mean:.3g} [{low:.3g}, {high:.3g}] times the norm"
        )
        assert sentence in done.stdout
    assert "Cpp and python differ at " in done.stdout
    assert lines[-1].startswith(f"The page of the job: {stack.base_url}/jobs/")
    assert httpx.get(lines[-1].rpartition(" ")[2]).status_code == 200


@pytest.mark.slow
def test_the_samples_are_profiled_without_a_path(stack: RunningStack, folder: Path) -> None:
    done = layerscope("profile", "--server", stack.base_url, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in (folder / "profile").iterdir()} == {
        *TABLES,
        *(f"{name}.png" for name, plot in PLOTS.items() if plot.analysis in (None, Analysis.ABLATION)),
    }
    assert "Layers that contribute most" in done.stdout
    assert "costs most to skip" in done.stdout
    assert "progress" not in done.stderr
    job = httpx.get(f"{stack.base_url}/v1/jobs/{done.stdout.split()[-1].rpartition('/')[2]}").json()
    assert (job["name"], job["model"]["name"], job["options"]["analyses"]) == (
        "samples",
        "demo",
        ["ablation"],
    )
    assert list(job["domains"]) == ["cpp", "finance", "numbers", "python"]


def test_the_samples_are_four_domains() -> None:
    assert {file.stem for file in SAMPLES.glob("*.json")} == {"cpp", "finance", "numbers", "python"}


def test_every_option_of_a_job_can_be_given(
    api: httpx.Client, sessions: sessionmaker[Session], folder: Path
) -> None:
    options = (
        *("--max-tokens", "50", "--overflow", "fail", "--components", "block,mlp", "--window", "5"),
        *("--paired", "--analyses", "tokens", "--analysis-texts", "2", "--special-tokens", "parse"),
    )
    (folder / "cpp.json").write_text(json.dumps(["a"]))
    (folder / "python.json").write_text(json.dumps(["b"]))
    command = ("profile", ".", "--name", "all", "--model", "demo", "--server", str(api.base_url), *options)
    process = start(folder, *command)
    wait_for(lambda: api.get("/v1/jobs").json()["data"])
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 128 + signal.SIGINT
    (job,) = api.get("/v1/jobs").json()["data"]
    assert job["name"] == "all"
    assert job["options"] == {
        "max_tokens": 50,
        "overflow": "fail",
        "components": ["block", "mlp"],
        "window": 5,
        "paired": True,
        "analyses": ["tokens"],
        "analysis_texts": 2,
        "special_tokens": "parse",
    }
    assert job["status"] == "cancelled"  # by the interruption


def start(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        (sys.executable, "-m", "app.cli", *arguments), cwd=folder, env={**os.environ, "HOME": str(folder)}
    )


def test_a_failed_job_is_one_sentence_and_exit_code_1(
    api: httpx.Client, sessions: sessionmaker[Session], folder: Path
) -> None:
    (folder / "cpp.jsonl").write_text('{"text": "a"}\n')
    command = ("profile", "cpp.jsonl", "--model", "demo", "--server", str(api.base_url))
    process = subprocess.Popen(
        (sys.executable, "-m", "app.cli", *command), cwd=folder, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: api.get("/v1/jobs").json()["data"])
    problem = ModelUnavailable("The model has no weights.").problem.to_dict()
    with sessions.begin() as session:
        session.execute(
            update(Job).values(started_at=CLOCK, finished_at=CLOCK, outcome="failed", error=problem)
        )
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1] == "The model has no weights."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.csv",), "none.csv cannot be read: No such file or directory."),
        (("body.csv",), "No field of body.csv is named text, content, prompt, messages,"),
        (("body.csv",), "Its fields are body. Use --text FIELD."),
        (("body.csv", "--text", "x"), "body.csv has no field 'x'. Its fields are body. Use --text FIELD."),
        (("latin.txt",), "latin.txt, line 1: byte 0xe9 at position 3 is not UTF-8. Save the file as UTF-8."),
        (("empty.jsonl",), "No text was found that can be measured."),
        ((*BODY, "--model", "none"), "--model: is not a configured model"),
        ((*BODY, "--model", "demo", "--components", "x"), "--components: Input should be"),
        ((*BODY, "--out", "body.csv"), "The folder body.csv cannot be created"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    api: httpx.Client, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    (folder / "body.csv").write_text("body\na\n")
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "empty.jsonl").write_text("")
    done = layerscope("profile", *arguments, "--server", str(api.base_url), cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert api.get("/v1/jobs").json()["data"] == []


def test_an_unavailable_service_is_one_sentence_and_exit_code_3(folder: Path) -> None:
    (folder / "cpp.json").write_text('["a"]')
    done = layerscope("profile", "cpp.json", "--server", "http://127.0.0.1:9", cwd=folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert "The service at http://127.0.0.1:9 cannot be reached" in done.stderr.splitlines()[-1]


def test_a_text_that_is_too_large_fails_alone(api: httpx.Client, folder: Path) -> None:
    (folder / "cpp.json").write_text(json.dumps(["a", "x" * 2**21]))
    process = start(folder, "profile", "cpp.json", "--model", "demo", "--server", str(api.base_url))
    wait_for(lambda: api.get("/v1/jobs").json()["data"])
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert api.get("/v1/jobs").json()["data"][0]["progress"]["texts"] == 2


def test_what_the_service_refuses_is_named_as_an_option(api: httpx.Client, folder: Path) -> None:
    (folder / "cpp.json").write_text('["a"]')
    service = ("--server", str(api.base_url))
    for options, mistake in (((), "--model: is required"), (("--analyses", "x"), "--analyses: Input should")):
        done = layerscope("profile", "cpp.json", *service, *options, cwd=folder)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith(mistake)


@pytest.mark.slow
def test_repetitive_texts_are_not_refused_for_their_compression(api: httpx.Client, folder: Path) -> None:
    (folder / "cpp.jsonl.gz").write_bytes(gzip.compress(b'{"text": "int i;"}\n' * 200_000))
    process = start(folder, "profile", "cpp.jsonl.gz", "--model", "demo", "--server", str(api.base_url))
    wait_for(lambda: api.get("/v1/jobs").json()["data"])
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert api.get("/v1/jobs").json()["data"][0]["progress"]["texts"] == 200_000


@pytest.mark.slow
def test_the_estimate_has_the_rate_of_an_earlier_job(stack: RunningStack, folder: Path) -> None:
    csv_of_texts(folder / "mine.csv")
    command = ("profile", "mine.csv", "--model", "demo", "--server", stack.base_url)
    layerscope(*command, cwd=folder)
    done = layerscope(*command, "--dry-run", cwd=folder)
    assert done.returncode == 0, done.stderr
    header, cpp, python, total, *sentences = done.stdout.splitlines()
    assert header.split() == ["domain", "texts", "tokens", "truncated", "failing"]
    assert (cpp.split()[:2], python.split()[:2], total.split()[:2]) == (
        ["Cpp", "10"],
        ["python", "10"],
        ["all", "20"],
    )
    assert any(sentence.startswith("The tokens are an estimate") for sentence in sentences)
    assert "A text can have 2,048 tokens." in sentences
    assert sentences[-1].startswith("This takes about 0:0")
    assert sentences[-1].endswith("the rate of an earlier job.")
    done = layerscope(*command, "--dry-run", "--analyses", "logit_lens", "--analysis-texts", "3", cwd=folder)
    assert "The time is not known: no job with this model with these analyses" in done.stdout


def test_without_a_service_the_tokens_are_exact_and_nothing_is_left_behind(folder: Path) -> None:
    (folder / "ids.jsonl").write_text('{"token_ids": [1, 2, 3]}\n{"text": "int i;"}\n')
    done = layerscope("profile", "ids.jsonl", "--dry-run", "--max-tokens", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split() == ["ids", "2", "4", "2", "0"]
    assert "The time is not known" in done.stdout
    assert [file.name for file in folder.iterdir()] == ["ids.jsonl"]
