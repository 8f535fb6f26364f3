"""One result for all who ask for it at about the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
NEWS_SECONDS = 0.1
"""However much comes and goes, and many ask, nothing is made anew more often than this."""


class Shared(Generic[T]):
    """Used in the event loop. Whoever asks while it is being made, or soon after it was begun, gets the same."""

    def __init__(
        self, make: Callable[[], Awaitable[T]], fresh_seconds: float, news: Callable[[], bool] = lambda: False
    ) -> None:
        """``news``: whether the result is out of date, however fresh; it is made anew then, after NEWS_SECONDS."""
        self._make = make
        self._fresh = fresh_seconds
        self._news = news
        self._task: asyncio.Future[T] | None = None
        self._began = 0.0

    def forget(self) -> None:
        """What is made next is made anew, by other settings."""
        self._task = None

    async def get(self) -> T:
        """The result. Raises what making it raised."""
        task = self._task
        if task is not None:
            reusable = not task.cancelled() and (not task.done() or task.exception() is None)
            age = time.monotonic() - self._began
            fresh = age < self._fresh and (age < NEWS_SECONDS or not self._news())
            if reusable and (not task.done() or fresh):
                return await asyncio.shield(task)
        self._began = time.monotonic()
        task = self._task = asyncio.ensure_future(self._make())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever asked may have gone away
        return await asyncio.shield(task)
