"""One result for all requests that come at about the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
NEWS_SECONDS = 0.1
"""However much comes and goes, and however many ask, nothing is made anew more often than this."""
_NEWS_PART = 0.2
"""News make things be made anew for no more than this part of the time: a user who starts and ends containers without
pause would otherwise have a large host read without pause."""
OVERLOADED_SECONDS = 5.0
"""While more is asked than the agent can answer, what is so old is answered with at once, and made anew meanwhile."""
LET_GO_SECONDS = OVERLOADED_SECONDS
"""After so long a result that nobody can be answered with any more is forgotten."""


def news_wait(cost_seconds: float) -> float:
    """Seconds; how old a thing that took so long to make has to be before news make it out of date."""
    return max(NEWS_SECONDS, cost_seconds / _NEWS_PART)


class Coalesced(Generic[T]):
    """Used in the event loop. Requests that come while the result is made, or soon after, get the same."""

    def __init__(
        self,
        make: Callable[[], Awaitable[T]],
        fresh_seconds: float,
        news: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        *,
        busy_part: float = 1.0,
        cost: Callable[[], float] | None = None,
        overloaded: Callable[[], bool] = lambda: False,
    ) -> None:
        """``news``: whether the result is out of date, however fresh; then it is made anew, after :func:`news_wait`.
        ``busy_part``: the part of the time for which it is made at most. ``cost``: the seconds of work that the latest
        result took, where that is known; else the time until it was there counts, that in which other programs had the
        processor included. ``overloaded``: whether more is asked than can be answered; then nobody waits for a new
        result who can have one that was begun less than :data:`OVERLOADED_SECONDS` ago."""
        self._make = make
        self._fresh = fresh_seconds
        self._news = news
        self._clock = clock
        self._busy_part = busy_part
        self._cost = cost
        self._overloaded = overloaded
        self._task: asyncio.Future[T] | None = None
        self._before: tuple[float, T] | None = None
        """When the making of the result before began, and that result; kept while overloaded, and one is made."""
        self._began = self._ended = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def forget(self) -> None:
        """The next result is made anew, by other settings."""
        self._task = self._before = None

    async def get(self) -> T:
        """The result. Raises what making it raised."""
        task, overloaded = self._usable(), self._overloaded()
        if task is None:
            self._before = self._made() if overloaded else None
            self._began = self._clock()
            task = self._task = asyncio.ensure_future(self._make())
            task.add_done_callback(self._over)
        if overloaded and not task.done() and self._before is not None:
            began, result = self._before
            if self._clock() - began < OVERLOADED_SECONDS:
                return result
        return await asyncio.shield(task)

    def _usable(self) -> asyncio.Future[T] | None:
        """The result that a request that comes now shares, made already or not."""
        task = self._task
        if task is None or _failed(task):
            return None
        age = self._clock() - self._began
        took = self._ended - self._began if self._cost is None else self._cost()
        fresh = age < max(self._fresh, took / self._busy_part) and (age < news_wait(took) or not self._news())
        return task if fresh or not task.done() else None

    def _made(self) -> tuple[float, T] | None:
        """The result that is not usable any more."""
        return None if self._task is None or _failed(self._task) else (self._began, self._task.result())

    def _over(self, task: asyncio.Future[T]) -> None:
        self._ended = self._clock()
        if task is self._task:
            self._before = None
        if not task.cancelled():
            task.exception()  # the client may have gone away: no log line for it
        self._look_later()

    def _look_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()  # else it would hold on to this result
        self._timer = asyncio.get_running_loop().call_later(LET_GO_SECONDS, self._let_go)

    def _let_go(self) -> None:
        """A result that nobody is answered with any more keeps nothing in memory of what was there when it was made."""
        self._timer = None
        if self._task is None or not self._task.done():
            return
        if self._usable() is None:
            self._task = None
        else:
            self._look_later()


def _failed(task: asyncio.Future[T]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
