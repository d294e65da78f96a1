"""Requests for jobs and their files."""

import csv
import io
import re
from uuid import UUID

import httpx

BODY = {
    "model": "demo",
    "name": "first",
    "texts": {"python": ["print(1)", "print(2)"], "cpp": ["int main() {}"]},
}


def submit(api: httpx.Client, **changes: object) -> dict[str, object]:
    answer = api.post("/v1/jobs", json=BODY | changes)
    assert answer.status_code == 202, answer.text
    state: dict[str, object] = answer.json()
    return state


def answered(api: httpx.Client, status: int) -> float:
    """The number of submissions answered with this status, as the service counts them."""
    counted = rf'requests_total{{method="POST",route="/v1/jobs",status="{status}"}} (\S+)'
    found = re.search(counted, api.get("/metrics").text)
    return float(found[1]) if found else 0


def path(job_id: UUID | str, name: str) -> str:
    return f"/v1/jobs/{job_id}/{name}"


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))
