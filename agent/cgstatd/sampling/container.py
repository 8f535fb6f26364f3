"""One container: what is kept open and remembered of it between readings.

It is the only holder of its cgroup, and has one reader at a time: a thread that reads anything of it, for any route,
holds ``busy`` meanwhile. So a file of it that hangs costs one thread, and the next reading is refused at once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import NamedTuple

from cgroupfs import (
    VITALS,
    Absent,
    Cgroup,
    CgroupGone,
    Clock,
    CounterReader,
    Counters,
    Counting,
    Descriptors,
    Exhausted,
    Hierarchy,
    KeptReader,
    Missing,
    Root,
    Vitals,
)
from cgroupfs.hangs import still_wanted

from ..host.discovery import CgroupRef
from ..host.identity import Identity
from ..host.limit_changes import LimitChanges
from ..host.runtimes.base import Health
from . import rates
from .lived import Terminated
from .model import ContainerStats, CpuReading, Log
from .network import Namespaces, ProcessFinder, Traffic

_REOPEN_NS = 30_000_000_000
_STILL_NS = 45_000_000_000
"""The reading behind the first one that is so much later reads everything again."""
_UNSAID = re.compile(r"^memory\.stat\.|\.usage(?=_)|_(bytes|nsec)$|\.devices$")
"""The part of a field's name that the file beside it says too."""
HUNG = "hung"


class ReadingFailed(Exception):
    """A container's figures could not be read; the text says which file and why."""

    def __init__(self, why: str, field: str = "container") -> None:
        """``field``: the one that could not be read; ``hung`` if another reading waits for a file; ``container``: any
        field."""
        super().__init__(why)
        self.field = field


class Shared(NamedTuple):
    """What the readers of all containers share: change notification, and whether v1 counts block I/O at all."""

    changes: LimitChanges
    counting: Counting | None


class Begun(NamedTuple):
    """A reading whose network figures are still to be read."""

    container: Container
    clock: Clock
    """When the counters were read."""
    counters: Counters
    cpu_read_ns: int
    """When (monotonic) the CPU time had been read."""
    vitals: Vitals | None = None
    """None: they were not asked for, or cannot be read."""


