"""Follows unfinished jobs: one look at the database serves all clients of this process that wait."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from fastapi.concurrency import run_in_threadpool

from app.schemas import JobOut

CLIENTS_AT_ONCE = 5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0

Read = Callable[[Collection[UUID]], dict[UUID, JobOut]]


@dataclass(frozen=True)
class SharedState:
    """What all clients that follow a job share. `json`: the state as JSON."""

    state: JobOut
    json: str


def shared(state: JobOut) -> SharedState:
    return SharedState(state, state.model_dump_json())


Looks = Callable[[float], AsyncIterator[SharedState | None]]  # for a time in seconds


@dataclass
class _Followed:
    """A job that clients follow. `look` is None after the job was deleted."""

    look: SharedState | None
    followers: int = 0
    error: Exception | None = None
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    async def publish(self, state: JobOut | None, error: Exception | None) -> None:
        if self.look is None or state != self.look.state:  # otherwise the JSON is the same, too
            self.look = None if state is None else shared(state)
        self.error = error
        waiting, self.waiting = self.waiting, []
        for place, client in enumerate(waiting):
            if place % CLIENTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # other requests are more urgent than events
            if not client.done():  # it may have disconnected
                client.set_result(None)

    async def next_look(self, seconds: float) -> None:
        """Raises: TimeoutError."""
        client = asyncio.get_running_loop().create_future()
        self.waiting.append(client)
        async with asyncio.timeout(None if seconds == math.inf else seconds):
            await client


class Follower:
    """`read` returns the states of those of the jobs that exist. Only the event loop uses a Follower."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._followed: dict[UUID, _Followed] = {}
        self._task: asyncio.Task[None] | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._closing = asyncio.Event()

    def latest(self, job_id: UUID) -> JobOut | None:
        """The state at the latest look, at most about a second ago; None if no client follows the job."""
        followed = self._followed.get(job_id)
        return followed.look.state if followed is not None and followed.look is not None else None

    @asynccontextmanager
    async def follow(self, state: JobOut) -> AsyncIterator[Looks]:
        """Yields a function that returns the states of all looks; None if the job was deleted.

        `state`: the present one. Raises: the errors of `read`.
        """
        job_id = state.id
        if job_id not in self._followed:
            self._pause = FIRST_PAUSE_SECONDS  # a short job may be finished soon
            self._followed[job_id] = _Followed(shared(state))
        followed = self._followed[job_id]
        followed.followers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_repeatedly())
        try:
            yield lambda seconds: _looks(followed, seconds)
        finally:
            followed.followers -= 1
            if followed.followers == 0:
                del self._followed[job_id]

    async def close(self) -> None:
        """Ends the looks, and waits for the one in progress."""
        self._closing.set()
        if self._task is not None:
            await self._task

    async def _look_repeatedly(self) -> None:
        while self._followed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._pause)
                return
            self._pause = min(self._pause * 1.5, LONGEST_PAUSE_SECONDS)
            followed = dict(self._followed)
            states: dict[UUID, JobOut] = {}
            error: Exception | None = None
            try:
                states = await run_in_threadpool(self._read, followed.keys())
            except Exception as failure:  # the clients that wait receive it
                error = failure
            for job_id, job in followed.items():
                await job.publish(states.get(job_id), error)


async def _looks(followed: _Followed, seconds: float) -> AsyncIterator[SharedState | None]:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        try:
            await followed.next_look(left)
        except TimeoutError:
            return
        if followed.error is not None:
            raise followed.error
        yield followed.look
