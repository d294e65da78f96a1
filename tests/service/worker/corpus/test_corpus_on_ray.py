"""`layerscope corpus` as a process with a cluster of Ray on this machine."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.jobs.corpora import BAD_LINES, lines_of, write_lines
from tests.support.models.tiny import causal_model, save
from tests.support.programs.command_line import layerscope
from tests.support.programs.processes import wait_for
from worker.corpus.cluster import LOOPBACK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
pytest.importorskip("ray", reason="needs Ray: pip install 'layerscope[ray]'")

SECONDS = 300
TEXTS_PER_SHARD = "4"  # a part has 64
TABLES = ("results.csv", "comparison.csv", "transitions.csv", "first_token.csv", "massive_tokens.csv")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough for a part to take a moment."""
    large = causal_model(hidden_size=256, intermediate_size=1024, num_hidden_layers=8)
    return save(large, tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working directory of the commands."""
    path = tmp_path / "folder"
    path.mkdir()
    write_lines(path / "texts.jsonl", lines_of(600), BAD_LINES)
    return path


def corpus(
    folder: Path, model: Path, out: str, *more: str, actors: int = 1
) -> "subprocess.CompletedProcess[str]":
    arguments = ("corpus", "texts.jsonl", out, "--model", str(model), "--actors", str(actors), *more)
    return layerscope(*arguments, cwd=folder, seconds=SECONDS, LAYERSCOPE_SHARD_TEXTS=TEXTS_PER_SHARD)


@contextmanager
def started(folder: Path, model: Path, out: str, actors: int) -> Iterator["subprocess.Popen[bytes]"]:
    arguments = ("corpus", "texts.jsonl", out, "--model", str(model), "--actors", str(actors))
    environment = {**os.environ, "LAYERSCOPE_SHARD_TEXTS": TEXTS_PER_SHARD}
    command = (sys.executable, "-m", "app.cli", *arguments)
    process = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def descendants(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return found


def actors_of(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    return [child for child in descendants(process) if "ray::MapWorker" in " ".join(child.cmdline())]


def ports_of(process: "subprocess.Popen[bytes]", name: str) -> set[int]:
    """On which the processes with this name listen."""
    return {
        connection.laddr.port
        for child in descendants(process)
        if child.name() == name
        for connection in child.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def complete(out: Path) -> set[str]:
    return {path.name for path in (out / "texts").glob("part-*.parquet")}


def wait_for_parts(out: Path, parts: int) -> None:
    wait_for(lambda: len(complete(out)) >= parts, SECONDS)


def tables(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in TABLES}


def test_a_killed_actor_changes_nothing(folder: Path, model: Path) -> None:
    with started(folder, model, "killed", 2) as process:
        wait_for_parts(folder / "killed", 1)
        children = descendants(process)
        addresses = [
            connection.laddr.ip
            for child in children
            for connection in child.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        victim = actors_of(process)[0]
        victim.send_signal(signal.SIGKILL)
        assert len(complete(folder / "killed")) < 10
        assert process.wait(SECONDS) == 0
    assert addresses
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}
    assert not any(child.is_running() for child in children)
    done = corpus(folder, model, "undisturbed", actors=2)  # with other threads, last digits differ
    assert "600 of 603 texts measured, 3 failed" in done.stdout, done.stderr
    assert tables(folder / "killed") == tables(folder / "undisturbed")


def test_other_processes_cannot_use_the_cluster(folder: Path, model: Path) -> None:
    with started(folder, model, "out", 1) as process:
        wait_for(lambda: ports_of(process, "gcs_server"), SECONDS)
        (port,) = ports_of(process, "gcs_server")
        other = subprocess.run(
            [sys.executable, "-c", f"import ray; ray.init('127.0.0.1:{port}')"],
            env={**os.environ, "RAY_AUTH_MODE": "disabled", **LOOPBACK},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    assert other.returncode != 0
    assert "Authentication token is missing or incorrect" in other.stderr


def test_a_restart_measures_only_what_is_missing(folder: Path, model: Path) -> None:
    with started(folder, model, "out", 1) as process:
        wait_for_parts(folder / "out", 2)
        children = descendants(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 128 + signal.SIGINT
    assert not any(child.is_running() for child in children)
    before = {name: (folder / "out" / "texts" / name).stat().st_mtime_ns for name in complete(folder / "out")}
    assert 2 <= len(before) < 10
    refused = corpus(folder, model, "out", "--window", "5")
    assert refused.returncode == 2
    assert "was begun with window null, and now 5" in refused.stderr
    done = corpus(folder, model, "out")
    assert done.returncode == 0, done.stderr
    found = re.search(r"(\d+) of 10 parts measured.*; (\d+) were complete", done.stdout)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (10 - len(before), len(before))
    assert all((folder / "out" / "texts" / name).stat().st_mtime_ns == time for name, time in before.items())
    again = corpus(folder, model, "out")
    assert "0 of 10 parts measured" in again.stdout
    assert corpus(folder, model, "whole").returncode == 0
    assert tables(folder / "out") == tables(folder / "whole")


def test_a_part_that_cannot_be_measured_is_named(folder: Path, model: Path) -> None:
    with started(folder, model, "out", 1) as process:
        wait_for_parts(folder / "out", 1)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    missing = sorted(
        path for path in (folder / "out" / "plan").iterdir() if path.name not in complete(folder / "out")
    )
    plan = missing[-1].read_bytes()
    missing[-1].write_bytes(b"not Parquet")
    name = re.escape(missing[-1].name)
    sentence = rf"The corpus could not be measured: 9 attempts to measure {name} have failed, .*Parquet.*\."
    for _ in range(2):
        failed = corpus(folder, model, "out")
        assert failed.returncode == 1
        assert re.fullmatch(sentence, failed.stderr.splitlines()[-1])
        assert "Traceback" not in failed.stderr
    missing[-1].write_bytes(plan)
    assert corpus(folder, model, "out").returncode == 0


def test_the_results_are_those_of_the_service(folder: Path) -> None:
    """The same file, measured by the service that `layerscope profile` starts."""
    write_lines(folder / "texts.jsonl", lines_of(600))
    profiled = layerscope("profile", "texts.jsonl", "--out", "job", cwd=folder, seconds=SECONDS)
    assert profiled.returncode == 0, profiled.stderr
    done = layerscope("corpus", "texts.jsonl", "out", cwd=folder, seconds=SECONDS)
    assert done.returncode == 0, done.stderr
    assert tables(folder / "out") == tables(folder / "job")


def test_without_ray_the_command_names_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None; sys.argv = ['layerscope', 'corpus', 'a', 'b'];"
        "from app.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "`layerscope corpus` needs Ray: run `pip install 'layerscope[ray]'`.\n"
