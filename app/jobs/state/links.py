"""The links of a job: its state, its actions, and the files that it has."""

from collections.abc import Callable

from app.schemas import Links
from app.tables import Job
from layerscope.names import Analysis, Component

# The files that are not among the links of every job, the most useful ones first; None: every job has it.
_FILES: dict[str, Callable[[Job], bool] | None] = {
    "comparison.csv": None,
    "tokens.csv": lambda job: Analysis.TOKENS in job.analyses,
    "first_token.csv": None,
    "massive_tokens.csv": None,
    "results.parquet": None,
    "texts.parquet": None,
    "comparison.json": None,
    "first_token.json": None,
    "massive_tokens.json": None,
    "comparison.parquet": None,
    "tokens.parquet": lambda job: Analysis.TOKENS in job.analyses,
    "texts.ndjson": None,
}


def path_of(job: Job) -> str:
    return f"/v1/jobs/{job.id}"


def links(job: Job) -> Links:
    """The links that every job has."""
    path = path_of(job)
    return Links(
        self=path,
        events=f"{path}/events",
        results_csv=f"{path}/results.csv",
        results_json=f"{path}/results.json",
        texts_csv=f"{path}/texts.csv",
        transitions_csv=f"{path}/transitions.csv" if Component.BLOCK in job.options["components"] else None,
        page=f"/jobs/{job.id}",
    )


def more_links(job: Job) -> dict[str, str]:
    """All others, the most useful ones first: a job with long names of domains has no room for all."""
    path = path_of(job)
    found = {"cancel": f"{path}/cancel"} if job.outcome is None else {}
    found |= {"plots": f"{path}/plots", "texts_page": f"/jobs/{job.id}/texts"}
    files = [name for name, exists in _FILES.items() if exists is None or exists(job)]
    return found | {name.replace(".", "_"): f"{path}/{name}" for name in files}
