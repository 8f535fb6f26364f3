"""Calls from the event loop that are done in the sampling thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, overload

from ..basics.charging import charge
from ..basics.event_loop import call_from_thread
from ..sampling import registry
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingUnderWay
from ..sampling.sampler import Sampler
from ..sampling.work_item import Again, Item, taken_out
from . import reading_pass
from .job import Job
from .patience import Patience
from .reading_pass import STOPPING
from .sampling_thread import SamplingThread

S = TypeVar("S")
T = TypeVar("T")
_AGAIN_SECONDS = 0.1
"""If another thread is listing the containers, the listing is asked for again after this time."""


class ThreadCalls:
    """Used in the event loop."""

    def __init__(self, sampler: Sampler, sampling_thread: SamplingThread) -> None:
        self._sampler = sampler
        self._sampling_thread = sampling_thread
        self._waiting: set[asyncio.Future[Any]] = set()
        self._stopping = False

    def stop(self) -> None:
        """Calls under way fail, and later ones: the agent is stopping."""
        self._stopping = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(ReadingFailed(STOPPING))

    @overload
    async def run(self, work: Callable[[], T]) -> T: ...

    @overload
    async def run(self, work: Callable[[], S], one: Callable[[S], T]) -> T: ...

    async def run(self, work: Callable[[], Any], one: Callable[[Any], Any] | None = None) -> Any:
        """Do ``work`` in the sampling thread, then ``one`` with its result.

        ``work`` is about many containers, or the host: it is begun anew without a file that hangs. ``one`` is about one
        container, and waits for its files. Raises what they raise, ReadingFailed after reading_pass.CONTAINER_SECONDS
        in which nothing came to its end, ListingFailed where an earlier listing hangs, OutOfResources (a ListingFailed)
        where the agent has no descriptor or memory left.
        """
        patience = Patience(registry.LISTING_SECONDS, lambda: self._sampling_thread.left_moved)
        while True:
            try:
                return await self._run(work, one)
            except ListingUnderWay:
                if patience.left() <= 0:
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _run(self, work: Callable[[], Any], one: Callable[[Any], Any] | None) -> Any:
        spent = 0.0
        with self._awaited() as (future, settle):

            def tell(work: Callable[[], Any], then: Callable[[Any], Any] | None = None) -> None:
                nonlocal spent
                began = time.thread_time()
                try:
                    result, error = work(), None
                except Exception as failure:
                    result, error = None, self._sampler.out_of_resources(failure) or failure
                spent += time.thread_time() - began
                if error is None and then is not None:
                    job.items.append(partial(tell, partial(then, result)))
                else:
                    settle(result, error)

            job = Job(deque([Again(partial(tell, work, one))]))
            self._sampling_thread.submit(job)
            try:
                return await self._in_time(future, job)
            finally:
                charge.get()(spent)

    @contextmanager
    def _awaited(self) -> Iterator[tuple[asyncio.Future[Any], Callable[[Any, Exception | None], None]]]:
        """A future, and what settles it from the sampling thread; the first time counts. Raises ReadingFailed."""
        if self._stopping:
            raise ReadingFailed(STOPPING)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def from_the_thread(result: Any, error: Exception | None) -> None:
            call_from_thread(loop, settle, result, error)

        self._waiting.add(future)
        try:
            yield future, from_the_thread
        finally:
            self._waiting.discard(future)
            future.cancel()  # of one that is given up nothing is awaited

    async def in_parts(self, begin: Callable[[], Iterable[Callable[[], None]]], end: Callable[[], T]) -> tuple[T, Job]:
        """Do the parts that ``begin`` gives, then ``end``, all in the sampling thread: what ``end`` gives, and the job.

        Short jobs go in between. A part, or ``begin``, that hangs is begun anew in another thread. One that is slow
        goes on beside the next ones, and ``end`` waits for it. Parts handle their own errors. Raises what ``begin`` and
        ``end`` raise, and as :meth:`run`.
        """
        with self._awaited() as (future, settle):

            def try_to(work: Callable[[], None]) -> None:
                try:
                    work()
                except Exception as failure:
                    job.items.clear()
                    settle(None, self._sampler.out_of_resources(failure) or failure)

            def first() -> None:
                parts, the_end = list(begin()), deque[Item]([Again(partial(try_to, last))])
                left = set(range(len(parts)))
                job.items.extend(
                    Again(partial(part_of, left, the_end, index, part)) for index, part in enumerate(parts)
                )
                if not parts:
                    job.items.extend(the_end)

            def part_of(left: set[int], the_end: deque[Item], index: int, part: Callable[[], None]) -> None:
                try_to(part)
                left.discard(index)
                if not left:  # two threads may see that at once
                    job.items.extend(taken_out(the_end))

            def last() -> None:
                settle(end(), None)

            job = Job(deque[Item]([Again(partial(try_to, first))]), long=True)
            self._sampling_thread.submit(job)
            return await self._in_time(future, job), job

    async def _in_time(self, future: asyncio.Future[T], job: Job) -> T:
        seconds = reading_pass.CONTAINER_SECONDS
        try:
            return await Patience(seconds, partial(self._sampling_thread.ended, job)).wait(future)
        except TimeoutError:
            raise ReadingFailed(f"reading the container takes over {seconds:.0f} s") from None

    async def each(self, work: Callable[[S], T | None], those: Sequence[S]) -> list[T]:
        """``work`` of each of those containers in the sampling thread, and what was not None, in their order.

        One container is one item: if a file of its hangs, that one is begun anew without the file, and the others go
        on. Raises what ``work`` raised first, and as :meth:`run`.
        """
        if not those:
            return []
        found: list[T | None] = [None] * len(those)
        left = set(range(len(those)))
        with self._awaited() as (future, settle):

            def one(index: int) -> None:
                try:
                    found[index] = work(those[index])
                except Exception as failure:
                    settle(None, self._sampler.out_of_resources(failure) or failure)
                left.discard(index)
                if not left:
                    settle(None, None)

            items = deque[Item](Again(partial(one, index)) for index in range(len(those)))
            job = Job(items, long=True)
            self._sampling_thread.submit(job)
            await self._in_time(future, job)
        return [each for each in found if each is not None]
