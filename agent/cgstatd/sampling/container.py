"""One container: what is kept open and remembered of it between readings.

It is the only holder of its cgroup, and has one reader at a time: a thread that reads anything of it, for any route,
holds ``busy`` meanwhile. So a file of it that hangs costs one thread. The next reading waits for that one for a moment
(it may only be slow), those after it are refused at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from cgroupfs import (
    Absent,
    Cgroup,
    CgroupGone,
    Clock,
    Counters,
    Descriptors,
    Exhausted,
    Hierarchy,
    Root,
    Vitals,
    hangs,
)

from ..host.discovery import CgroupRef
from ..host.identity import Identity
from ..host.runtimes.base import Health
from . import rates
from .highest import HighestSeen
from .lived import Terminated
from .model import ContainerStats, CpuReading, Log
from .network import Namespaces, Traffic
from .open_files import OpenFiles, Shared
from .process_finder import ProcessFinder
from .reading_failed import HUNG, ReadingFailed

_STILL_NS = 45_000_000_000
"""The reading behind the first one that is so much later reads everything again."""


class Begun(NamedTuple):
    """A reading whose network figures are still to be read."""

    container: Container
    clock: Clock
    """When the counters were read."""
    counters: Counters
    cpu_read_ns: int
    """When (monotonic) the CPU time had been read."""
    io_read_ns: int
    """The same of block I/O."""
    vitals: Vitals | None = None
    """None: they were not asked for, or cannot be read."""
    throttled_nsec: int | None = None
    """None: it was not asked for, cannot be read, or there is no CPU quota."""


class Container:
    """A container cgroup. Its readings are taken by one thread at a time (``busy`` is held meanwhile)."""

    __slots__ = tuple(
        "_files _hangs _hierarchy _left _root _shared _still busy closed descriptors due_ns generation health highest "
        "identity kept_in last last_end log lookups naming over promised_limit ref since_ns window".split()
    )

    def __init__(
        self,
        root: Root,
        hierarchy: Hierarchy,
        ref: CgroupRef,
        identity: Identity,
        descriptors: Descriptors,
        shared: Shared | None = None,
    ) -> None:
        self._root = root
        self._hierarchy = hierarchy
        self.ref = ref
        self.identity = identity
        self.due_ns = 0
        """When (monotonic) the identity is to be looked up again."""
        self.generation = 0
        """The generation of names (Names.generation) at the last lookup."""
        self.lookups = 0
        """How often it was looked up in vain since it was last known."""
        self.kept_in = ""
        """The directory of its state files that is followed."""
        self.since_ns: int | None = None
        """When (monotonic) it was first seen; None: it was there before the agent."""
        self.promised_limit: int | None = None
        """The memory limit that its engine is about to set."""
        self.last_end: Terminated | None = None
        """Of the life before this one, where the engine's state still had it."""
        self.over = False
        """Whether the latest reading found no process in it: it ends, or a dead engine left it behind."""
        self.descriptors = descriptors
        self._shared = shared
        self._files = OpenFiles(root, hierarchy, ref, descriptors, shared)
        self.busy = threading.Lock()
        self.naming = threading.Lock()
        """Held while its identity is looked up: its state files may hang, too."""
        self._hangs = False
        """Whether another thread waited in vain for the one that reads it: no third one does."""
        self._left = hangs.left_check()
        """Whether the work of the thread that reads it was taken over."""
        self.health: tuple[int, Health] | None = None
        """When (monotonic) its health was looked at last, and what was found."""
        self.log: tuple[int, Log] | None = None
        """When (monotonic, ns) its log was looked at, and what was found; written while ``naming`` is held."""
        self._still: Begun | None = None
        """The history's reading of it since which nothing ran in it."""
        self.last: ContainerStats | None = None
        self.highest = HighestSeen()
        self.closed = False
        """Once it is closed it opens nothing any more."""
        self.window = rates.CpuWindow()

    @property
    def finder(self) -> ProcessFinder:
        """The holder of one of its processes, for other questions than its traffic."""
        return self._files.finder

    def moved(self, ref: CgroupRef) -> bool:
        """Take over another view of the same cgroup (v1: a tree more or less has it); False: it is another cgroup."""
        known = dict(self.ref.inodes)
        common = [known[point] == inode for point, inode in ref.inodes if point in known]
        if not common or not all(common):  # without a tree in common no inode tells that it is the same
            return False
        if self.closed or not self.busy.acquire(blocking=False):  # a hung reading is not waited for
            return False
        try:
            seen = self._files.finder.seen
            self._files.close()
            self.ref = ref
            self._files = OpenFiles(self._root, self._hierarchy, ref, self.descriptors, self._shared)
            self._files.finder.seen = seen
        finally:
            self.done()
        return True

    def _opened(self) -> OpenFiles:
        """Raises CgroupGone once it is closed, even if a reader still holds it: no file is opened then that is never
        closed."""
        if self.closed:
            raise CgroupGone(self.ref.path)
        return self._files

    def reading(self) -> Reading:
        """Its cgroup, for one thread at a time; there is no other way to it.

        Entering it raises ReadingFailed if an earlier reading still hangs and CgroupGone as :meth:`begin`, leaving it
        LeftBehind if this one hung.
        """
        return Reading(self)

    def begin(self) -> Cgroup:
        """As :meth:`reading`; :meth:`done` ends it. Raises ReadingFailed; CgroupGone while another thread closes it, or
        once it is closed and hangs."""
        if not self.busy.acquire(blocking=False) and not self._soon():
            if self.closed:
                raise CgroupGone(self.ref.path)
            raise ReadingFailed(f"an earlier reading of {self.ref.path} still hangs", HUNG)
        self._left = hangs.left_check()
        return self._files.cgroup

    def _soon(self) -> bool:
        """Whether the thread that reads it was done in a moment: it may be slow. Waited for in vain, it hangs, as it
        does where its work was taken over."""
        known = self.closed or self._hangs or self._left()
        self._hangs = known or not self.busy.acquire(timeout=hangs.PATIENCE_SECONDS)
        return not self._hangs

    def done(self) -> None:
        """A reading is over: let the next one begin. If it was closed meanwhile, release everything now."""
        self._hangs = False
        self.busy.release()
        if self.closed:
            self.close()

    def vitals(self, known: Vitals | None = None) -> Vitals:
        """Tasks, OOM kills, peak of memory, from files that stay open; ``known``: take the tasks from there.

        Raises ReadingFailed, CgroupGone, OSError; nothing of it stays open then.
        """
        with self.reading():
            return self._opened().vitals(known)

    def throttled_nsec(self) -> int | None:
        """For how long its CPU quota held it up. Raises ReadingFailed, CgroupGone, OSError."""
        with self.reading():
            return self._opened().throttled_nsec()

    def forget_vitals(self) -> None:
        """Close their files: no client follows the container any more. If a reading hangs, they stay open until it is
        closed."""
        if self.busy.acquire(blocking=False):
            try:
                self._files.close_vitals()
            finally:
                self.done()

    def read_cpu(self) -> CpuReading | None:
        """CPU time alone, remembered as a baseline. Raises CgroupGone, OSError."""
        reading = self._opened().cpu()
        if reading is not None:
            self.window.add(reading)
        return reading

    def counters(self, before: Counters | None = None) -> Begun:
        """The first half of a reading: the cgroup's files. Raises CgroupGone, ReadingFailed.

        ``before``: see :meth:`cgroupfs.CounterReader.read`.
        """
        return Begun(self, *self._opened().counters(before))

    def counters_and_vitals(self) -> Begun:
        """As :meth:`counters`, with the throttling and the vitals; these may be missing. Raises CgroupGone,
        ReadingFailed, Exhausted.

        While CPU time and memory stand still nothing has run in it: page cache and vitals are then those of an earlier
        reading, of up to a minute ago.
        """
        known = self._still
        begun = self.counters(known.counters if known is not None else None)
        if known is not None and known.counters[:2] == begun.counters[:2]:
            if begun.clock.monotonic_ns - known.clock.monotonic_ns >= _STILL_NS:
                self._still = None
            return begun._replace(vitals=known.vitals, throttled_nsec=known.throttled_nsec)
        try:
            begun = begun._replace(throttled_nsec=self._opened().throttled_nsec())
            begun = begun._replace(vitals=self._opened().vitals(None))
        except Exhausted:
            raise
        except (CgroupGone, OSError):
            return begun
        self._still = begun if None not in begun.counters[:3] else None
        return begun

    def traffic(self, namespaces: Namespaces) -> Traffic:
        """The second half: net/dev. Raises CgroupGone (also if its last process has left), Exhausted.

        Trouble with its network costs the network figures, never the container.
        """
        finder = self._files.finder
        traffic = finder.traffic(namespaces)
        if traffic.reason is Absent.NO_PROCESS and finder.seen:
            raise CgroupGone(self.ref.path)
        return traffic

    def percent(self, now: CpuReading, cores: int = rates.MOST_CORES) -> float | None:
        """CPU percent against the window's base; remembered for the next one. None: it needs another reading.

        ``cores``: of the host, which bound it.
        """
        base = self.window.base(now.monotonic_ns)
        percent = rates.cpu_percent(base, now, cores)
        if base is not None and percent is None:
            self.window.clear()  # a counter that fell or jumped starts anew
        self.window.add(now)
        return percent

    def second_cpu(self, cores: int = rates.MOST_CORES) -> float | None:
        """CPU percent since the reading before, for a container that had no baseline. Raises CgroupGone, OSError."""
        reading = self._opened().cpu()
        return None if reading is None else self.percent(reading, cores)

    def close(self, later: Callable[[], None] | None = None) -> None:
        """Release everything, for good. If a thread is reading it (and may hang), that thread does it."""
        self.closed = True
        if self.busy.acquire(blocking=False):
            try:
                self._files.close()
            finally:
                self.busy.release()
        elif later is not None:
            later()


class Reading:
    """``with container.reading() as cgroup:``"""

    __slots__ = ("_container",)

    def __init__(self, container: Container) -> None:
        self._container = container

    def __enter__(self) -> Cgroup:
        return self._container.begin()

    def __exit__(self, *exc: object) -> None:
        self._container.done()
        hangs.still_wanted()
