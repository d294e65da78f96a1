"""The one look at the database for all clients that wait."""

import asyncio
import time
from collections.abc import Collection
from typing import Any
from uuid import UUID, uuid4

from app.api.following import Follower
from app.schemas import JobOut


def test_closing_waits_for_the_look_in_progress() -> None:
    looks: list[str] = []

    def read(job_ids: Collection[UUID]) -> dict[UUID, JobOut]:
        looks.append("begun")
        time.sleep(0.5)
        looks.append("ended")
        return {}

    async def follow_and_close() -> None:
        follower = Follower(read)
        state: dict[str, Any] = {"id": uuid4()}
        async with follower.follow(JobOut.model_construct(**state)):
            while not looks:
                await asyncio.sleep(0.01)
            await follower.close()
            assert looks == ["begun", "ended"]
            await asyncio.sleep(0.3)
        assert looks == ["begun", "ended"]

    asyncio.run(follow_and_close())


def test_a_follower_that_never_looked_can_be_closed() -> None:
    asyncio.run(Follower(lambda _: {}).close())
