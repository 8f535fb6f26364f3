"""Takes readings of the host's containers. Synchronous: called in the sampling thread, one item of a job at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from cgroupfs import Absent, CgroupGone, Hierarchy, ParseError, Root

from . import derive
from .container import Begun, ReadingFailed, Shared, Watched
from .listing import Listing
from .names import Names
from .network import Namespaces, Traffic, host_network
from .procfs.meminfo import mem_total_bytes
from .sample import ContainerStats, CpuReading

log = logging.getLogger(__name__)
T = TypeVar("T")

_UNSEEN = (Absent.PERMISSION, Absent.HIDDEN, Absent.FOREIGN)
_MEM_TOTAL_NS = 60_000_000_000


class Pending(NamedTuple):
    """A reading whose CPU figure needs a second look after a short window."""

    begun: Begun
    traffic: Traffic


class Sampler:
    """The containers of one host."""

    def __init__(
        self,
        root: Root,
        hierarchy: Hierarchy,
        listing: Listing,
        names: Names,
        engine_namespaces: Callable[[], frozenset[int]] = frozenset,
        shared: Shared | None = None,
    ) -> None:
        self.root = root
        self.hierarchy = hierarchy
        self.names = names
        self.listing = listing
        self._engine_namespaces = engine_namespaces
        self._shared = shared
        self._mem_total: int | None = None
        self._mem_total_at = 0

    def containers(self) -> list[Watched]:
        """The containers that have a cgroup now, those that belong to the system first. Raises ListingFailed."""
        return self.listing.containers()

    def namespaces(self) -> Namespaces:
        """What one pass shares: the network figures by namespace. Also brings up to date what all readers share."""
        namespaces = Namespaces(self.root, self._engine_namespaces())
        if self._shared is not None:
            self._shared.changes.refresh(namespaces.monotonic_ns)
            if self._shared.counting is not None:
                self._shared.counting.refresh()
        return namespaces

    def mem_total(self) -> int | None:
        """The host's memory in bytes; None where /proc/meminfo does not say (then unlimited has no figure)."""
        now = time.monotonic_ns()
        if self._mem_total is None or now - self._mem_total_at > _MEM_TOTAL_NS:
            self._mem_total_at = now
            try:
                self._mem_total = mem_total_bytes(self.root)
            except (OSError, ParseError) as error:
                self.names.say_once("host", f"cannot read the host's memory: {error}")
        return self._mem_total

    def read(self, watched: Watched, namespaces: Namespaces) -> ContainerStats | Pending | None:
        """One container's figures; None: it is gone. Raises ReadingFailed."""
        begun = self.begin(watched)
        traffic = None if begun is None else self.traffic(begun, namespaces)
        return None if begun is None or traffic is None else self.finish(begun, traffic)

    def begin(self, watched: Watched) -> Begun | None:
        """The first half of a reading: the cgroup's files; None: it is gone. Raises ReadingFailed."""
        return self._guarded(watched, Watched.counters)

    def traffic(self, begun: Begun, namespaces: Namespaces) -> Traffic | None:
        """The second half: net/dev; None: it is gone. Raises ReadingFailed."""
        return self._guarded(begun.watched, Watched.traffic, namespaces)

    def finish(self, begun: Begun, traffic: Traffic) -> ContainerStats | Pending:
        """What the two halves make. Reads nothing."""
        usage = begun.counters.cpu_usage_nsec
        if usage is None:
            return self._figures(begun, traffic, None)
        percent = begun.watched.percent(CpuReading(usage, begun.clock.monotonic_ns))
        return Pending(begun, traffic) if percent is None else self._figures(begun, traffic, percent)

    def second(self, pending: Pending) -> ContainerStats | None:
        """The figures of a reading that was waiting for its CPU window; None: it is gone. Raises ReadingFailed."""
        begun, traffic = pending
        found = self._guarded(begun.watched, lambda watched: (watched.second_cpu(),))
        return None if found is None else self._figures(begun, traffic, found[0])

    def baseline(self, watched: Watched) -> None:
        """CPU time alone; failures are the next reading's business."""
        try:
            self._guarded(watched, Watched.read_cpu)
        except ReadingFailed as error:
            log.debug("baseline: %s", error)

    def baselines(self) -> None:
        """CPU time alone of every container, one after the other: what a first figure is taken against."""
        for watched in self.containers():
            self.baseline(watched)

    def continue_from(self, earlier: Sampler) -> None:
        """Take over the baselines of another sampler: the reading before this one, of a recorded host."""
        for watched in self.containers():
            before = earlier.listing.at(watched.ref.path)
            if before is not None:
                watched.window = before.window

    def _figures(self, begun: Begun, traffic: Traffic, percent: float | None) -> ContainerStats:
        watched, clock, counters = begun
        identity = watched.identity
        if identity.metadata is not None and identity.metadata.network_mode == "host":
            traffic = host_network(traffic)
        elif traffic.reason in _UNSEEN:
            self.names.say_once(identity.id, f"no network figures: {traffic.reason.value}")
        stats = watched.last = derive.stats(identity, clock, counters, traffic, percent, self.mem_total())
        return stats

    def _guarded(self, watched: Watched, take: Callable[..., T], *arguments: Namespaces) -> T | None:
        """Take a reading while no other thread does; None: gone. Raises ReadingFailed."""
        if not watched.busy.acquire(blocking=False):
            raise ReadingFailed(f"an earlier reading of {watched.ref.path} still hangs")
        try:
            return take(watched, *arguments)
        except CgroupGone:
            return None
        except OSError as error:
            raise ReadingFailed(f"cannot read {error.filename or watched.ref.path}: {error.strerror}") from error
        finally:
            watched.busy.release()

    def close(self) -> None:
        """Release everything that is open."""
        self.listing.close()
        if self._shared is not None:
            self._shared.changes.close()
            if self._shared.counting is not None:
                self._shared.counting.close()