class Container:
    """A container cgroup. Its readings are taken by one thread at a time (``busy`` is held meanwhile)."""

    __slots__ = (
        "_cgroup",
        "_finder",
        "_hierarchy",
        "_opened_ns",
        "_reader",
        "_root",
        "_shared",
        "_still",
        "_vitals",
        "busy",
        "closed",
        "descriptors",
        "due_ns",
        "generation",
        "health",
        "identity",
        "kept_in",
        "last",
        "last_end",
        "log",
        "lookups",
        "naming",
        "over",
        "promised_limit",
        "ref",
        "since_ns",
        "window",
    )  # fmt: skip

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
        self._cgroup = Cgroup(root, hierarchy, ref.path, dict(ref.inodes), descriptors)
        self.busy = threading.Lock()
        self.naming = threading.Lock()
        """Held while its identity is looked up: its state files may hang, too."""
        self.health: tuple[int, Health] | None = None
        """When (monotonic) its health was looked at last, and what was found."""
        self.log: tuple[int, Log] | None = None
        """When (monotonic, ns) its log was looked at, and what was found; written while ``naming`` is held."""
        self._vitals: KeptReader[Vitals] | None = None
        self._still: Begun | None = None
        """The history's reading of it since which nothing ran in it."""
        self.last: ContainerStats | None = None
        self.closed = False
        """Once it is closed it opens nothing any more."""
        self._reader: CounterReader | None = None
        self._opened_ns = 0
        self._finder = ProcessFinder(root, self._cgroup, descriptors)
        self.window = rates.CpuWindow()

    @property
    def finder(self) -> ProcessFinder:
        """The holder of one of its processes, for other questions than its traffic."""
        return self._finder

    def moved(self, ref: CgroupRef) -> bool:
        """Take over another view of the same cgroup (v1: a tree more or less has it); False: it is another cgroup."""
        known = dict(self.ref.inodes)
        common = [known[point] == inode for point, inode in ref.inodes if point in known]
        if not common or not all(common):  # without a tree in common no inode tells that it is the same
            return False
        if self.closed or not self.busy.acquire(blocking=False):  # a hung reading is not waited for
            return False
        try:
            seen = self._finder.seen
            self._close_reader()
            self._close_vitals()
            self._finder.close()
            self._cgroup.close()
            self.ref = ref
            self._cgroup = Cgroup(self._root, self._hierarchy, ref.path, dict(ref.inodes), self.descriptors)
            self._finder = ProcessFinder(self._root, self._cgroup, self.descriptors)
            self._finder.seen = seen
        finally:
            self.done()
        return True

    def _open(self) -> CounterReader:
        """Raises CgroupGone once it is closed, even if a reader still holds it: no file is opened then that is never
        closed."""
        if self.closed:
            raise CgroupGone(self.ref.path)
        if self._reader is None:
            counting = self._shared.counting if self._shared else None
            self._reader = self._cgroup.counters(self.descriptors, self.ref.match.payload, counting)
            self._opened_ns = self._root.clock(self.ref.path).monotonic_ns
            if self._shared is not None:
                self._shared.changes.follow(self._reader)
        return self._reader

    def reading(self) -> Reading:
        """Its cgroup, for one thread at a time; there is no other way to it.

        Entering it raises ReadingFailed if an earlier reading still hangs, leaving it LeftBehind if this one hung.
        """
        return Reading(self)

    def begin(self) -> Cgroup:
        """As :meth:`reading`; :meth:`done` ends it. Raises ReadingFailed."""
        if not self.busy.acquire(blocking=False):
            raise self.still_hangs()
        return self._cgroup

    def still_hangs(self) -> ReadingFailed:
        """The error that a second reader gets."""
        return ReadingFailed(f"an earlier reading of {self.ref.path} still hangs", HUNG)

    def done(self) -> None:
        """A reading is over: let the next one begin. If it was closed meanwhile, release everything now."""
        self.busy.release()
        if self.closed:
            self.close()

    def vitals(self, known: Vitals | None = None) -> Vitals:
        """Tasks, OOM kills, peak of memory, from files that stay open; ``known``: take the tasks from there.

        Raises ReadingFailed, CgroupGone, OSError; nothing of it stays open then.
        """
        with self.reading():
            return self._read_vitals(known)

    def _read_vitals(self, known: Vitals | None = None) -> Vitals:
        try:
            if self.closed:
                raise CgroupGone(self.ref.path)
            if self._vitals is None:
                self._vitals = self._cgroup.reader(VITALS, self.descriptors)
            if known is None:
                return self._vitals.read()
            return self._vitals.read("memory")._replace(pids=known.pids)
        except (CgroupGone, OSError):
            self._close_vitals()
            raise

    def forget_vitals(self) -> None:
        """Close their files: no client follows the container any more. If a reading hangs, they stay open until it is
        closed."""
        if self.busy.acquire(blocking=False):
            try:
                self._close_vitals()
            finally:
                self.done()

    def _close_vitals(self) -> None:
        if self._vitals is not None:
            self._vitals.close()
            self._vitals = None

    def read_cpu(self) -> CpuReading | None:
        """CPU time alone, remembered as a baseline. Raises CgroupGone, OSError."""
        reading = self._cpu()
        if reading is not None:
            self.window.add(reading)
        return reading

    def _cpu(self) -> CpuReading | None:
        reader = self._open()
        before = self._root.clock(self.ref.path).monotonic_ns
        usage = reader.cpu_usage_nsec()
        return None if usage is None else CpuReading(usage, before, reader.cpu_read_ns)

    def counters(self, before: Counters | None = None) -> Begun:
        """The first half of a reading: the cgroup's files. Raises CgroupGone, ReadingFailed.

        ``before``: see :meth:`cgroupfs.CounterReader.read`.
        """
        reader = self._reader or self._open()
        clock = self._root.clock(self.ref.path)
        counters = reader.read(before)
        if reader.missing:
            self._look_at_missing(reader, clock.monotonic_ns)
        return Begun(self, clock, counters, reader.cpu_read_ns)

    def counters_and_vitals(self) -> Begun:
        """As :meth:`counters`, with the vitals; these may be missing. Raises CgroupGone, ReadingFailed, Exhausted.

        While CPU time and memory stand still nothing has run in it: page cache and vitals are then those of an earlier
        reading, of up to a minute ago.
        """
        known = self._still
        begun = self.counters(known.counters if known is not None else None)
        if known is not None and known.counters[:2] == begun.counters[:2]:
            if begun.clock.monotonic_ns - known.clock.monotonic_ns >= _STILL_NS:
                self._still = None
            return begun._replace(vitals=known.vitals)
        try:
            begun = begun._replace(vitals=self._read_vitals())
        except Exhausted:
            raise
        except (CgroupGone, OSError):
            return begun
        self._still = begun if None not in begun.counters[:3] else None
        return begun

    def _look_at_missing(self, reader: CounterReader, now_ns: int) -> None:
        failed = reader.failed()
        if failed is not None:
            self._close_reader()  # opened anew next time: where no descriptor is left, a file counts as unreadable
            raise ReadingFailed(explain(failed), failed.field)
        if now_ns - self._opened_ns > _REOPEN_NS:
            self._close_reader()  # a controller may have been enabled meanwhile

    def traffic(self, namespaces: Namespaces) -> Traffic:
        """The second half: net/dev. Raises CgroupGone (also if its last process has left), Exhausted.

        Trouble with its network costs the network figures, never the container.
        """
        traffic = self._finder.traffic(namespaces)
        if traffic.reason is Absent.NO_PROCESS and self._finder.seen:
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
        reading = self._cpu()
        return None if reading is None else self.percent(reading, cores)

    def _close_reader(self) -> None:
        if self._reader is not None:
            if self._shared is not None:
                self._shared.changes.forget(self._reader)
            self._reader.close()
            self._reader = None

    def close(self, later: Callable[[], None] | None = None) -> None:
        """Release everything, for good. If a thread is reading it (and may hang), that thread does it."""
        self.closed = True
        if self.busy.acquire(blocking=False):
            try:
                self._close_reader()
                self._close_vitals()
                self._finder.close()
                self._cgroup.close()
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
        still_wanted()


def explain(missing: Missing) -> str:
    """A failed value in words."""
    field = _UNSAID.sub("", missing.field).replace(".", " ").replace("_", " ")
    return f"cannot read {field}: {missing.path}: {missing.reason.value}"
