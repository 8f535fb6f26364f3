"""Takes a look: the counters that a verdict needs, of every container, of the cgroups above them, and of the host.

Used in the sampling thread, one container an item: its object and its lock stand between a file that hangs and the
rest. No file stays open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from cgroupfs import Cgroup, CgroupGone, ParseError, Reading, Selection, select

from ...host.block_devices import Devices
from ...host.identity import Identity
from ...host.procfs import diskstats, host_stat, meminfo, vmstat
from ..container import Container
from ..rates import MOST_CORES
from ..reading_failed import ReadingFailed
from ..sampler import Sampler
from .looks import Counted, Host, HostMemory, Look
from .verdict import ancestors

T = TypeVar("T")
MOST = 1000
"""Containers in one look; the system's come first."""
_MOST_ABOVE = 200
_DEVICES = 64
_MEMORY = (
    "memory.events.high",
    "memory.failcnt",
    "memory.usage_bytes",
    "memory.stat.workingset_refault_anon",
    "memory.stat.workingset_refault_file",
)
_COUNTERS = {
    "cpu": ("cpu.usage_nsec", "cpu.nr_periods", "cpu.nr_throttled", "cpu.throttled_nsec"),
    "memory": _MEMORY,
    "io": ("io.devices", *_MEMORY),
}
"""Of a container and of each cgroup above it, by the resource that is short."""
_MEMORY_LIMITS = ("memory.high_bytes", "memory.max_bytes")
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
            host = self._host(resources)
            items: list[Item] = [*containers, *_above(each.ref.path for each in containers)]
            below = self._sampler.hierarchy.limits_below("io")
            above = [name for name in fields if below or name != "io.limits"]
            return Begun(host, items, select(*fields, *stalls, lean=True), select(*above, lean=True))
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

    def _host(self, resources: Collection[str]) -> Host:
        stat, cpus = self._file(host_stat.PATH, _stat) or (None, {})
        cores = self._sampler.host.cores()
        if cores == MOST_CORES and stat is not None:
            cores = stat.cores
        host = Host(cores, cpus=cpus)
        if "memory" in resources or "io" in resources:
            host = host._replace(memory=self._memory())
        if "io" in resources:
            found = self._file(diskstats.PATH, diskstats.parse_diskstats)
            disks = [each for each in found or () if each.busy_ms][:_DEVICES]
            stacked = frozenset(each.io.device for each in disks if self._devices.get(each.io.device).stacked)
            devices = None if found is None else tuple(each.io for each in disks)
            busy = {each.io.device: each.busy_ms for each in disks}
            host = host._replace(devices=devices, stacked=stacked, disk_busy_ms=busy)
        return host

    def _memory(self) -> HostMemory | None:
        found = self._file(meminfo.PATH, meminfo.parse_meminfo) or {}
        total, free, available = (found.get(key) for key in ("MemTotal", "MemFree", "MemAvailable"))
        if total is None or free is None or available is None:
            return None
        return HostMemory(total, free, available, self._file(vmstat.PATH, vmstat.parse_scanned_pages))

    def _file(self, path: str, parse: Callable[[bytes], T]) -> T | None:
        try:
            return parse(self._sampler.root.read(path))
        except (OSError, ParseError):
            return None

    def device_name(self, number: str) -> str:
        """As in /dev; else the number."""
        return self._devices.get(number).name or number


def _stat(data: bytes) -> tuple[host_stat.HostCpu, dict[int, tuple[int, int, int]]]:
    cpus = {}
    for each in host_stat.parse_cpu_times(data):
        user, nice, system, idle, iowait, irq, softirq, steal = each.ticks
        busy = user + nice + system + irq + softirq
        cpus[int(each.cpu)] = busy, steal, busy + idle + iowait + steal
    return host_stat.parse_host_stat(data), cpus


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
