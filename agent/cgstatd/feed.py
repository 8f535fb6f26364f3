"""Between the sampling thread and the event loop: requests share passes, and nobody waits for a hung file.

A pass lists the containers and reads each once. Requests that come while a pass runs, or within the freshness window
after it began, share its results. Without requests only the CPU baseline runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from . import derive
from .container import ReadingFailed, Watched
from .crew import Crew, Job
from .lookup import Known, NotFound, merge, resolve, running
from .network import Namespaces
from .runtimes.base import Metadata
from .sample import ContainerStats, Identity
from .sampler import LISTING_SECONDS, ListingFailed, Pending, Sampler

log = logging.getLogger(__name__)
T = TypeVar("T")

CONTAINER_SECONDS = 8.0
"""A container that takes longer is left out."""
CPU_WINDOW_SECONDS = 0.2
"""Between the two readings of a container without a baseline: two CFS periods of 100 ms."""
_FLUSH_SECONDS = 0.05
"""Results of a long pass are handed on at this interval."""
_STOPPED_SECONDS = 2.0
"""How long the list of stopped containers is believed."""


class Pass:
    """One reading of every container that has a cgroup. ``stats`` grows until ``complete``."""

    def __init__(self, sampler: Sampler, crew: Crew) -> None:
        self._sampler = sampler
        self._crew = crew
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._pending: list[Pending] = []
        self._outstanding: set[Watched] = set()
        self._flushed = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._namespaces: Namespaces
        self.began = time.monotonic()
        self.stats: list[ContainerStats] = []
        self.encoded: list[bytes] = []
        """A cache for whoever encodes the stats: entry n belongs to stats[n]."""
        self.listed = False
        self.complete = False
        self.error: str | None = None
        """Why the pass as a whole failed."""

    def start(self) -> None:
        """Queue the work."""
        self._deadline = self._loop.call_later(LISTING_SECONDS, self._out_of_time)
        self._submit([self._list])

    def _submit(self, items: list[Callable[[], None]]) -> None:
        job = Job(deque(items))
        self._job = job
        job.finished = lambda: self._call(self._phase_over)
        self._crew.submit(job)

    def _call(self, what: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    # -- in the sampling thread

    def _list(self) -> None:
        try:
            containers = self._sampler.containers()
            self._namespaces = Namespaces(self._sampler.root)
        except ListingFailed as error:
            self.error = str(error)
            return
        except Exception as error:
            log.exception("listing the containers")
            self.error = f"cannot list the containers: {error!r}"
            return
        self._outstanding = set(containers)
        self._job.items.extend(partial(self._read, watched) for watched in containers)
        self._flushed = time.monotonic()
        self._call(self._listing_over)

    def _read(self, watched: Watched) -> None:
        self._take(watched, lambda: self._sampler.read(watched, self._namespaces))

    def _second(self, pending: Pending) -> None:
        self._take(pending.watched, lambda: self._sampler.second(pending))

    def _take(self, watched: Watched, read: Callable[[], ContainerStats | Pending | None]) -> None:
        try:
            result = read()
        except ReadingFailed as error:
            self._sampler.names.say_once(watched.identity.id, f"left out: {error}")
            result = None
        except Exception as error:
            log.exception("container=%s", watched.identity.id)
            self._sampler.names.say_once(watched.identity.id, f"left out: {error!r}")
            result = None
        if self.complete:
            return
        if isinstance(result, Pending):
            self._pending.append(result)
            return
        self._outstanding.discard(watched)
        if result is not None:
            self.stats.append(result)
        now = time.monotonic()
        if now - self._flushed > _FLUSH_SECONDS:
            self._flushed = now
            self._call(self._notify)

    # -- in the event loop

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _listing_over(self) -> None:
        self.listed = True
        if self._deadline is not None:
            self._deadline.cancel()
        if not self.complete:
            self._deadline = self._loop.call_later(CONTAINER_SECONDS, self._out_of_time)

    def _phase_over(self) -> None:
        """Everything has been read once; what needs a second reading gets it when its window is over."""
        pending, self._pending = self._pending, []
        self._notify()
        if pending and not self.complete:
            passed = time.monotonic() - self.began
            second: list[Callable[[], None]] = [partial(self._second, p) for p in pending]
            self._loop.call_later(max(0.0, CPU_WINDOW_SECONDS - passed), self._submit, second)
        else:
            self._finish()

    def _out_of_time(self) -> None:
        if not self.listed:
            self.error = f"listing the containers takes over {LISTING_SECONDS:.0f} s"
        for watched in list(self._outstanding):
            self._sampler.names.say_once(
                watched.identity.id, f"left out: reading its files takes over {CONTAINER_SECONDS:.0f} s"
            )
        self._finish()

    def stop(self) -> None:
        """End the pass with what it has."""
        if not self.complete:
            self._finish()

    def _finish(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self.complete = True
        self._notify()

    @property
    def only_hung(self) -> bool:
        """Whether it is waiting for hung readings alone: a new request need not."""
        return self.listed and not self._job.items and time.monotonic() - self.began > 1.0

    async def batches(self) -> AsyncIterator[tuple[int, int]]:
        """(first, last + 1) of the stats that became known, until the pass is over."""
        sent = 0
        while True:
            changed, known = self._changed, len(self.stats)
            if known > sent:
                yield sent, known
                sent = known
            elif self.complete:
                return
            else:
                await changed.wait()

    async def wait(self) -> list[ContainerStats]:
        """All stats, once the pass is over. Raises ListingFailed."""
        async for _ in self.batches():
            pass
        if self.error is not None:
            raise ListingFailed(self.error)
        return self.stats


class Feed:
    """What requests ask. Used in the event loop."""

    def __init__(self, sampler: Sampler, *, freshness_seconds: float, baseline_seconds: float) -> None:
        self._sampler = sampler
        self._crew = Crew()
        self._freshness = freshness_seconds
        self._baseline = baseline_seconds
        self._pass: Pass | None = None
        self._baseline_job: Job | None = None
        self._baseline_timer: asyncio.TimerHandle | None = None
        self._stopped: tuple[float, list[Metadata]] = (-1e9, [])
        self.passes = 0

    def start(self) -> None:
        """Start the sampling thread and the baseline."""
        self._crew.start()
        self._tick()

    def stop(self) -> None:
        """Stop the baseline, the pass under way (what it has is all there will be) and, unless it hangs, the thread."""
        if self._pass is not None:
            self._pass.stop()
        if self._baseline_timer is not None:
            self._baseline_timer.cancel()
        self._crew.stop()

    def _tick(self) -> None:
        """One baseline; skipped while the one before is under way, and where a full pass has just done the same."""
        if self._baseline <= 0:
            return
        self._baseline_timer = asyncio.get_running_loop().call_later(self._baseline, self._tick)
        recent = self._pass is not None and time.monotonic() - self._pass.began < self._baseline / 2
        if recent or (self._baseline_job is not None and not self._baseline_job.done):
            return
        job = self._baseline_job = Job(deque())
        job.items.append(partial(self._baseline_list, job))
        self._crew.submit(job)

    def _baseline_list(self, job: Job) -> None:
        try:
            job.items.extend(partial(self._sampler.baseline, watched) for watched in self._sampler.containers())
        except ListingFailed as error:
            log.warning("baseline: %s", error)

    def round(self) -> Pass:
        """The pass that answers a request that comes now."""
        current = self._pass
        if current is not None:
            fresh = time.monotonic() - current.began < self._freshness
            joinable = not current.complete and not current.only_hung
            if (fresh and current.error is None) or joinable:
                return current
        self.passes += 1
        current = self._pass = Pass(self._sampler, self._crew)
        current.start()
        return current

    async def one(self, wanted: str) -> ContainerStats:
        """One container's figures. Raises NotFound, Ambiguous, ListingFailed, ReadingFailed."""
        first = await self._run(lambda: self._resolve_and_read(wanted))
        if isinstance(first, ContainerStats):
            return first
        await asyncio.sleep(CPU_WINDOW_SECONDS)
        second = await self._run(lambda: self._sampler.second(first))
        if second is None:
            raise NotFound(wanted)
        return second

    async def _run(self, work: Callable[[], T]) -> T:
        """Do one thing in the sampling thread. Raises what it raises, ReadingFailed after CONTAINER_SECONDS."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # T may itself be optional

        def item() -> None:
            try:
                outcome: tuple[T | None, Exception | None] = (work(), None)
            except Exception as error:
                outcome = (None, error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, *outcome)

        self._crew.submit(Job(deque([item])))
        try:
            async with asyncio.timeout(CONTAINER_SECONDS):
                return await future
        except TimeoutError:
            raise ReadingFailed(f"reading the container takes over {CONTAINER_SECONDS:.0f} s") from None

    # -- in the sampling thread

    def _resolve_and_read(self, wanted: str) -> ContainerStats | Pending:
        live = self._sampler.containers()
        found = next((running(w) for w in live if w.identity.id == wanted and not w.identity.owner_uid), None)
        found = found or resolve(wanted, merge(live, self._on_disk(_STOPPED_SECONDS)))
        if isinstance(found.target, Watched):
            last = found.target.last
            if last is not None and self._is_fresh(last):
                return last
            result = self._sampler.read(found.target, Namespaces(self._sampler.root))
            if result is not None:
                return result
            # it stopped just now: what is on disk answers for it, if anything does
            found = resolve(found.id, merge([], self._on_disk(0.0)))
        return self._not_running(found)

    def _is_fresh(self, last: ContainerStats) -> bool:
        return self._sampler.root.clock().monotonic_ns - last.monotonic_ns < self._freshness * 1e9

    def _on_disk(self, max_age: float) -> list[Metadata]:
        at, found = self._stopped
        if time.monotonic() - at > max_age:
            found = list(self._sampler.names.on_disk())
            self._stopped = (time.monotonic(), found)
        return found

    def _not_running(self, known: Known) -> ContainerStats:
        clock = self._sampler.root.clock()
        identity = Identity(known.id, known.name, known.runtime, known.owner_uid, known.metadata)
        return derive.stopped(identity, known.state, clock.time_ms, clock.monotonic_ns)
