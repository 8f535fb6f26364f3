"""What stays open of one container between readings: its counters, its vitals, one of its processes.

Used by the thread that holds the container's lock (:mod:`.container`).
"""

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import (
    VITALS,
    Cgroup,
    CgroupGone,
    Clock,
    CounterReader,
    Counters,
    Counting,
    Descriptors,
    Hierarchy,
    KeptReader,
    Root,
    Vitals,
    select,
)

from ..host.discovery import CgroupRef
from ..host.limit_changes import LimitChanges
from .model import CpuReading
from .process_finder import ProcessFinder
from .reading_failed import ReadingFailed, explain

_REOPEN_NS = 30_000_000_000
_QUOTA_NS = 60_000_000_000
"""Whether it has a CPU quota is looked at again after this time."""
_THROTTLING = select("cpu.quota_usec", "cpu.throttled_nsec", lean=True)


class Shared(NamedTuple):
    """What the readers of all containers share: change notification, and whether v1 counts block I/O at all."""

    changes: LimitChanges
    counting: Counting | None


class OpenFiles:
    """Each file is opened when it is read for the first time. After :meth:`close` nothing is to be read any more."""

    __slots__ = tuple(
        "_has_quota _opened_ns _payload _quota_ns _reader _root _shared _vitals cgroup descriptors finder".split()
    )

    def __init__(
        self, root: Root, hierarchy: Hierarchy, ref: CgroupRef, descriptors: Descriptors, shared: Shared | None
    ) -> None:
        self._root = root
        self._payload = ref.match.payload
        self._shared = shared
        self.descriptors = descriptors
        self.cgroup = Cgroup(root, hierarchy, ref.path, dict(ref.inodes), descriptors)
        self.finder = ProcessFinder(root, self.cgroup, descriptors)
        self._vitals: KeptReader[Vitals] | None = None
        self._reader: CounterReader | None = None
        self._opened_ns = 0
        self._has_quota = False
        self._quota_ns = 0
        """Monotonic: whether it has one is to be looked at again."""

    def counters(self, before: Counters | None) -> tuple[Clock, Counters, int, int]:
        """The counters, and when reading began and (monotonic) the CPU time and block I/O had been read.

        ``before``: see :meth:`cgroupfs.CounterReader.read`. Raises CgroupGone, ReadingFailed, OSError.
        """
        reader = self._reader or self._open()
        clock = self._root.clock(self.cgroup.path)
        counters = reader.read(before)
        if reader.missing:
            self._look_at_missing(reader, clock.monotonic_ns)
        return clock, counters, reader.cpu_read_ns, reader.io_read_ns

    def cpu(self) -> CpuReading | None:
        """CPU time alone; None: the kernel does not say. Raises CgroupGone, OSError."""
        reader = self._reader or self._open()
        before = self._root.clock(self.cgroup.path).monotonic_ns
        usage = reader.cpu_usage_nsec()
        return None if usage is None else CpuReading(usage, before, reader.cpu_read_ns)

    def _open(self) -> CounterReader:
        counting = self._shared.counting if self._shared else None
        reader = self._reader = self.cgroup.counters(self.descriptors, self._payload, counting)
        self._opened_ns = self._root.clock(self.cgroup.path).monotonic_ns
        if self._shared is not None:
            self._shared.changes.follow(reader)
        return reader

    def _look_at_missing(self, reader: CounterReader, now_ns: int) -> None:
        failed = reader.failed()
        if failed is not None:
            self._close_reader()  # opened anew next time: where no descriptor is left, a file counts as unreadable
            raise ReadingFailed(explain(failed), failed.field)
        if now_ns - self._opened_ns > _REOPEN_NS:
            self._close_reader()  # a controller may have been enabled meanwhile

    def vitals(self, known: Vitals | None) -> Vitals:
        """Tasks, OOM kills, peak of memory; ``known``: take the tasks from there.

        Raises CgroupGone, OSError; nothing of it stays open then.
        """
        try:
            if self._vitals is None:
                self._vitals = self.cgroup.reader(VITALS, self.descriptors)
            if known is None:
                return self._vitals.read()
            return self._vitals.read("memory")._replace(pids=known.pids)
        except (CgroupGone, OSError):
            self.close_vitals()
            raise

    def throttled_nsec(self) -> int | None:
        """For how long its CPU quota held it up; None: it has none, or had none within the last minute.

        Two files that do not stay open, where there is a quota; else one a minute. Raises CgroupGone, OSError.
        """
        now = self._root.clock(self.cgroup.path).monotonic_ns
        if not self._has_quota and now < self._quota_ns:
            return None
        found = self.cgroup.read(_THROTTLING).values
        self._has_quota, self._quota_ns = isinstance(found["cpu.quota_usec"], int), now + _QUOTA_NS
        throttled: int | None = found["cpu.throttled_nsec"]
        return throttled

    def close_vitals(self) -> None:
        """Close the files of the vitals; safe to call twice."""
        if self._vitals is not None:
            self._vitals.close()
            self._vitals = None

    def _close_reader(self) -> None:
        if self._reader is not None:
            if self._shared is not None:
                self._shared.changes.forget(self._reader)
            self._reader.close()
            self._reader = None

    def close(self) -> None:
        """Release everything; safe to call twice."""
        self._close_reader()
        self.close_vitals()
        self.finder.close()
        self.cgroup.close()
