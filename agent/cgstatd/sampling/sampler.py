"""Takes readings of the host's containers. Synchronous: called in the sampling thread, one item of a job at a time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from cgroupfs import Absent, CgroupGone, Counting, Exhausted, Hierarchy, Missing, Root
from cgroupfs.hangs import still_wanted
from cgroupfs.pseudofs import EXHAUSTED

from ..host.identity import Identity, Names, left_behind
from ..host.starting import limit_in_force
from . import rates
from .container import Begun, Container
from .host_files import HostFiles
from .model import ContainerStats, CpuReading
from .network import Namespaces, Traffic, host_network
from .open_files import Shared
from .reading_failed import ReadingFailed, explain
from .registry import OutOfResources, Registry

log = logging.getLogger(__name__)
T = TypeVar("T")

_NOTHING_WRONG = (Absent.NO_PROCESS, Absent.NO_NETWORK, Absent.HOST_NETWORK)
"""NO_NETWORK: all its processes were replaced while they were asked."""


class Pending(NamedTuple):
    """A reading whose CPU figure needs a second look after a short window."""

    begun: Begun
    traffic: Traffic
    base_age_ns: int
    """How old the container's baseline was; 0: it had none. The window is counted from it."""


class Sampler:
    """The containers of one host."""

    def __init__(
        self,
        root: Root,
        hierarchy: Hierarchy,
        registry: Registry,
        names: Names,
        engine_namespaces: Callable[[], frozenset[int]] = frozenset,
        shared: Shared | None = None,
    ) -> None:
        self.root = root
        self.hierarchy = hierarchy
        self.names = names
        self.registry = registry
        self._engine_namespaces = engine_namespaces
        self._shared = shared
        self.host = HostFiles(root, partial(names.say_once, "host"))
        self._host_namespace: int | None = None
        self.read_errors: Counter[str] = Counter()
        """How many readings failed, by field (:class:`~cgstatd.sampling.reading_failed.ReadingFailed`)."""

    def containers(self, hurry: bool = False) -> list[Container]:
        """The containers that have a cgroup now, those that belong to the system first. Raises ListingFailed."""
        return self.registry.containers(hurry)

    def namespaces(self) -> Namespaces:
        """The network figures by namespace, which one pass shares. Also brings up to date what all readers share.

        The host's files are read here, before any container's lock is taken: one that hangs costs the host's figures,
        and the figures that were known go on. Raises OutOfResources.
        """
        try:
            namespaces = Namespaces(self.root, self._engine_namespaces(), self._host_namespace)
            self._host_namespace = namespaces.host
            self.host.cores()
            self.host.mem_total()
        except Exhausted as error:
            raise self.out_of_resources(error) or error from error
        if self._shared is not None:
            self._shared.changes.refresh(namespaces.monotonic_ns)
            if self._shared.counting is not None:
                self._shared.counting.refresh()
        return namespaces

    def failures(self, container: Container, missing: Sequence[Missing]) -> None:
        """Count the fields of a container that are wrong rather than absent, and say so once."""
        for each in missing:
            if each.failed:
                self.failed(container, ReadingFailed(explain(each), each.field))

    def failed(self, container: Container, error: ReadingFailed | OSError) -> None:
        """Count a failed reading of a container, and say so once."""
        self.read_errors[error.field if isinstance(error, ReadingFailed) else "container"] += 1
        text = str(error) if isinstance(error, ReadingFailed) else f"cannot read {error.filename}: {error.strerror}"
        self.names.say_once(container.identity.id, text)

    def out_of_resources(self, error: BaseException) -> OutOfResources | None:
        """The agent's own trouble, where an error is that and no container's. The log says it once, however many files
        meet it."""
        if isinstance(error, Exhausted):
            why = error.why
        elif isinstance(error, MemoryError):
            why = "out of memory"
        elif isinstance(error, OSError) and error.errno in EXHAUSTED:
            why = error.strerror or "out of resources"
        else:
            return error if isinstance(error, OutOfResources) else None
        self.names.say_once("host", f"cannot be read, and requests fail with 503: {why}")
        return OutOfResources(str(error) or why)

    @property
    def counting(self) -> Counting | None:
        """Whether v1 counts block I/O at all; None: it always does."""
        return None if self._shared is None else self._shared.counting

    def read(self, container: Container, namespaces: Namespaces) -> ContainerStats | Pending | None:
        """One container's figures; None: it is gone. Raises ReadingFailed."""
        begun = self.begin(container)
        traffic = None if begun is None else self.traffic(begun, namespaces)
        return None if begun is None or traffic is None else self.finish(begun, traffic)

    def begin(self, container: Container, *, vitals: bool = False) -> Begun | None:
        """The first half of a reading: the cgroup's files; None: it is gone. ``vitals``: these too. Raises
        ReadingFailed."""
        take = Container.counters_and_vitals if vitals else Container.counters
        promised = container.promised_limit  # as before the reading: the promise ends when the kernel has the limit
        begun = self._guarded(container, take)
        if begun is not None and promised is not None:
            limit = limit_in_force(begun.counters.memory_max_bytes, promised)
            begun = begun._replace(counters=begun.counters._replace(memory_max_bytes=limit))
        return begun

    def traffic(self, begun: Begun, namespaces: Namespaces) -> Traffic | None:
        """The second half: net/dev; None: it is gone. Raises ReadingFailed."""
        found = self._guarded(begun.container, Container.traffic, namespaces)
        if found is not None and found.reason is Absent.NO_PROCESS and left_behind(begun.container.identity):
            found = None
        begun.container.over = found is None
        return found

    def finish(self, begun: Begun, traffic: Traffic) -> ContainerStats | Pending:
        """Make the figures of the two halves. Reads nothing."""
        usage = begun.counters.cpu_usage_nsec
        if usage is None:
            return self._figures(begun, traffic, None)
        reading = CpuReading(usage, begun.clock.monotonic_ns, begun.cpu_read_ns)
        percent = begun.container.percent(reading, self.host.known_cores)
        if percent is None:
            return Pending(begun, traffic, begun.container.window.age_ns(reading.monotonic_ns))
        return self._figures(begun, traffic, percent)

    def second(self, pending: Pending) -> ContainerStats | None:
        """The figures of a reading that was waiting for its CPU window; None: it is gone. Raises ReadingFailed."""
        begun, traffic, _ = pending
        found = self._guarded(begun.container, lambda container: (container.second_cpu(self.host.known_cores),))
        return None if found is None else self._figures(begun, traffic, found[0])

    def baseline(self, container: Container) -> None:
        """Read the CPU time alone. The next reading reports failures."""
        try:
            self._guarded(container, Container.read_cpu)
        except ReadingFailed as error:
            log.debug("baseline: %s", error)

    def first_baseline(self, container: Container) -> None:
        """The same of a container that has just come, unless it was read meanwhile."""
        if container.window.is_empty:
            self.baseline(container)

    def baselines(self) -> None:
        """Read the CPU time alone of every container, one after the other: the base of first figures."""
        for container in self.containers():
            self.baseline(container)
            still_wanted()

    def continue_from(self, earlier: Sampler) -> None:
        """Take over the baselines of another sampler: the reading before this one, of a recorded host."""
        for container in self.containers():
            before = earlier.registry.at(container.ref.path)
            if before is not None:
                container.window = before.window

    def counted(self, begun: Begun, traffic: Traffic) -> Traffic:
        """Remember the CPU time of a reading that needs no figures; the traffic that counts as the container's."""
        usage = begun.counters.cpu_usage_nsec
        if usage is not None:
            begun.container.window.add(CpuReading(usage, begun.clock.monotonic_ns, begun.cpu_read_ns))
        return self._own(begun.container.identity, traffic)

    def _own(self, identity: Identity, traffic: Traffic) -> Traffic:
        if identity.metadata is not None and identity.metadata.network_mode == "host":
            return host_network(traffic)
        if traffic.reason is not None and traffic.reason not in _NOTHING_WRONG:
            self.names.say_once(identity.id, f"no network figures: {traffic.reason.value}")
        return traffic

    def _figures(self, begun: Begun, traffic: Traffic, percent: float | None) -> ContainerStats:
        container, identity = begun.container, begun.container.identity
        traffic = self._own(identity, traffic)
        total = self.host.known_mem_total
        stats = container.last = rates.stats(
            identity, begun.clock, begun.counters, traffic, percent, total, begun.cpu_read_ns, begun.io_read_ns
        )
        container.highest.add(stats)
        return stats

    def _guarded(self, container: Container, take: Callable[..., T], *arguments: Namespaces) -> T | None:
        """Take a reading while no other thread does; None: gone. Raises ReadingFailed, OutOfResources."""
        try:
            container.begin()
        except CgroupGone:
            return None
        try:
            return take(container, *arguments)
        except CgroupGone:
            return None
        except Exhausted as error:
            raise self.out_of_resources(error) or error from error
        except OSError as error:
            raise ReadingFailed(f"cannot read {error.filename or container.ref.path}: {error.strerror}") from error
        finally:
            container.done()

    def close(self) -> None:
        """Release everything that is open."""
        self.registry.close()
        if self._shared is not None:
            self._shared.changes.close()
            if self._shared.counting is not None:
                self._shared.counting.close()
