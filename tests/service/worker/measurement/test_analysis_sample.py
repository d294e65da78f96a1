"""Analyses from end to end: a request over HTTP, a real worker on tiny Llamas, the files."""

import csv
import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from transformers import LlamaForCausalLM

from app.local.servers import Servers
from app.settings import Settings
from layerscope.core.loading.transformers_logging import silenced_transformers
from layerscope.stats.sampling import sample
from tests.support.models.tiny import add_known_activations, byte_tokenizer, causal_model, save
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import serving
from tests.support.programs.worker_process import start_worker
from worker.measurement.analysis_sample import SEED

Array = NDArray[np.float64]
PLANTED = {3: 40.0, 11: -90.0, 17: 25.0, 30: 60.0}  # unit: value, written by layer 1, removed by layer 2
END_SECONDS = 90
TEXTS = {
    "cpp": [f"int f{i}() {{ return {i} * {'x' * (3 * i)}; }}" for i in range(9)],
    "python": [f"def f{i}():\n    return {'y' * (2 * i)}" for i in range(9)],
}


class ServiceWithWorkers:
    """The service, and workers for its models."""

    def __init__(self, client: httpx.Client, settings: Settings) -> None:
        self.client, self._settings = client, settings

    @contextmanager
    def worker(self, model: str) -> Iterator[subprocess.Popen[bytes]]:
        process = start_worker(self._settings, model)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def submit(self, model: str, texts: Any = TEXTS, **options: Any) -> str:
        answer = self.client.post("/v1/jobs", json={"model": model, "texts": texts, "options": options})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def finish(self, job_id: str) -> dict[str, Any]:
        wait_for(lambda: self.job(job_id, wait=5)["finished_at"], END_SECONDS)
        return self.job(job_id)

    def job(self, job_id: str, wait: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/v1/jobs/{job_id}?wait={wait}").json()
        return found

    def file(self, job_id: str, name: str) -> bytes:
        answer = self.client.get(f"/v1/jobs/{job_id}/{name}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def rows(self, job_id: str, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.file(job_id, name).decode(), newline="")))


@pytest.fixture(scope="module")
def running(
    embedded_servers: Servers, migrated_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceWithWorkers]:
    folder = tmp_path_factory.mktemp("running")
    planted = causal_model()
    add_known_activations(planted, written=1, removed=2, values=PLANTED)
    save(causal_model(), folder / "tiny")
    save(planted, folder / "planted")
    save(causal_model(num_hidden_layers=48, hidden_size=64), folder / "deep")
    headless: Any = causal_model().model
    with silenced_transformers():
        headless.save_pretrained(folder / "headless")
    byte_tokenizer().save_pretrained(folder / "headless")
    models = folder / "models.toml"
    names = ("tiny", "planted", "deep", "headless")
    models.write_text("".join(f'[{name}]\nsource = "{folder / name}"\ndevice = "cpu"\n' for name in names))
    settings = Settings(
        home=folder / "home",
        database_url=migrated_database_url,
        redis_url=embedded_servers.redis_url,
        models=models,
        sweep_seconds=0.5,
        lease_seconds=4,
        shard_texts=4,
    )
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield ServiceWithWorkers(client, settings)


@pytest.fixture(scope="module")
def tiny(running: ServiceWithWorkers) -> Iterator[None]:
    with running.worker("tiny"):
        yield


@pytest.fixture(autouse=True)
def empty(database_url: str) -> None:
    """Every test begins with empty tables."""


def surprise(model: LlamaForCausalLM, text: str) -> float:
    """The mean next-token negative log-likelihood, by transformers itself."""
    ids = torch.tensor([byte_tokenizer()(text)["input_ids"]])
    causal: Any = model
    with torch.no_grad():
        return float(causal(input_ids=ids, labels=ids, use_cache=False).loss)


def without(model: LlamaForCausalLM, layer: int) -> LlamaForCausalLM:
    shorter = deepcopy(model)
    del shorter.model.layers[layer]
    shorter.config.num_hidden_layers -= 1
    return shorter


@pytest.mark.slow
def test_an_ablation_is_what_the_model_without_the_layer_costs(
    running: ServiceWithWorkers, tiny: None
) -> None:
    job_id = running.submit("tiny", analyses=["ablation", "logit_lens"], analysis_texts=5)
    assert running.finish(job_id)["status"] == "succeeded"
    rows = [row for row in running.rows(job_id, "texts.csv") if row["ablation_nll"]]
    whole = causal_model().double()
    chosen = sample(range(9), 5, SEED)
    assert {int(row["ordinal"]) for row in rows} == {*chosen, *(9 + place for place in chosen)}
    assert len(rows) == 2 * 5 * 4
    for row in rows:
        text = [*TEXTS["cpp"], *TEXTS["python"]][int(row["ordinal"])]
        cost = surprise(without(whole, int(row["layer"])), text) - surprise(whole, text)
        assert float(row["ablation_nll"]) == pytest.approx(cost, abs=1e-5)
        assert 0 <= float(row["lens_agreement"]) <= 1
    layers = [row for row in running.rows(job_id, "results.csv") if row["ablation_nll"]]
    assert {row["analysis_texts"] for row in layers if row["domain"] != "*"} == {"5"}
    for row in layers:
        mean = np.mean(
            [
                float(of_text["ablation_nll"])
                for of_text in rows
                if of_text["layer"] == row["layer"] and row["domain"] in ("*", of_text["domain"])
            ]
        )
        assert float(row["ablation_nll"]) == pytest.approx(mean, rel=1e-12)


@pytest.mark.slow
def test_planted_activations_are_named_by_the_report(running: ServiceWithWorkers) -> None:
    with running.worker("planted"):
        job_id = running.submit("planted", analyses=["activations"])
        assert running.finish(job_id)["status"] == "succeeded"
    report = running.client.get(f"/v1/jobs/{job_id}/first_token.json").json()["layers"]
    of_blocks = [row for row in report if row["component"] == "block"]
    assert len(of_blocks) == 3 * 4
    written = [row for row in of_blocks if row["layer"] == 1]
    by_size = sorted(PLANTED, key=lambda unit: -abs(PLANTED[unit]))
    for row in written:
        assert [row[f"unit_{place}"] for place in (1, 2, 3, 4)] == by_size
        for place, unit in enumerate(by_size, 1):
            assert row[f"value_{place}"] == pytest.approx(PLANTED[unit], rel=1e-4)
            assert row[f"token_{place}"] == 0
            assert row[f"texts_{place}"] == row[f"first_texts_{place}"] == row["analysis_texts"]
        assert row["ratio_1"] > 100
    for row in of_blocks:
        if row["layer"] in (0, 2, 3):  # not yet there, and taken away again
            assert abs(row["value_1"]) < 5
        if row["layer"] in (1, 2):  # only the first token is written to
            assert row["mean_share"] == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_the_files_are_the_same_bytes_however_many_workers(running: ServiceWithWorkers, tiny: None) -> None:
    names = ("results.csv", "texts.csv", "comparison.csv", "first_token.csv")
    options = {"analyses": ["ablation", "logit_lens"], "analysis_texts": 6}
    alone = running.submit("tiny", **options)
    running.finish(alone)
    with running.worker("tiny"):
        wait_for(
            lambda: running.client.get("/v1/models").json()["data"][0]["workers_alive"] == 2, END_SECONDS
        )
        together = running.submit("tiny", **options)
        running.finish(together)
    for name in names:
        assert running.file(alone, name) == running.file(together, name), name


def test_a_window_gives_all_texts_one_length(running: ServiceWithWorkers, tiny: None) -> None:
    job_id = running.submit("tiny", window=40, analyses=["logit_lens"])
    job = running.finish(job_id)
    tokens = {
        (domain, i): len(text.encode()) + 1 for domain, of in TEXTS.items() for i, text in enumerate(of)
    }
    long = sum(count >= 40 for count in tokens.values())
    assert (job["progress"]["done"], job["progress"]["failed"]) == (long, 18 - long)
    assert 0 < long < 18
    rows = running.rows(job_id, "texts.csv")
    assert {row["tokens"] for row in rows if not row["error"]} == {"40"}
    short = [row for row in rows if row["error"]]
    assert all("fewer than the window of 40" in row["error"] for row in short)
    analysed = {row["ordinal"] for row in rows if row["lens_kl"]}
    assert analysed == {row["ordinal"] for row in rows} - {row["ordinal"] for row in short}


def test_a_paired_job_compares_pairs_in_its_analyses_too(running: ServiceWithWorkers, tiny: None) -> None:
    job_id = running.submit("tiny", paired=True, analyses=["ablation"], analysis_texts=7)
    running.finish(job_id)
    texts = {
        (int(row["ordinal"]), int(row["layer"])): row
        for row in running.rows(job_id, "texts.csv")
        if (row["scope"], row["component"]) == ("all", "block")
    }
    for row in running.rows(job_id, "comparison.csv"):
        if (row["scope"], row["component"]) != ("all", "block"):
            continue
        metric, layer = row["metric"], int(row["layer"])
        places = sample(range(9), 7, SEED) if metric.startswith("ablation") else range(9)
        a, b = ([float(texts[first + k, layer][metric]) for k in places] for first in (0, 9))
        expected = stats.ttest_rel(a, b)
        assert row["texts_a"] == row["texts_b"] == str(len(a))
        assert float(row["p_value"]) == pytest.approx(expected.pvalue, rel=1e-6)


@pytest.mark.slow
def test_a_model_without_a_head_fails_the_job_and_says_so(running: ServiceWithWorkers) -> None:
    with running.worker("headless"):
        job = running.finish(running.submit("headless", analyses=["ablation"]))
        assert job["status"] == "failed"
        assert "lm_head.weight is missing" in job["error"]["detail"]
        for analyses in ([], ["activations"]):
            assert running.finish(running.submit("headless", analyses=analyses))["status"] == "succeeded"


@pytest.mark.slow
def test_an_analysis_in_hand_is_let_go_when_its_job_ends(running: ServiceWithWorkers) -> None:
    long = {"a": [f"{i} " + "x" * 250 for i in range(4)]}  # one shard
    with running.worker("deep") as worker:
        for end in ("cancel", "delete"):
            job_id = running.submit("deep", long, analyses=["ablation", "logit_lens"])
            wait_for(lambda job_id=job_id: running.job(job_id)["status"] == "running", END_SECONDS)  # type: ignore[misc]
            if end == "cancel":
                assert running.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
                assert running.finish(job_id)["status"] == "cancelled"
                assert running.rows(job_id, "texts.csv") == []
            else:
                assert running.client.delete(f"/v1/jobs/{job_id}").status_code == 204
                assert running.client.get(f"/v1/jobs/{job_id}").status_code == 404
        after = running.submit("deep", {"a": ["xy"]})
        assert running.finish(after)["status"] == "succeeded"
        assert worker.poll() is None
