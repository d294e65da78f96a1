"""The audit log: a line for every change, with who made it and to what. Never a text, never a key.

Call each function after the commit.
"""

import logging
from uuid import UUID

from app.access.principal import Principal
from app.logs import about

log = logging.getLogger("audit")


def record(change: str, principal: Principal, job_id: UUID | None = None) -> None:
    """The sender of a request has changed something. `change`: what was done, such as "job submitted"."""
    _write(change, owner=principal.owner, key=principal.key_id, job=job_id)


def record_expired_job(job_id: UUID, owner: str) -> None:
    """The service has deleted a job of this owner, because its retention period is over."""
    _write("job expired", owner=owner, job=job_id)


def record_key(change: str, key_id: UUID, owner: str, account: str) -> None:
    """A command has changed a key of this owner. `account`: the one that ran it, of the operating system."""
    _write(change, account=account, owner=owner, key=key_id)


def _write(change: str, **subject: str | UUID | None) -> None:
    with about(**{name: str(value) for name, value in subject.items() if value is not None}):
        log.info(change)
