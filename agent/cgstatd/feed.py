"""Between the sampling thread and the event loop: requests share passes, and nobody waits for a hung file.

A pass lists the containers and reads each once. Requests that come while a pass runs, or within the freshness window
after it began, share its results. Without requests only the CPU baseline runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from . import derive
from .container import ReadingFailed, Watched
from .crew import Crew, Job
from .lookup import Known, merge, resolve, running
from .network import Namespaces
from .runtimes.base import Metadata, is_hex_id
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
_TOGETHER_SECONDS = 0.01
"""Second readings that are due within this time are one job."""
_ONLY_HUNG_SECONDS = 1.0
"""A pass that is older, and has nothing left but hung readings, keeps no new request waiting."""
_STOPPING = "the agent is stopping"
_STOPPED_SECONDS = 2.0
"""How long the list of stopped containers is believed."""


class Pass:
    """One reading of every container that has a cgroup. ``stats`` grows until ``complete``."""

    def __init__(self, sampler: Sampler, crew: Crew) -> None:
        self._sampler = sampler
        self._crew = crew
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._told = 0
        self._jobs: list[Job] = []
        self._pending: deque[tuple[float, Pending]] = deque()
        """What needs a second reading, and when (monotonic)."""
        self._outstanding: set[Watched] = set()
        self._deadline: asyncio.TimerHandle | None = None
        self._next_step: asyncio.TimerHandle | None = None
        self._namespaces: Namespaces
        self.began = time.monotonic()
        self.stats: list[ContainerStats] = []
        self.encoded: list[bytes] = []
        """A cache for whoever encodes the stats: entry n belongs to stats[n]."""
        self.encoded_array = b""
        """All of them as one answer, once the pass is complete: those who wait for it share the bytes."""
        self.listed = False
        self.complete = False
        self.seconds = 0.0
        """How long it took, once it is complete."""
        self.error: str | None = None
        """Why the pass as a whole failed."""

    def start(self) -> None:
        """Queue the work."""
        self._deadline = self._loop.call_later(LISTING_SECONDS, self._out_of_time)
        self._submit([self._list])

    def _submit(self, items: list[Callable[[], None]]) -> None:
        job = Job(deque(items))
        self._jobs.append(job)
        job.finished = lambda: self._call(self._step)
        self._crew.submit(job)

    def _call(self, what: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    # -- in the sampling thread

    def _list(self) -> None:
        try:
            containers = self._sampler.containers()
            self._namespaces = self._sampler.namespaces()
        except ListingFailed as error:
            self.error = str(error)
            return
        except Exception as error:
            log.exception("listing the containers")
            self.error = f"cannot list the containers: {error!r}"
            return
        if self.complete:  # it took too long
            return
        self._outstanding = set(containers)
        self._jobs[0].items.extend(partial(self._read, watched) for watched in containers)
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
            self._pending.append((time.monotonic() + CPU_WINDOW_SECONDS, result))
            return
        self._outstanding.discard(watched)
        if result is not None:
            self.stats.append(result)

    # -- in the event loop

    def _notify(self) -> None:
        if self.complete or len(self.stats) > self._told:
            self._told = len(self.stats)
            self._changed.set()
            self._changed = asyncio.Event()

    def _listing_over(self) -> None:
        self.listed = True
        if self._deadline is not None:
            self._deadline.cancel()
        if not self.complete:
            self._deadline = self._loop.call_later(CONTAINER_SECONDS, self._out_of_time)
            self._step()

    def _step(self) -> None:
        """Until everything is read: hand on what is known, take the second readings that are due, look again soon.

        By a timer, not only when a job is over: one that holds a hung reading may never be.
        """
        if self._next_step is not None:
            self._next_step.cancel()
        if self.complete:
            return
        now = time.monotonic()
        due: list[Callable[[], None]] = []
        while self._pending and self._pending[0][0] <= now + _TOGETHER_SECONDS:
            due.append(partial(self._second, self._pending.popleft()[1]))
        if due:
            self._submit(due)
        self._jobs = [job for job in self._jobs if not job.done]
        if not self._jobs and not self._pending:
            self._finish()
            return
        self._notify()
        wait = min(_FLUSH_SECONDS, self._pending[0][0] - now) if self._pending else _FLUSH_SECONDS
        self._next_step = self._loop.call_later(wait, self._step)

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
            if not self.listed:
                self.error = _STOPPING
            self._finish()

    def _finish(self) -> None:
        for timer in (self._deadline, self._next_step):
            if timer is not None:
                timer.cancel()
        self.complete = True
        self.seconds = time.monotonic() - self.began
        self._notify()

    @property
    def only_hung(self) -> bool:
        """Whether it is waiting for hung readings alone: a new request need not."""
        waiting = self._pending or any(job.items for job in self._jobs)
        return self.listed and not waiting and time.monotonic() - self.began > _ONLY_HUNG_SECONDS

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
        self._waiting: set[asyncio.Future[Any]] = set()
        self._stopping = False
        self.passes = 0
        self.pass_seconds = 0.0
        """Of all passes but the last."""

    def start(self) -> None:
        """Start the sampling thread and the baseline."""
        self._crew.start()
        self._tick()

    def retime(self, *, freshness_seconds: float, baseline_seconds: float) -> None:
        """Take over other times while it runs."""
        self._freshness, self._baseline = freshness_seconds, baseline_seconds
        if self._baseline_timer is not None:
            self._baseline_timer.cancel()
        self._tick()

    def stop(self) -> None:
        """Stop the baseline, the pass under way (what it has is all there will be) and, unless it hangs, the thread."""
        self._stopping = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(ReadingFailed(_STOPPING))
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

    def round(self, freshness_seconds: float | None = None) -> Pass:
        """The pass that answers a request that comes now; ``freshness_seconds``: another window than the configured."""
        current = self._pass
        if current is not None:
            window = self._freshness if freshness_seconds is None else freshness_seconds
            fresh = time.monotonic() - current.began < window
            joinable = not current.complete and not current.only_hung
            if (fresh and current.error is None) or joinable:
                return current
        self.passes += 1
        self.pass_seconds += 0.0 if current is None else current.seconds
        current = self._pass = Pass(self._sampler, self._crew)
        if self._stopping:
            current.stop()
        else:
            current.start()
        return current

    async def one(self, wanted: str) -> ContainerStats:
        """One container's figures. Raises NotFound, Ambiguous, ListingFailed, ReadingFailed."""
        first = await self._run(lambda: self._resolve_and_read(wanted))
        if isinstance(first, ContainerStats):
            return first
        await asyncio.sleep(CPU_WINDOW_SECONDS)
        return await self._run(lambda: self._second(first))

    @property
    def sampler(self) -> Sampler:
        """What the sampling thread reads with; to be used there (:meth:`run`) only."""
        return self._sampler

    @property
    def crew(self) -> Crew:
        """The sampling thread."""
        return self._crew

    async def run(self, work: Callable[[], T]) -> T:
        """Do one thing in the sampling thread. Raises what it raises, ReadingFailed after CONTAINER_SECONDS."""
        return await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        """Do one thing in the sampling thread. Raises what it raises, ReadingFailed after CONTAINER_SECONDS."""
        if self._stopping:
            raise ReadingFailed(_STOPPING)
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
        self._waiting.add(future)
        try:
            async with asyncio.timeout(CONTAINER_SECONDS):
                return await future
        except TimeoutError:
            raise ReadingFailed(f"reading the container takes over {CONTAINER_SECONDS:.0f} s") from None
        finally:
            self._waiting.discard(future)

    # -- in the sampling thread

    def known(self) -> list[Known]:
        """Every container there is, stopped ones included. Raises ListingFailed."""
        return merge(self._sampler.containers(), self._on_disk(_STOPPED_SECONDS))

    @staticmethod
    def _by_whole_id(wanted: str, live: Sequence[Watched]) -> Known | None:
        """The usual question, answered without a look at what is on disk; ids that are names may be ambiguous."""
        return next((running(w) for w in live if w.identity.id == wanted and not w.identity.owner_uid), None)

    def _resolve_and_read(self, wanted: str) -> ContainerStats | Pending:
        live = self._sampler.containers()
        found = self._by_whole_id(wanted, live) if is_hex_id(wanted) else None
        found = found or resolve(wanted, merge(live, self._on_disk(_STOPPED_SECONDS)))
        if isinstance(found.target, Watched):
            last = found.target.last
            if last is not None and self._is_fresh(last):
                return last
            result = self._sampler.read(found.target, self._sampler.namespaces())
            if result is not None:
                return result
            return self._stopped_now(found.id)
        return self._not_running(found)

    def _second(self, first: Pending) -> ContainerStats:
        return self._sampler.second(first) or self._stopped_now(first.watched.identity.id)

    def _stopped_now(self, container_id: str) -> ContainerStats:
        """It stopped while it was read: what is on disk answers for it, if anything does. Raises NotFound."""
        return self._not_running(resolve(container_id, merge([], self._on_disk(0.0))))

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
