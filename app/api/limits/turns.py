"""Requests that arrive together begin one after the other."""

import asyncio


class Turns:
    """Between two requests, the event loop does what else is waiting, such as a health check.

    Without this, 500 clients that connect at once occupy the event loop until all their requests have begun.
    """

    def __init__(self) -> None:
        self._beginning = asyncio.Lock()  # its waiters get it in their order

    async def take(self) -> None:
        async with self._beginning:
            await asyncio.sleep(0)
