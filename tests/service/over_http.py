"""Jobs and their files as a client asks for them."""

import csv
import io
from uuid import UUID

import httpx


def path(job_id: UUID, name: str) -> str:
    return f"/v1/jobs/{job_id}/{name}"


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))
