"""Between the sampling thread and the event loop: requests share passes, and no request waits for a hung file.

A pass lists the containers and reads each once. Requests that come while a pass runs, or within the freshness window
after it began, share its results. Without requests only the CPU baseline runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol
from weakref import WeakSet

from ..basics.event_loop import call_from_thread
from ..sampling import pass_work
from ..sampling.container import Container
from ..sampling.lookup import Known
from ..sampling.model import ContainerStats
from ..sampling.one_container import OneContainer, by_whole_id
from ..sampling.registry import ListingFailed, ListingUnderWay
from ..sampling.sampler import Sampler
from ..sampling.work_item import Again
from .coalesced import OVERLOADED_SECONDS, news_wait
from .cpu_budget import REST_SECONDS, CpuBudget
from .job import Job
from .reading_pass import Pass
from .sampling_thread import SamplingThread
from .thread_calls import ThreadCalls

log = logging.getLogger(__name__)
_WORTH_SAYING = 1.5
"""Times the freshness window. A stretch that is about as long as the window would come and go in the log."""


class Load(Protocol):
    """How much is asked of the agent."""

    @property
    def overloaded(self) -> bool:
        """Whether it is more than can be answered."""


class Feed:
    """Answers requests. Used in the event loop."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        freshness_seconds: float,
        baseline_seconds: float,
        max_cpu_percent: float = 0.0,
        load: Load | None = None,
    ) -> None:
        """``max_cpu_percent``: of one core, that passes may take; 0: no bound. ``load``: None: there is never too much
        of it."""
        self._sampler = sampler
        self._load = load
        self._sampling_thread = SamplingThread()
        self._freshness = freshness_seconds
        self._baseline = baseline_seconds
        self._pass: Pass | None = None
        self._before: Pass | None = None
        """The pass before; kept while overloaded, until the next one."""
        self._passes: WeakSet[Pass] = WeakSet()
        """With those that a later one has superseded, for as long as they wait for a hung file."""
        self._baseline_job: Job | None = None
        self._baseline_timer: asyncio.TimerHandle | None = None
        self._one_container = OneContainer(sampler)
        self.cpu_budget = CpuBudget(max_cpu_percent)
        self._calls = ThreadCalls(sampler, self._sampling_thread)
        self.run, self.each, self.in_parts = self._calls.run, self._calls.each, self._calls.in_parts
        self._stopping = False
        self.passes = 0
        self.pass_seconds = 0.0
        """Duration of all passes but the last."""
        self.pass_cpu_seconds = 0.0
        """CPU time of the same."""
        self._said_stretched = False
        self.regular_seconds = 0.0
        """How often all containers are read whether a client asks or not (the history); 0: they are not."""
        self.read_all_at: float | None = None
        """When (monotonic) the history began a reading of its own; None: it had none."""

    def start(self) -> None:
        """Start the sampling thread and the baseline."""
        loop = asyncio.get_running_loop()
        self._sampler.registry.arrived = lambda several: call_from_thread(loop, self._arrived, several)
        self._sampling_thread.start()
        self._tick()

    def retime(self, *, freshness_seconds: float, baseline_seconds: float, max_cpu_percent: float) -> None:
        """Take over other times while it runs."""
        self._freshness, self._baseline = freshness_seconds, baseline_seconds
        self.cpu_budget.percent = max_cpu_percent
        if self._baseline_timer is not None:
            self._baseline_timer.cancel()
        self._tick()

    def stop(self) -> None:
        """Stop the baseline, the passes under way (they end with what they have) and, unless it hangs, the thread."""
        self._stopping = True
        self._calls.stop()
        for each in list(self._passes):
            each.stop()
        if self._baseline_timer is not None:
            self._baseline_timer.cancel()
        self._sampling_thread.stop()

    def _tick(self) -> None:
        """One baseline; skipped while the one before is under way, and where a full pass has just done the same."""
        if self._baseline <= 0:
            return
        cost = 0.0 if self._baseline_job is None else self._baseline_job.cpu_seconds
        apart = max(self._baseline, CpuBudget(self.cpu_budget.percent, REST_SECONDS).apart(cost))
        self._baseline_timer = asyncio.get_running_loop().call_later(apart, self._tick)
        regular = 1.5 * self.regular_seconds if self.regular_seconds <= self._baseline else 0.0  # these do the same
        enough = max(self._baseline / 2, regular)
        times = (self._pass.began if self._pass is not None else None, self.read_all_at)
        now = time.monotonic()
        recent = any(at is not None and now - at < enough for at in times)
        if recent or (self._baseline_job is not None and not self._baseline_job.done):
            return
        job = self._baseline_job = Job(deque(), long=True)
        job.items.append(Again(partial(self._baseline_list, job)))
        self._sampling_thread.submit(job)

    def _arrived(self, several: list[Container]) -> None:
        """New containers get their baseline as soon as a listing finds them: a request that comes later need not
        wait for a second reading."""
        if self._baseline > 0 and not self._stopping:
            self._sampling_thread.submit(
                Job(deque(partial(self._sampler.first_baseline, each) for each in several), long=True)
            )

    def _baseline_list(self, job: Job) -> None:
        try:
            job.items.extend(partial(self._sampler.baseline, container) for container in self._sampler.containers())
        except ListingUnderWay:
            pass  # the next one will do
        except ListingFailed as error:
            log.warning("baseline: %s", error)

    def round(
        self,
        freshness_seconds: float | None = None,
        encode: Callable[[ContainerStats], bytes] | None = None,
        *,
        late_will_do: bool = False,
    ) -> Pass:
        """The pass that answers a request that comes now; ``freshness_seconds``: another window than the configured;
        ``encode``: what a new pass applies to its stats as they come (:meth:`Pass.encoded`); ``late_will_do``: while
        more is asked than can be answered, one of the last five seconds."""
        usable = self.usable(self._freshness if freshness_seconds is None else freshness_seconds)
        late = self._late() if self.overloaded() else None
        if usable is None:
            self._before = late
            usable = self._begin(encode)
        return late if late is not None and late_will_do else usable

    def _begin(self, encode: Callable[[ContainerStats], bytes] | None) -> Pass:
        current = self._pass
        self.passes += 1
        if current is not None:
            self._account(current)
        current = self._pass = Pass(self._sampler, self._sampling_thread, encode)
        self._passes.add(current)
        if self._stopping:
            current.stop()
        else:
            current.start()
        return current

    def _late(self) -> Pass | None:
        """The latest pass that nobody needs to wait for, if it is not too old."""
        there = (each for each in (self._pass, self._before) if each is not None and each.error is None)
        late = next((each for each in there if each.complete or each.only_hung), None)
        return late if late is not None and time.monotonic() - late.began < OVERLOADED_SECONDS else None

    def overloaded(self) -> bool:
        """Whether more is asked than can be answered: figures of the last five seconds then do for all who ask."""
        return self._load is not None and self._load.overloaded

    def usable(self, freshness_seconds: float) -> Pass | None:
        """The pass that a request within this window would share; None: it would need one of its own."""
        current = self._pass
        if current is None:
            return None
        joinable = not current.complete and not current.only_hung
        fresh = self._fresh(current, freshness_seconds) and current.error is None
        return current if fresh or joinable else None

    def _account(self, ended: Pass) -> None:
        self.pass_seconds += ended.seconds
        self.pass_cpu_seconds += ended.cpu_seconds
        self.cpu_budget.spent(ended.cpu_seconds)
        stretched = self.stretched()
        if stretched is not None and not self._said_stretched and stretched < _WORTH_SAYING * self._freshness:
            return
        if (stretched is not None) is not self._said_stretched:
            self._said_stretched = stretched is not None
            cost, bound = self.cpu_budget.cost_seconds or 0.0, self.cpu_budget.percent
            apart = "as they are asked for" if stretched is None else f"{stretched:.1f} s apart, where that is more"
            log.info("reading all containers takes %.1f ms of CPU (max_cpu=%g): from now %s", cost * 1e3, bound, apart)

    def _fresh(self, last: Pass, window_seconds: float) -> bool:
        """Whether a pass is recent enough. Containers that came or went since are news that does not wait for long."""
        age = time.monotonic() - last.began
        if age < min(window_seconds, news_wait(last.cpu_seconds)):
            return True
        if age >= max(window_seconds, self.cpu_budget.interval_seconds):
            return False
        return not self._sampler.registry.changed_since(last.listing_number)

    def restrained(self, interval_seconds: float) -> bool:
        """Whether passes cost so much that the next one has to wait for longer than that."""
        last = self._pass
        if last is None or self.cpu_budget.stretched(interval_seconds) is None:
            return False
        return self._fresh(last, interval_seconds)

    def stretched(self) -> float | None:
        """How far apart passes are at present, where that is more than the freshness window."""
        return self.cpu_budget.stretched(self._freshness)

    async def one(self, wanted: str) -> ContainerStats:
        """One container's figures. Raises NotFound, Ambiguous, ListingFailed, ReadingFailed."""
        late = self._late() if self.overloaded() else None
        if late is not None and (found := next(by_whole_id(wanted, late.stats), None)) is not None:
            return found
        first = await self.run(
            lambda: self._one_container.find_to_read(wanted, self._freshness), self._one_container.read
        )
        if isinstance(first, ContainerStats):
            return first
        await asyncio.sleep(pass_work.wait_seconds(first))
        return await self.run(lambda: first, self._one_container.second)

    @property
    def last_pass(self) -> Pass | None:
        """The pass under way, else the last one."""
        return self._pass

    @property
    def sampler(self) -> Sampler:
        """What the sampling thread reads with; to be used there (:meth:`run`) only."""
        return self._sampler

    @property
    def sampling_thread(self) -> SamplingThread:
        """The sampling thread."""
        return self._sampling_thread

    def known(self) -> list[Known]:
        """Every container there is, stopped ones included; in the sampling thread only. Raises ListingFailed."""
        return self._one_container.known()

    def news_since(self, number: int) -> bool:
        """Whether any of :meth:`known` has come, gone or changed since the registry's number was that. Any thread."""
        return self.sampler.registry.changed_since(number) or self._one_container.outdated()

    def find(self, wanted: str) -> Known:
        """One of them; in the sampling thread only. Raises NotFound, Ambiguous, ListingFailed."""
        return self._one_container.find(wanted)
