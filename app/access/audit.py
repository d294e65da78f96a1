"""The audit log: a line for every change, with who made it and to which job. Never a text, never a key."""

import logging
from uuid import UUID

from app.access.principal import Principal
from app.logs import about

log = logging.getLogger("audit")


def record(change: str, principal: Principal, job_id: UUID | None = None) -> None:
    """Call it after the commit. `change`: what was done, such as "job submitted"."""
    subject = {"owner": principal.owner, "key": principal.key_id, "job": job_id}
    with about(**{name: str(value) for name, value in subject.items() if value is not None}):
        log.info(change)
