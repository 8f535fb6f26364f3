"""Takes a look: the counters that a verdict needs, of every container and of the cgroups above them.

Used in the sampling thread, one container an item: its object and its lock stand between a file that hangs and the
rest. No file stays open.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import NamedTuple

from cgroupfs import Cgroup, CgroupGone, ParseError, Reading, Selection, select

from ...host.block_devices import Devices
from ...host.identity import Identity
from ...host.procfs.host_stat import PATH, HostCpu, parse_host_stat
from ..container import Container
from ..rates import MOST_CORES
from ..reading_failed import ReadingFailed
from ..sampler import Sampler
from .looks import Counted, Host, Look
from .verdict import ancestors

MOST = 1000
"""Containers in one look; the system's come first."""
_MOST_ABOVE = 200
_DEVICES = 64
_MEMORY = (
    "memory.events.high",
    "memory.failcnt",
    "memory.stat.workingset_refault_anon",
    "memory.stat.workingset_refault_file",
)
_COUNTERS = {
    "cpu": ("cpu.usage_nsec", "cpu.nr_periods", "cpu.nr_throttled", "cpu.throttled_nsec"),
    "memory": _MEMORY,
    "io": ("io.devices", *_MEMORY),
}
"""Of a container and of each cgroup above it, by the resource that is short."""
_MEMORY_LIMITS = ("memory.usage_bytes", "memory.high_bytes", "memory.max_bytes")
_LIMITS = {
    "cpu": ("cpu.quota_usec", "cpu.period_usec", "cpu.cpus"),
    "memory": _MEMORY_LIMITS,
    "io": ("io.limits", *_MEMORY_LIMITS),
}
"""What is asked in the second look only."""

Item = Container | str
"""A container, or the path of a cgroup above some."""


class Begun(NamedTuple):
    """A look whose cgroups are still to be read."""

    host: Host
    items: list[Item]
    own: Selection[Reading]
    above: Selection[Reading]


class Looker:
    """Used in the sampling thread."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._devices = Devices(sampler.root)
        self.cpu_seconds = 0.0
        """CPU time of all looks."""

    def begin(self, resources: Collection[str], *, last: bool = True) -> Begun:
        """Read the host, and list what is to be read; ``last``: the limits, too. Raises ListingFailed."""
        began = time.thread_time()
        try:
            sets = (_LIMITS, _COUNTERS) if last else (_COUNTERS,)
            fields = dict.fromkeys(name for each in sets for resource in resources for name in each[resource])
            stalls = [f"pressure.{resource}_some" for resource in resources]
            containers = self._sampler.containers()[:MOST]
            host = self._host("io" in resources)
            items: list[Item] = [*containers, *_above(each.ref.path for each in containers)]
            return Begun(host, items, select(*fields, *stalls, lean=True), select(*fields, lean=True))
        finally:
            self.cpu_seconds += time.thread_time() - began

    def read(self, begun: Begun, item: Item) -> tuple[Item, Counted] | None:
        """One cgroup; None: it is gone, or cannot be read."""
        began = time.thread_time()
        try:
            return item, self._container(begun, item) if isinstance(item, Container) else self._one_above(begun, item)
        except CgroupGone:
            return None
        except (ReadingFailed, OSError) as error:
            if isinstance(item, Container):
                self._sampler.failed(item, error)
            return None
        finally:
            self.cpu_seconds += time.thread_time() - began

    def end(self, begun: Begun, found: Sequence[tuple[Item, Counted]]) -> Look:
        """The whole look."""
        containers: dict[Hashable, tuple[Identity, str, Counted]] = {
            each: (each.identity, each.ref.path, counted) for each, counted in found if isinstance(each, Container)
        }
        return Look(begun.host, containers, {each: counted for each, counted in found if isinstance(each, str)})

    def _container(self, begun: Begun, container: Container) -> Counted:
        with container.reading() as cgroup:
            now = self._sampler.root.clock(container.ref.path).monotonic_ns
            return _counted(now, cgroup.read(begun.own))

    def _one_above(self, begun: Begun, path: str) -> Counted:
        root = self._sampler.root
        with root.readers.of(path):
            now = root.clock(path).monotonic_ns
            return _counted(now, Cgroup(root, self._sampler.hierarchy, path).read(begun.above))

    def _host(self, with_devices: bool) -> Host:
        stat = self._stat()
        cores = self._sampler.host.cores()
        if cores == MOST_CORES and stat is not None:
            cores = stat.cores
        busy = None if stat is None else (stat.busy, stat.total)
        if not with_devices:
            return Host(busy, cores, None)
        devices = None
        with contextlib.suppress(CgroupGone, OSError), self._sampler.root.readers.of("/"):
            whole = Cgroup(self._sampler.root, self._sampler.hierarchy, "")
            devices = _counted(0, whole.read(select("io.devices"))).devices
        known = [each.device for each in devices or ()][:_DEVICES]
        stacked = frozenset(each for each in known if self._devices.get(each).stacked)
        return Host(busy, cores, devices, stacked)

    def _stat(self) -> HostCpu | None:
        try:
            return parse_host_stat(self._sampler.root.read(PATH))
        except (OSError, ParseError):
            return None

    def device_name(self, number: str) -> str:
        """As in /dev; else the number."""
        return self._devices.get(number).name or number


def _above(paths: Iterable[str]) -> list[str]:
    """The cgroups that these are in, without the root, each once."""
    found: dict[str, None] = {}
    for path in paths:
        for outer in ancestors(path):
            if outer in found or len(found) >= _MOST_ABOVE:
                break
            found[outer] = None
    return list(found)


def _counted(now_ns: int, reading: Reading) -> Counted:
    get = reading.values.get
    stalls = {name: get(f"pressure.{name}_some") for name in ("cpu", "memory", "io")}
    refaults = [get(f"memory.stat.workingset_refault_{kind}") for kind in ("anon", "file")]
    devices = get("io.devices")
    return Counted(
        monotonic_ns=now_ns,
        cpu_stall_usec=stalls["cpu"] and stalls["cpu"].total_usec,
        memory_stall_usec=stalls["memory"] and stalls["memory"].total_usec,
        io_stall_usec=stalls["io"] and stalls["io"].total_usec,
        cpu_nsec=get("cpu.usage_nsec"),
        periods=get("cpu.nr_periods"),
        throttled_periods=get("cpu.nr_throttled"),
        throttled_nsec=get("cpu.throttled_nsec"),
        quota_usec=get("cpu.quota_usec"),
        period_usec=get("cpu.period_usec"),
        cpus=get("cpu.cpus"),
        memory_bytes=get("memory.usage_bytes"),
        memory_high=get("memory.high_bytes"),
        memory_max=get("memory.max_bytes"),
        high_events=get("memory.events.high"),
        max_events=get("memory.failcnt"),
        refaults=sum(each or 0 for each in refaults) if any(each is not None for each in refaults) else None,
        devices=devices.devices[:_DEVICES] if devices else None,
        io_limits=get("io.limits"),
    )
