"""Jobs that this process could not finalize because its disk was full. Other jobs need not wait for them."""

import time
from uuid import UUID

PAUSE_SECONDS = 60.0


class PostponedJobs:
    """Each is left out for PAUSE_SECONDS. Another process, with another disk, may finalize it meanwhile."""

    def __init__(self) -> None:
        self._until: dict[UUID, float] = {}

    def add(self, job_id: UUID) -> None:
        self._until[job_id] = time.monotonic() + PAUSE_SECONDS

    def ids(self) -> list[UUID]:
        """Those whose pause is not over."""
        self._until = {job_id: end for job_id, end in self._until.items() if end > time.monotonic()}
        return list(self._until)
