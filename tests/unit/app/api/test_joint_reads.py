"""One read of the database for many requests."""

import asyncio
import time
from collections.abc import Collection
from uuid import UUID, uuid4

from app.access.principal import LOCAL, Principal
from app.api.joint_reads import JointReads
from app.schemas import JobOut


def test_a_request_that_is_given_up_does_not_end_the_read_of_others() -> None:
    def read(job_ids: Collection[UUID], principal: Principal) -> dict[UUID, JobOut]:
        time.sleep(0.3)
        return {}

    async def two_requests() -> list[object]:
        joint_reads, job_id = JointReads(read), uuid4()
        requests = [asyncio.create_task(joint_reads.read(job_id, LOCAL)) for _ in range(2)]
        await asyncio.sleep(0.1)
        requests[0].cancel()
        return await asyncio.gather(*requests, return_exceptions=True)

    given_up, other = asyncio.run(two_requests())
    assert isinstance(given_up, asyncio.CancelledError)
    assert other is None
