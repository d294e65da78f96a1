"""A runnable example of every call, for curl and for Python.

JOB_ID stands for the id of a job. A service with keys also requires a header or LAYERSCOPE_API_KEY, which the
Python client reads.
"""

from collections.abc import Mapping
from typing import Any

ADDRESS = "http://127.0.0.1:8000"
_CLIENT = f'from layerscope import Client\n\nclient = Client("{ADDRESS}")\n'
_JOB = f'{_CLIENT}job = client.get("JOB_ID")\n'
_TEXTS = '{"cpp": ["int i;"], "python": ["i = 1"]}'

# By the operation. Python: None is a plain request.
_CURL: dict[str, str] = {
    "create_job": f"""curl -fsS {ADDRESS}/v1/jobs \\
  -H 'Content-Type: application/json' \\
  -d '{{"model": "demo", "texts": {_TEXTS}}}'""",
    "create_job_from_stream": f"""printf '%s\\n' \\
  '{{"domain": "cpp", "text": "int i;"}}' \\
  '{{"domain": "python", "text": "i = 1"}}' |
curl -fsS '{ADDRESS}/v1/jobs?model=demo' \\
  -H 'Content-Type: application/x-ndjson' --data-binary @-""",
    "list_jobs": f"curl -fsS '{ADDRESS}/v1/jobs?limit=5'",
    "read_job": f"curl -fsS '{ADDRESS}/v1/jobs/JOB_ID?wait=30'",
    "follow_job": f"curl -fsSN {ADDRESS}/v1/jobs/JOB_ID/events",
    "cancel_job": f"curl -fsS -X POST {ADDRESS}/v1/jobs/JOB_ID/cancel",
    "delete_job": f"curl -fsS -X DELETE {ADDRESS}/v1/jobs/JOB_ID",
    "plot.png": f"curl -fsS -OJ {ADDRESS}/v1/jobs/JOB_ID/plots/relative.png",
    "plot.svg": f"curl -fsS -OJ {ADDRESS}/v1/jobs/JOB_ID/plots/relative.svg",
}
_PYTHON: dict[str, str] = {
    "create_job": f'{_CLIENT}job = client.profile({_TEXTS}, model="demo").wait()\nprint(job.status)',
    "create_job_from_stream": f"""import io

{_CLIENT}lines = io.BytesIO(b'{{"domain": "cpp", "text": "int i;"}}\\n')
job = client.submit_stream(lines, "demo", compressed=False)
print(job.id)""",
    "list_jobs": f'{_CLIENT}for job in client.list(status="succeeded"):\n    print(job.id, job.name)',
    "read_job": f"{_JOB}print(job.wait().progress)",
    "follow_job": f"{_JOB}for state in client.follow(job):\n    print(state.status, state.progress.share)",
    "cancel_job": f"{_JOB}print(job.cancel().status)",
    "delete_job": f"{_JOB}job.delete()",
    "list_models": f"{_CLIENT}for model in client.models():\n    print(model.name, model.workers_alive)",
    "list_plots": f"{_JOB}for plot in job.plots():\n    print(plot.name, plot.unavailable)",
    "results.json": f'{_JOB}rows = job.results()\nprint(rows[0]["layer"])',
    "texts.ndjson": f'{_JOB}rows = job.texts()\nprint(rows[0]["ordinal"])',
    "comparison.json": f"{_JOB}rows = job.comparison()\nprint(len(rows))",
    "plot.png": f'{_JOB}print(job.download("plots/relative.png"))',
    "plot.svg": f'{_JOB}print(job.download("plots/relative.svg"))',
}
_OF_A_JOB = "/v1/jobs/{job_id}/"


def add_code_samples(paths: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
    """Adds `x-codeSamples` to every operation of an OpenAPI description."""
    for path, operations in paths.items():
        for operation in operations.values():
            name = operation["operationId"]
            address = ADDRESS + path.replace("{job_id}", "JOB_ID")
            operation["x-codeSamples"] = [
                {"lang": "Shell", "label": "curl", "source": _CURL.get(name) or _curl(path, address)},
                {"lang": "Python", "label": "Python", "source": _PYTHON.get(name) or _python(path, address)},
            ]


def _curl(path: str, address: str) -> str:
    return f"curl -fsS {'-OJ ' if _is_file(path) else ''}{address}"


def _python(path: str, address: str) -> str:
    if _is_file(path):
        return f'{_JOB}print(job.download("{path.removeprefix(_OF_A_JOB)}"))'
    return f'import httpx\n\nprint(httpx.get("{address}").raise_for_status().text)'


def _is_file(path: str) -> bool:
    return path.startswith(_OF_A_JOB) and "." in path
