"""The readings of streams: all streams of one container share each second's wait, its reading and its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .engine_readings import Answer


class Seconds:
    """Used in the event loop."""

    def __init__(self, get: Callable[[str], Awaitable[Answer]]) -> None:
        """``get``: reads one container now."""
        self._get = get
        self._tasks: dict[tuple[str, int], asyncio.Task[Answer]] = {}

    async def at(self, wanted: str, second: int) -> Answer:
        """A container at a full second of the event loop's clock. Raises as ``get`` does."""
        key = wanted, second
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(self._read(wanted, second))
            task.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(task)

    def _over(self, key: tuple[str, int], done: asyncio.Task[Answer]) -> None:
        del self._tasks[key]
        if not done.cancelled():
            done.exception()  # the clients may have gone away: no log line for it

    async def _read(self, wanted: str, second: int) -> Answer:
        await asyncio.sleep(second - asyncio.get_running_loop().time())
        return await self._get(wanted)

    def stop(self) -> None:
        """End those that wait."""
        for task in list(self._tasks.values()):
            task.cancel()
