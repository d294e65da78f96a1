"""Requests that arrive together begin in their order, and other work runs between them."""

import asyncio
from itertools import pairwise

from app.api.limits.turns import Turns


async def begin_together(requests: int) -> list[int | str]:
    """The numbers of the requests in their order of beginning, and what the event loop did between them."""
    turns, events = Turns(), list[int | str]()

    async def begin(request: int) -> None:
        await turns.take()
        events.append(request)

    async def other_work() -> None:
        while len([event for event in events if event != "other work"]) < requests:
            events.append("other work")
            await asyncio.sleep(0)

    await asyncio.gather(*(begin(request) for request in range(requests)), other_work())
    return events


def test_requests_begin_in_their_order() -> None:
    events = asyncio.run(begin_together(20))
    assert [event for event in events if event != "other work"] == list(range(20))


def test_other_work_runs_between_two_requests() -> None:
    events = asyncio.run(begin_together(20))
    assert all("other work" in pair for pair in pairwise(events))


def test_a_request_that_is_cancelled_lets_the_next_one_begin() -> None:
    async def cancel_the_first() -> None:
        turns = Turns()
        first, second = asyncio.create_task(turns.take()), asyncio.create_task(turns.take())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait_for(second, timeout=10)

    asyncio.run(cancel_the_first())
