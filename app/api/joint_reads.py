"""Reads the states of jobs for all requests at once that arrived while the last read was in progress.

No request gets a state that was read before it arrived. Without load, each request is read alone; under load,
the number of statements does not grow with the number of requests.
"""

import asyncio
from collections.abc import Callable, Collection
from contextvars import Context
from uuid import UUID

from fastapi.concurrency import run_in_threadpool

from app.access.principal import Principal
from app.api.limits.turns import Turns
from app.schemas import JobOut

ReadForPrincipal = Callable[[Collection[UUID], Principal], dict[UUID, JobOut]]


class JointReads:
    """`read` returns the states of those of the jobs that the principal may see.

    Only the event loop uses this object.
    """

    def __init__(self, read: ReadForPrincipal) -> None:
        self._read = read
        self._waiting: dict[Principal, dict[UUID, asyncio.Future[JobOut | None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._turns = Turns()

    async def read(self, job_id: UUID, principal: Principal) -> JobOut | None:
        """The state; None if there is no such job. Raises: the errors of `read`."""
        of_principal = self._waiting.setdefault(principal, {})
        if job_id not in of_principal:
            of_principal[job_id] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            # Log lines of the task must not name the request that started it.
            self._task = asyncio.create_task(self._read_all(), context=Context())
        state = await asyncio.shield(of_principal[job_id])  # others may wait for it, too
        await self._turns.take()  # otherwise all of them would continue before anything else
        return state

    async def _read_all(self) -> None:
        while self._waiting:
            principal = next(iter(self._waiting))
            wanted = self._waiting.pop(principal)
            try:
                states = await run_in_threadpool(self._read, wanted.keys(), principal)
            except Exception as error:  # the requests receive it
                for future in wanted.values():
                    future.set_exception(error)
                    future.exception()  # no warning if all clients have gone
            else:
                for job_id, future in wanted.items():
                    future.set_result(states.get(job_id))
