"""The richer answers: every container's identity, one container's detail, the host. The sampling thread reads them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from cgroupfs import Cgroup, CgroupGone, Io, Pids

from ..host.block_devices import Devices
from ..host.identity import Identity
from ..host.runtimes.base import Metadata, State
from ..outputs.detail_json import container_detail
from ..outputs.detail_types import ContainerDetail
from ..outputs.follow_types import FollowExit
from ..outputs.host_json import NO_HISTORY, HistoryFacts, HostAnswer, PassFacts, agent_facts, host_answer, sums
from ..outputs.identity_json import ContainerIdentity, container_identity, milliseconds
from ..outputs.pressure_types import NOT_WATCHED
from ..sampling.container import Container
from ..sampling.container_detail import Detail, HostPart, collect, host_part
from ..sampling.health_checks import health_of
from ..sampling.host_figures import MINIMUM_WINDOW_NS, HostReader, agent_cost
from ..sampling.lived import NOTHING, Lived
from ..sampling.lookup import Known, NotFound
from ..sampling.model import ContainerStats
from ..sampling.one_container import ended_as, identity_of
from ..sampling.reading_failed import ReadingFailed
from .coalesced import Coalesced
from .follow.followed_container import uptime_seconds
from .follow.follower import Follower
from .follow.last_words import LastWords
from .lives import View
from .shared_passes import Feed

if TYPE_CHECKING:
    from .history.reading import History
    from .pressure.watch import PressureWatch

T = TypeVar("T", Io, Pids)


class Found(NamedTuple):
    """A container that a client asked for; ``detail``: where it has a cgroup."""

    known: Known
    detail: Detail | None


class Queries:
    """Used in the event loop."""

    def __init__(
        self,
        feed: Feed,
        follower: Follower,
        env_id: int,
        fresh_seconds: float = 0.5,
        *,
        history: History | None = None,
        keeps: HistoryFacts = NO_HISTORY,
        pressure: PressureWatch | None = None,
    ) -> None:
        """``keeps``: what is kept of the rounds of ``history``."""
        self._feed = feed
        self._follower = follower
        self._history, self._keeps, self._pressure = history, keeps, pressure
        self._env = env_id
        self._host = HostReader(feed.sampler)
        self._devices = Devices(feed.sampler.root)
        self._listed = -1
        self.listing: Coalesced[list[ContainerIdentity]] = Coalesced(
            self._make_listing,
            fresh_seconds,
            lambda: feed.news_since(self._listed),
            overloaded=feed.overloaded,
        )
        self.host: Coalesced[HostAnswer] = Coalesced(self._make_host, fresh_seconds, overloaded=feed.overloaded)
        self.hostname: Coalesced[str | None] = Coalesced(lambda: feed.run(self._host.hostname), fresh_seconds)

    async def stats(self, *, late_will_do: bool = False) -> dict[str, ContainerStats]:
        """The figures of a pass by id, without those that hang. Raises ListingFailed."""
        round_ = self._feed.round(late_will_do=late_will_do)
        return {each.identity.id: each for each in await round_.in_time()}

    async def _make_listing(self) -> list[ContainerIdentity]:
        stats = await self.stats()
        return await self._feed.run(partial(self._list, stats, self._follower.lives.view()))

    async def _make_host(self) -> HostAnswer:
        stats = await self.stats()
        if not await self._feed.run(self._host.has_window):
            await asyncio.sleep(MINIMUM_WINDOW_NS / 1e9)
        keeps = self._keeps
        if self._history is not None:
            keeps = keeps._replace(reached_seconds=self._history.reached_seconds())
        return await self._feed.run(partial(self._read_host, list(stats.values()), keeps))

    async def detail(self, wanted: str) -> ContainerDetail:
        """Raises NotFound, Ambiguous, ListingFailed, ReadingFailed."""
        stats = await self.stats(late_will_do=True)
        words = self._follower.last_words
        try:
            found = await self._feed.run(partial(self._find, wanted), partial(self._read, stats))
        except NotFound:
            last = _last_words(words, wanted)
            return _gone(*last, self._follower.lives.view())
        view = self._follower.lives.view()
        if found.detail is not None:
            container_id, target = found.detail.identity.id, found.known.target
            lived = _lived(view, target) if isinstance(target, Container) else NOTHING
            return container_detail(found.detail, words.get(container_id), lived)
        return _stopped(found.known, words.get(found.known.id), view)

    # -- in the sampling thread

    def _list(self, stats: dict[str, ContainerStats], view: View) -> list[ContainerIdentity]:
        found = []
        everything, self._listed = self._feed.known(), self._feed.sampler.registry.number
        sampler, now = self._feed.sampler, self._feed.sampler.root.clock()
        for known in everything:
            if isinstance(known.target, Container):
                identity, figures = known.target.identity, stats.get(known.id)
                state = figures.state if figures else known.state if known.metadata else State.RUNNING
                uptime = uptime_seconds(self._feed.sampler.root, known.target)
                pids = self._pids(known.target)
                lived = _lived(view, known.target)
                health = health_of(sampler.names, known.target, now)
                found.append(container_identity(identity, state, pids, lived, uptime_seconds=uptime, health=health))
            else:
                found.append(_stopped_identity(known, view))
        return found

    def _find(self, wanted: str) -> tuple[Known, HostPart | None]:
        known = self._feed.find(wanted)
        return known, host_part(self._feed.sampler, known.target) if isinstance(known.target, Container) else None

    def _read(self, stats: dict[str, ContainerStats], found: tuple[Known, HostPart | None]) -> Found:
        known, host = found
        if not isinstance(known.target, Container) or host is None:
            return Found(known, None)
        return Found(known, collect(self._feed.sampler, self._devices, known.target, stats, host))

    def _read_host(self, stats: list[ContainerStats], keeps: HistoryFacts) -> HostAnswer:
        feed, sampling_thread = self._feed, self._feed.sampling_thread
        passes = PassFacts(
            feed.passes,
            feed.cpu_budget.cost_seconds,
            feed.stretched(),
            sampling_thread.overruns,
            sampling_thread.stuck,
            sampling_thread.hung_files(),
        )
        disk = None if self._history is None or self._history.disk is None else self._history.disk.figures()
        pressure = NOT_WATCHED if self._pressure is None else self._pressure.facts()
        agent = agent_facts(agent_cost(), passes, self._follower.clients, keeps, disk, pressure)
        return host_answer(self._env, self._host.read(), sums(stats, self._block()), agent, time.time_ns() // 1_000_000)

    def _block(self) -> tuple[int, int]:
        sampler = self._feed.sampler
        if sampler.counting is not None:
            sampler.counting.refresh()
            if not sampler.counting.anything:
                return 0, 0
        read = written = 0
        for container in sampler.containers():
            found = self._of_cgroup(container, Cgroup.io)
            for each in (found.devices if found else None) or ():
                if not self._devices.get(each.device).stacked:
                    read += each.rbytes or 0
                    written += each.wbytes or 0
        return read, written

    def _pids(self, container: Container) -> int | None:
        found = self._of_cgroup(container, Cgroup.pids)
        return None if found is None else found.current

    def _of_cgroup(self, container: Container, take: Callable[[Cgroup], T]) -> T | None:
        """A record of a container; None if it is gone or hangs. Fields of it that failed are counted."""
        try:
            with container.reading() as cgroup:
                found = take(cgroup)
        except CgroupGone:
            return None
        except (ReadingFailed, OSError) as error:
            self._feed.sampler.failed(container, error)
            return None
        self._feed.sampler.failures(container, found.missing)
        return found


def _lived(view: View, container: Container) -> Lived:
    """Of one that runs; an engine's state may have told the end before the agent was started."""
    found = view.of(container.identity)
    return found if found.last is not None else found._replace(last=container.last_end)


