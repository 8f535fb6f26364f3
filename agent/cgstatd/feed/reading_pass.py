"""A pass: each container that has a cgroup is read once, results are handed on as they come, and no hung reading is
awaited."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial

from ..basics.event_loop import call_from_thread
from ..sampling.container import Container
from ..sampling.model import ContainerStats
from ..sampling.pass_work import PassWork
from ..sampling.registry import LISTING_SECONDS, ListingFailed
from ..sampling.sampler import Sampler
from ..sampling.work_item import Item
from .answer_bodies import Body
from .job import Job
from .patience import Patience
from .sampling_thread import SamplingThread

CONTAINER_SECONDS = 8.0
"""A container is left out when none has come to its end for so long."""
IN_TIME_SECONDS = 1.0
"""What is told at an interval, or is about more than figures, does not wait longer than this for a hung container."""
STOPPING = "the agent is stopping"
_FLUSH_SECONDS = 0.05
"""Results of a long pass are handed on at this interval."""
TOGETHER_SECONDS = 0.01
"""Second readings that are due within this time are one job."""
_ONLY_HUNG_SECONDS = 0.7
"""A pass that is older, and waits for hung readings alone, keeps no request waiting but the stream: that has sent the
figures of the others, and gets those of a slow container if they come in time."""


class Pass:
    """One reading of every container, as the event loop sees it. ``stats`` grows until ``complete``."""

    def __init__(
        self, sampler: Sampler, sampling_thread: SamplingThread, encode: Callable[[ContainerStats], bytes] | None = None
    ) -> None:
        self._names = sampler.names
        self._sampling_thread = sampling_thread
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._told: list[int] = []
        """How many stats were known each time that the waiting clients were told: all get the same parts, and share the
        bytes."""
        self._jobs: list[Job] = []
        self._work = PassWork(sampler, lambda: self._call(self._listing_over), encode)
        self._deadline: asyncio.TimerHandle | None = None
        self._patience: Patience | None = None
        """With the listing, then with the containers."""
        self._ended = 0.0
        """When a container came to its end last (monotonic), of the jobs that are done."""
        self._next_step: asyncio.TimerHandle | None = None
        self._why: str | None = None
        self.began = time.monotonic()
        self.stats = self._work.stats
        self.shared: dict[tuple[int, ...], Body] = {}
        """What answers are made of the stats: clients that wait for the same pass share the bytes."""
        self.listed = False
        self.complete = False
        self.seconds = 0.0
        """How long it took, once it is complete."""
        self.cpu_seconds = 0.0
        """CPU time of its readings that have come to an end."""

    def unread(self) -> frozenset[Container] | None:
        """The containers that are there and have no figures yet; None: any may be. To be asked before ``stats``."""
        return self._work.unread() if self.listed else None

    def encoded(self, encode: Callable[[ContainerStats], bytes], first: int, end: int) -> list[bytes]:
        """stats[first:end], each encoded once for all who ask (always with the same encoder)."""
        cache = self._work.encoded
        if self._work.encode is None:
            cache.extend(map(encode, self.stats[len(cache) : end]))
        return cache[first:end]

    @property
    def failure(self) -> ListingFailed | None:
        """Why the pass as a whole failed."""
        return ListingFailed(self._why) if self._why else self._work.failure

    @property
    def error(self) -> str | None:
        """The same in words."""
        failure = self.failure
        return None if failure is None else str(failure)

    def start(self) -> None:
        """Queue the work."""
        self._deadline = self._loop.call_later(LISTING_SECONDS, self._out_of_time)
        self._submit(self._work.items)
        self._patience = Patience(LISTING_SECONDS, self._listing_moved)

    def _submit(self, items: deque[Item]) -> None:
        job = Job(items, long=True)
        self._jobs.append(job)
        job.finished = lambda: self._call(self._step)
        self._sampling_thread.submit(job)

    def _call(self, what: Callable[[], None]) -> None:
        call_from_thread(self._loop, what)

    def _notify(self) -> None:
        known = len(self.stats)
        if known > (self._told[-1] if self._told else 0):
            self._told.append(known)
        elif not self.complete:
            return
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _listing_over(self) -> None:
        self.listed = True
        if self._deadline is not None:
            self._deadline.cancel()
        if not self.complete:
            self._patience = Patience(CONTAINER_SECONDS, self._last_ended)
            self._deadline = self._loop.call_later(CONTAINER_SECONDS, self._out_of_time)
            self._step()

    def _listing_moved(self) -> float:
        return max(self._sampling_thread.moved(self._jobs), self._sampling_thread.left_moved)

    def _last_ended(self) -> float:
        return max(self._ended, *map(self._sampling_thread.ended, self._jobs), 0.0)

    def _step(self) -> None:
        """Until everything is read: hand on what is known, take the second readings that are due, look again soon.

        By a timer, not only when a job is over: a job that holds a hung reading may never be.
        """
        if self._next_step is not None:
            self._next_step.cancel()
        if self.complete:
            return
        now = time.monotonic()
        if self._work.under_way:
            self._next_step = self._loop.call_later(_FLUSH_SECONDS, self._list_again)
            return
        pending, due = self._work.pending, deque[Item]()
        while pending and pending[0][0] <= now + TOGETHER_SECONDS:
            due.append(partial(self._work.second, pending.popleft()[1]))
        if due:
            self._submit(due)
        done = [job for job in self._jobs if job.done]  # once: another may come to its end meanwhile
        self.cpu_seconds += sum(job.cpu_seconds for job in done)
        self._ended = max(self._ended, *(job.ended for job in done), 0.0)
        self._jobs = [job for job in self._jobs if job not in done]
        if not self._jobs and not pending:
            self._finish()
            return
        self._notify()
        if self.only_hung:
            self._wake()
        wait = min(_FLUSH_SECONDS, pending[0][0] - now) if pending else _FLUSH_SECONDS
        self._next_step = self._loop.call_later(wait, self._step)

    def _list_again(self) -> None:
        if not self.complete:
            self._work.list_again()
            self._submit(self._work.items)

    def _out_of_time(self) -> None:
        left = 0.0 if self._patience is None else self._patience.left()
        if left > 0:
            self._deadline = self._loop.call_later(left, self._out_of_time)
            return
        if not self.listed:
            self._why = f"listing the containers takes over {LISTING_SECONDS:.0f} s"
        for container in list(self._work.outstanding):
            self._names.say_once(
                container.identity.id, f"left out: reading its files takes over {CONTAINER_SECONDS:.0f} s"
            )
        self._finish()

    def stop(self) -> None:
        """End the pass with what it has."""
        if not self.complete:
            if not self.listed:
                self._why = STOPPING
            self._finish()

    def _finish(self) -> None:
        for timer in (self._deadline, self._next_step):
            if timer is not None:
                timer.cancel()
        self.complete = True
        self._patience = None  # it refers to the pass
        self._work.end()
        self.seconds = time.monotonic() - self.began
        self._notify()

    @property
    def listing_number(self) -> int:
        """The number of its listing."""
        return self._work.listing_number

    @property
    def only_hung(self) -> bool:
        """Whether it waits for hung readings alone. A new request need not."""
        waiting = self._work.pending or not all(job.only_hangs for job in self._jobs)
        return self.listed and not waiting and time.monotonic() - self.began > _ONLY_HUNG_SECONDS

    async def batches(self) -> AsyncIterator[tuple[int, int, bool]]:
        """(first, last + 1, whether they are the last) of the stats that became known, until the pass is over."""
        first = number = 0
        while True:
            changed = self._changed
            if number < len(self._told):
                end = self._told[number]
                number += 1
                yield first, end, self.complete and number == len(self._told)
                first = end
            elif self.complete:
                return
            else:
                await changed.wait()

    async def wait(self) -> list[ContainerStats]:
        """All stats, once the pass is over. Raises ListingFailed."""
        async for _ in self.batches():
            pass
        return self._known()

    async def settled(self) -> list[ContainerStats]:
        """The same, without what hangs (:attr:`only_hung`). Raises ListingFailed."""
        while not self.complete and not self.only_hung:
            await self._changed.wait()
        return self._known()

    async def in_time(self) -> list[ContainerStats]:
        """The same, as far as it is known within a second; it does not grow any more. Raises ListingFailed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IN_TIME_SECONDS):
                await self.settled()
        return list(self._known())

    def _known(self) -> list[ContainerStats]:
        if (failure := self.failure) is not None:
            raise failure
        return self.stats
