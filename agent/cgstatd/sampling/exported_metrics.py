"""Every container's exported figures for /metrics, read in the sampling thread one by one.

If a file hangs, another thread begins that container anew, without the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cgroupfs import FIELDS, Absent, Cgroup, CgroupGone, DeviceIo, Reading, select

from ..host.block_devices import Device, Devices
from ..host.identity import Identity, left_behind
from ..host.procfs.net_dev import Interface
from ..host.runtimes.base import State
from ..host.starting import limit_in_force
from .container import Container
from .health_checks import health_of
from .log_sizes import log_of
from .network import Namespaces
from .network_interfaces import read_interfaces
from .processes import started_seconds
from .reading_failed import ReadingFailed
from .sampler import Sampler

Listed = tuple[Container, Identity]

_BLOCK, _LIMIT, _FROZEN, _KILLS = "io.devices", "memory.max_bytes", "freezer.frozen", "memory.events.oom_kill"
_RUNS = ("cpu.usage_nsec", "memory.usage_bytes")
"""While these stand still nothing has run in a container."""
_IDLE_NS = 45_000_000_000
"""For so long fields are believed to stand still."""


class ContainerMetrics(NamedTuple):
    """One container."""

    identity: Identity
    state: State
    """Running or paused."""
    path: str
    """Its cgroup below the mounts."""
    fields: Mapping[str, Any]
    """Of its cgroup, by name. None: the kernel does not say."""
    block: Sequence[DeviceIo]
    """Empty too where the kernel counts nothing."""
    devices: Mapping[str, Device]
    interfaces: Sequence[Interface]
    namespace: int | None
    processes: int | None
    """None: more than are counted (:data:`cgroupfs.members.MOST_CGROUPS`)."""
    started_seconds: float | None
    seen_ms: int
    log_bytes: int | None
    kills: tuple[int, int] | None
    """How many of its processes were killed for want of memory: as of the scrape before, and now. None: not known."""
    health: str | None = None
    """The status of its health check; None: it has none, or that is not known."""


class _Told(NamedTuple):
    """What files of its engine say of a container, looked at before it is locked."""

    identity: Identity
    log_bytes: int | None
    health: str | None


class _Idle(NamedTuple):
    """What was read of a container that stands still while nothing runs in it."""

    read_ns: int
    """When (monotonic)."""
    runs: tuple[int | None, ...]
    """:data:`_RUNS`, as they were read just before."""
    reading: Reading


class MetricsReader:
    """Remembers when containers were started. Used in the sampling thread."""

    def __init__(self, sampler: Sampler, fields: Iterable[str]) -> None:
        """``fields``: what is read of a container's cgroup, beside its block devices."""
        wanted = dict.fromkeys((*fields, _LIMIT, _FROZEN, _KILLS, *_RUNS))
        moving = [name for name in wanted if not FIELDS[name].idles]
        self._without_block = select(*moving, lean=True)
        self._with_block = select(*moving, _BLOCK, lean=True)
        self._idle = select(*(name for name in wanted if FIELDS[name].idles))
        self._idles: dict[Container, _Idle] = {}
        self._sampler = sampler
        self._devices = Devices(sampler.root)
        self._boot_seconds: int | None = None
        self._started: dict[Container, float] = {}
        self._kills: dict[Container, int] = {}
        self.listing_number = 0
        """The number of the listing of the latest scrape."""
        self.cpu_seconds = 0.0
        """CPU time of the latest scrape's readings."""

    def begin(self) -> tuple[list[Listed], Namespaces]:
        """The containers and their names: no name twice, even if one is renamed meanwhile. Raises ListingFailed."""
        self.cpu_seconds = 0.0
        listed = self._sampler.containers()
        self.listing_number = self._sampler.registry.number
        self._started = {each: self._started[each] for each in listed if each in self._started}
        self._idles = {each: self._idles[each] for each in listed if each in self._idles}
        self._kills = {each: self._kills[each] for each in listed if each in self._kills}
        if len(self._started) < len(listed):
            stat = self._sampler.host.stat()
            self._boot_seconds = self._boot_seconds if stat is None else stat.boot_seconds
        return [(each, each.identity) for each in listed], self._sampler.namespaces()

    def read(self, namespaces: Namespaces, listed: Listed) -> ContainerMetrics | None:
        """One container's figures; None: it is gone, or cannot be read."""
        began = time.thread_time()
        try:
            return self._read(namespaces, *listed)
        finally:
            self.cpu_seconds += time.thread_time() - began

    def _read(self, namespaces: Namespaces, container: Container, identity: Identity) -> ContainerMetrics | None:
        names, now = self._sampler.names, self._sampler.root.clock()
        log = log_of(names, container, now.monotonic_ns).size
        health = health_of(names, container, now)
        told = _Told(identity, log.size_bytes if log else None, health.status if health else None)
        try:
            with container.reading() as cgroup, cgroup.together():
                found, devices = self._one(container, cgroup, told, namespaces)
        except CgroupGone:
            return None
        except (ReadingFailed, OSError) as error:
            self._sampler.failed(container, error)
            return None
        for each in found.block:
            devices[each.device] = self._devices.get(each.device)
        return found

    def _one(
        self, container: Container, cgroup: Cgroup, told: _Told, namespaces: Namespaces
    ) -> tuple[ContainerMetrics, dict[str, Device]]:
        """One container, and the devices to look up once its lock is released: their names are in files of the host."""
        root, counting, identity = self._sampler.root, self._sampler.counting, told.identity
        metadata = identity.metadata
        blocks = counting is None or counting.anything
        values, missing = cgroup.read(self._with_block if blocks else self._without_block)
        still, more = self._read_idle(container, cgroup, values)
        missing += more
        if missing:
            self._sampler.failures(container, missing)
        fields = {**values, **still, _LIMIT: limit_in_force(values[_LIMIT], container.promised_limit)}
        io = fields.get(_BLOCK) if not any(each.field == _BLOCK for each in missing) else None
        block = io.devices if io else ()
        population = cgroup.population()
        if not population.number and population.whole and (container.last is not None or left_behind(identity)):
            raise CgroupGone(cgroup.path)  # it had processes: it is stopping; or it never had one
        network = read_interfaces(root, lambda: population, namespaces, container.finder, population.pids)
        own = metadata is None or metadata.network_mode != "host"
        if not population.whole:
            self._sampler.names.say_once(
                container.identity.id, f"its processes are not counted: {Absent.TOO_MANY.value}"
            )
        devices: dict[str, Device] = {}
        found = ContainerMetrics(
            identity=identity,
            state=_state(container, identity, values[_FROZEN]),
            path=container.ref.path,
            fields=fields,
            block=block,
            devices=devices,
            interfaces=network.listed.interfaces if network.listed and own else (),
            namespace=network.namespace,
            processes=population.number if population.whole else None,
            started_seconds=self._started_seconds(container, cgroup),
            seen_ms=root.clock(container.ref.path).time_ms,
            log_bytes=told.log_bytes,
            kills=self._kills_of(container, fields[_KILLS]),
            health=told.health,
        )
        return found, devices

    def _read_idle(self, container: Container, cgroup: Cgroup, values: Mapping[str, Any]) -> Reading:
        """What stands still with the container's CPU time and memory: read again where these have changed, and once in
        a while."""
        now_ns, runs = self._sampler.root.clock().monotonic_ns, tuple(values[name] for name in _RUNS)
        known = self._idles.get(container)
        if known is not None and known.runs == runs and None not in runs and now_ns - known.read_ns < _IDLE_NS:
            return known.reading
        found = cgroup.read(self._idle)
        if any(each.failed for each in found.missing):
            self._idles.pop(container, None)
        else:
            self._idles[container] = _Idle(now_ns, runs, found)
        return found

    def _kills_of(self, container: Container, now: int | None) -> tuple[int, int] | None:
        """Those of before the agent are no news; of a container that it has seen begin, all are."""
        if now is None:
            return None
        before = self._kills.get(container, now if container.since_ns is None else 0)
        self._kills[container] = now
        return before, now

    def _started_seconds(self, container: Container, cgroup: Cgroup) -> float | None:
        metadata = container.identity.metadata
        if metadata is not None and metadata.started_seconds is not None:
            return metadata.started_seconds
        found = self._started.get(container)
        if found is None:
            found = started_seconds(self._sampler.root, cgroup, self._boot_seconds)
            if found is not None:  # else the next scrape asks again
                self._started[container] = found
        return found


