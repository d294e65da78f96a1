"""Jobs that exist before a service is fuzzed, so that requests reach their files and plots."""

from typing import Any

import httpx

TWO_DOMAINS = {"cpp": ["int main() {}", "x = y + 1;"], "python": ["print(1)", {"token_ids": [1, 2, 3]}]}
FINISHED: tuple[tuple[dict[str, Any], str], ...] = (  # with their status
    (
        {
            "texts": TWO_DOMAINS,
            "name": 'a "name" with 100 % ünïcode; ../\\',
            "options": {"analyses": ["ablation", "logit_lens", "activations", "tokens"]},
        },
        "succeeded",
    ),
    ({"texts": ["one domain"], "options": {"components": ["mlp"]}}, "succeeded"),
    ({"texts": ["too short"], "options": {"window": 100}}, "failed"),
)
SMALL = {"texts": ["a"]}
LONG = {"texts": ["a word " * 30] * 10_000}  # it is still running when a request cancels it


def seeds(client: httpx.Client) -> dict[str, list[str]]:
    """The ids of jobs for an operation; those of "" are for all others. The jobs of "" are finished.

    Jobs of earlier runs are cancelled, so that the worker is free.
    """
    for status in ("running", "queued"):
        _cancel(client, status)
    return {
        "": [_finished(client, *job) for job in FINISHED],
        "cancel_job": [_submitted(client, LONG) for _ in range(2)],
        "delete_job": [_submitted(client, SMALL) for _ in range(4)],
    }


def _cancel(client: httpx.Client, status: str) -> None:
    path = f"/v1/jobs?status={status}&limit=100"
    while path:
        page = client.get(path).json()
        for job in page["data"]:
            answer = client.post(f"{job['links']['self']}/cancel")
            assert answer.status_code in (202, 409), answer.text  # 409: it has just been finished
        path = page["next"]


def _submitted(client: httpx.Client, body: dict[str, Any]) -> str:
    answer = client.post("/v1/jobs", json={"model": "demo", **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _finished(client: httpx.Client, body: dict[str, Any], status: str) -> str:
    job_id = _submitted(client, body)
    state = client.get(f"/v1/jobs/{job_id}", params={"wait": 60}).json()
    assert state["status"] == status, state
    return job_id
