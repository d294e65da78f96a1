"""The provenance of a job's numbers: everything that is needed to compute them again."""

from typing import Any

from app.tables import Job


def provenance(job: Job) -> dict[str, Any]:
    """The request, the model as it was loaded with the versions of its libraries, and the statistics."""
    return {
        "job": str(job.id),
        "request_sha256": job.request_sha256.hex(),
        "options": job.options,
        "scopes": job.scopes,
        "model": job.model,
        "measured_with": job.measured_with,
        "estimators": job.estimators,
    }
