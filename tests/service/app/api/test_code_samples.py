"""Every example of the reference runs as it is shown, with curl and Python, on the whole service."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.reference.code_samples import ADDRESS
from tests.support.programs.processes import RunningStack
from tests.support.programs.serving import NO_TLS

CHANGING = ("cancel_job", "delete_job")  # they need a job of their own
OPTIONS = {"analyses": ["tokens"]}
TEXTS = {"cpp": ["int i;", "int j;"], "python": ["i = 1", "j = 2"]}


@pytest.fixture(scope="module")
def client(stack: RunningStack) -> Any:
    with httpx.Client(base_url=stack.base_url, timeout=90, verify=NO_TLS) as client:
        yield client


@pytest.fixture(scope="module")
def finished(client: httpx.Client) -> str:
    job_id = submitted(client, TEXTS)
    assert client.get(f"/v1/jobs/{job_id}?wait=60").json()["status"] == "succeeded"
    return job_id


def submitted(client: httpx.Client, texts: Any) -> str:
    body = {"model": "demo", "name": "sample", "texts": texts, "options": OPTIONS}
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def samples(client: httpx.Client) -> list[tuple[str, str, str]]:
    """Operation, language and source of every example."""
    paths = client.get("/openapi.json").json()["paths"]
    return [
        (operation["operationId"], sample["lang"], sample["source"])
        for operations in paths.values()
        for operation in operations.values()
        for sample in operation["x-codeSamples"]
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: apt-get install curl")
def test_every_example_runs(
    client: httpx.Client,
    finished: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    found = samples(client)
    assert len(found) > 2 * 25
    for operation, language, source in found:
        job_id = submitted(client, {"cpp": ["x " * 900] * 40}) if operation in CHANGING else finished
        code = source.replace(ADDRESS, str(client.base_url).rstrip("/")).replace("JOB_ID", job_id)
        if language == "Python":
            exec(compile(code, operation, "exec"), {})
            continue
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), (operation, code)
        assert done.stdout or operation == "delete_job" or "-OJ" in code
    names = {path.name for path in tmp_path.iterdir()}
    assert {"sample-results.csv", "sample-tokens.parquet", "sample-relative.png"} <= names


def test_a_job_that_was_deleted_by_an_example_is_gone(client: httpx.Client) -> None:
    job_id = submitted(client, TEXTS)
    (code,) = [of[2] for of in samples(client) if of[:2] == ("delete_job", "Shell")]
    code = code.replace(ADDRESS, str(client.base_url).rstrip("/")).replace("JOB_ID", job_id)
    subprocess.run(["bash", "-c", code], check=True)
    assert client.get(f"/v1/jobs/{job_id}").status_code == 404