def _state(container: Container, identity: Identity, frozen: bool | None) -> State:
    """The kernel's freezer overrules the runtime's word; where a child is frozen instead the word counts (crun)."""
    if frozen is None or container.ref.match.payload:
        frozen = identity.metadata is not None and identity.metadata.state is State.PAUSED
    return State.PAUSED if frozen else State.RUNNING


def each_network_once(containers: Sequence[ContainerMetrics]) -> list[ContainerMetrics]:
    """The same without the interfaces of containers that are in another one's network namespace."""
    owners: dict[int, tuple[tuple[bool, bool, float, str], int]] = {}
    for index, each in enumerate(containers):
        if each.namespace is not None:
            rank = _rank(each.identity)
            before = owners.get(each.namespace)
            if before is None or rank < before[0]:
                owners[each.namespace] = rank, index
    own = {index for _, index in owners.values()}
    return [each if index in own else each._replace(interfaces=()) for index, each in enumerate(containers)]


def _rank(identity: Identity) -> tuple[bool, bool, float, str]:
    """A pod's own container owns its network, else the one that does not say ``container:…``, else the oldest."""
    found = identity.metadata
    return (
        not (found and found.infra),
        bool(found and (found.network_mode or "").startswith("container:")),
        (found.created_seconds if found else None) or 0.0,
        identity.id,
    )