def _stopped_identity(known: Known, view: View) -> ContainerIdentity:
    """Of a container that has no cgroup."""
    lived = view.of(identity_of(known))
    identity, state = ended_as(known, lived)
    stopped = state in (State.EXITED, State.CREATED)
    return container_identity(identity, state, 0 if stopped else None, lived, running=False)


def _stopped(known: Known, words: FollowExit | None, view: View) -> ContainerDetail:
    return ContainerDetail(
        container=msgspec.structs.replace(_stopped_identity(known, view), pids=0),
        timestamp=time.time_ns() // 1_000_000,
        cgroup=None,
        last_words=_of_the_last_life(words, known.metadata),
    )


def _of_the_last_life(words: FollowExit | None, metadata: Metadata | None) -> FollowExit | None:
    """None where the runtime's record is of a later life, whose end was not seen."""
    started = milliseconds(metadata.started_seconds) if metadata else None
    if words is None or metadata is None or started is None:
        return words
    if words.started is not None:
        return None if started > words.started else words
    # It was told without its record, up to some seconds later: its code has to be the record's.
    another = None not in (words.exit_code, metadata.exit_code) and words.exit_code != metadata.exit_code
    return None if another or started > words.timestamp else words


def _gone(identity: Identity, words: FollowExit, view: View) -> ContainerDetail:
    return ContainerDetail(
        container=container_identity(identity, State.EXITED, 0, view.of(identity), running=False),
        timestamp=time.time_ns() // 1_000_000,
        cgroup=None,
        last_words=words,
    )


def _last_words(words: LastWords, wanted: str) -> tuple[Identity, FollowExit]:
    """Of a container that is no longer on disk; the latest where several fit. Raises NotFound."""
    kept = list(reversed(words.all()))
    for fits in (
        lambda identity: wanted in (identity.id, identity.name),
        lambda identity: identity.id.startswith(wanted),
    ):
        for identity, event in kept:
            if fits(identity):
                return identity, event
    raise NotFound(wanted)
