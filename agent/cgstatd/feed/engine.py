"""What the Engine API's routes ask: who is there, figures, processes, the host, and what happened."""

from __future__ import annotations

import contextlib
import re
import time
from functools import partial

from cgroupfs import CgroupGone, ParseError, Version, select

from ..basics.event_loop import OneThread
from ..basics.text import printable
from ..host.procfs.host_load import UPTIME, parse_uptime
from ..host.procfs.uname import Uname, read_uname
from ..host.runtimes.base import State
from ..outputs.engine.containers import Listed, gone
from ..outputs.engine.system import HostWords
from ..sampling.container import Container
from ..sampling.first_programs import FirstPrograms
from ..sampling.health_checks import health_of
from ..sampling.lived import last_end
from ..sampling.lookup import Known, NotFound
from ..sampling.one_container import ended_as, identity_of
from ..sampling.program_list import ProcessRow, program_list
from ..sampling.rates import MOST_CORES
from ..sampling.reading_failed import ReadingFailed
from .coalesced import Coalesced
from .engine_events import EngineEvents
from .engine_lookup import find, is_named
from .engine_readings import EngineReadings
from .engine_seconds import Seconds
from .follow.followed_container import born_seconds
from .follow.follower import Follower
from .lives import View
from .shared_passes import Feed

_FROZEN = "freezer.frozen"
_SELECTION = select(_FROZEN)
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_OS_RELEASE_BYTES = 8192
_MACHINE_ID = "/etc/machine-id"
_MACHINE_ID_DIGITS = 32


class NotRunning(Exception):
    """The container has no processes: it does not run."""


class Engine:
    """Used in the event loop."""

    def __init__(self, feed: Feed, follower: Follower, fresh_seconds: float = 0.5) -> None:
        self._feed = feed
        self._follower = follower
        self._number = -1
        self._programs = FirstPrograms(feed.sampler.root)
        self.answers = OneThread("cgstatd-engine")
        """Where answers are computed: clients of this API wait for each other, and nobody else for them."""
        self.readings = EngineReadings(feed)
        self.seconds = Seconds(self.readings.get)
        self.listed: Coalesced[list[Listed]] = Coalesced(
            self._make_list, fresh_seconds, lambda: feed.news_since(self._number)
        )
        self.host: Coalesced[HostWords] = Coalesced(lambda: feed.run(self._read_host), fresh_seconds)
        self.events = EngineEvents(feed, follower, lambda: partial(self._list, follower.lives.view(), freezer=False))

    async def _make_list(self) -> list[Listed]:
        return await self._feed.run(partial(self._list, self._follower.lives.view()))

    async def one(self, wanted: str) -> Listed:
        """One container; one that is no longer on disk as it ended. Raises NotFound, Ambiguous, ListingFailed,
        ReadingFailed."""
        view = self._follower.lives.view()
        try:
            return await self._feed.run(partial(find, self._feed, wanted), partial(self._listed, view))
        except NotFound:
            for identity, last in reversed(self._follower.last_words.all()):
                if is_named(identity, wanted.removeprefix("/")):
                    return gone(identity, last)
            raise

    async def processes(self, wanted: str) -> list[ProcessRow]:
        """Raises NotFound, NotRunning, Ambiguous, ListingFailed, ReadingFailed."""
        return await self._feed.run(partial(find, self._feed, wanted), self._processes)

    def stop(self) -> None:
        """End every stream."""
        self.events.stop()
        self.seconds.stop()

    # -- in the sampling thread

    def _list(self, view: View, freezer: bool = True) -> list[Listed]:
        """``freezer``: ask the kernel also which of those are paused whose runtime says it itself."""
        everything, self._number = self._feed.known(), self._feed.sampler.registry.number
        self._programs.keep({known.target for known in everything if isinstance(known.target, Container)})
        return [self._listed(view, known, freezer) for known in everything]

    def _listed(self, view: View, known: Known, freezer: bool = True) -> Listed:
        target = known.target
        if not isinstance(target, Container):
            return _stopped(view, known)
        state, metadata = _state(target, known.state, freezer), target.identity.metadata
        started = metadata is not None and metadata.started_seconds is not None
        program = None if metadata is not None and metadata.program else self._programs.of(target)
        silent = metadata is None or metadata.state is State.UNKNOWN  # its engine writes no starts
        begun = True if started else self._programs.runs(target) if silent else False
        born = None if started else born_seconds(self._feed.sampler.root, target)
        now = self._feed.sampler.root.clock()
        health = health_of(self._feed.sampler.names, target, now)
        return Listed(target.identity, state, True, born, health, program, begun)

    def _processes(self, known: Known) -> list[ProcessRow]:
        rows = None
        if isinstance(known.target, Container):
            rows = program_list(self._feed.sampler, known.target)
        if rows is None:
            raise NotRunning(known.name)
        return rows

    def _read_host(self) -> HostWords:
        sampler = self._feed.sampler
        memory = sampler.hierarchy.mount("memory")
        cores = sampler.host.cores()
        uname = self._uname()
        return HostWords(
            name=printable(uname.nodename),
            kernel=printable(uname.release),
            machine=printable(uname.machine),
            system=printable(self._system()),
            cores=None if cores == MOST_CORES else cores,
            memory_bytes=sampler.host.mem_total(),
            cgroup_version="1" if memory is not None and memory.version is Version.V1 else "2",
            time_ns=time.time_ns(),
            machine_id=self._machine_id(),
            uptime_seconds=self._uptime(),
        )

    def _uname(self) -> Uname:
        try:
            return read_uname(self._feed.sampler.root)
        except (OSError, ParseError):
            return Uname("Linux", "", "", "", "", "")

    def _machine_id(self) -> str:
        """Empty where there is none (machine-id(5))."""
        try:
            text = self._feed.sampler.root.read(_MACHINE_ID).decode("ascii", "replace").strip()
        except OSError:
            return ""
        return text if re.fullmatch(f"[0-9a-f]{{{_MACHINE_ID_DIGITS}}}", text) else ""

    def _uptime(self) -> float | None:
        try:
            return parse_uptime(self._feed.sampler.root.read(UPTIME))
        except (OSError, ParseError):
            return None

    def _system(self) -> str:
        for path in _OS_RELEASE:
            try:
                data = self._feed.sampler.root.read(path)[:_OS_RELEASE_BYTES]
            except OSError:
                continue
            for line in data.decode("utf-8", "replace").splitlines():
                key, _, value = line.partition("=")
                if key == "PRETTY_NAME":
                    return value.strip("\"'")
        return ""


def _stopped(view: View, known: Known) -> Listed:
    lived = view.of(identity_of(known))
    identity, state = ended_as(known, lived)
    end = last_end(identity.metadata, identity.id, lived, running=False)
    health = known.metadata.health if known.metadata else None
    written = None if health is None or health.log else health.written  # at its end: no probe comes after it
    return Listed(identity, state, running=False, health=written, absent=end.absent if end else None)


def _state(container: Container, said: State, freezer: bool) -> State:
    """The kernel's freezer overrules the runtime's word; where a child is frozen instead the word counts (crun)."""
    if said is State.RESTARTING:
        return said
    frozen = None
    if not container.ref.match.payload and (freezer or said is State.UNKNOWN):
        with contextlib.suppress(CgroupGone, OSError, ReadingFailed), container.reading() as cgroup:
            frozen = cgroup.read(_SELECTION).values[_FROZEN]
    if frozen is None:
        return State.PAUSED if said is State.PAUSED else State.RUNNING
    return State.PAUSED if frozen else State.RUNNING
