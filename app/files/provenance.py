"""Where a job's numbers come from: what somebody needs to get them again."""

from typing import Any

from app.tables import Job


def provenance(job: Job) -> dict[str, Any]:
    """The model as it was loaded, with the versions of its libraries; the request; the statistics."""
    return {
        "job": str(job.id),
        "request_sha256": job.request_sha256.hex(),
        "options": job.options,
        "model": job.model,
        "measured_with": job.measured_with,
        "estimators": job.estimators,
    }
