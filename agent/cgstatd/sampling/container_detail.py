"""Everything that is known of one container, collected in the sampling thread: the records, not yet an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from cgroupfs import Cgroup, CgroupGone, Cpu, Io, Limits, Memory, Pids, Pressure

from ..host.block_devices import Device, Devices
from ..host.identity import Identity
from ..host.procfs.host_stat import HostCpu
from ..host.runtimes.base import Health, State
from .container import Container
from .health_checks import health_of
from .log_sizes import log_of
from .model import ContainerStats, Log
from .network import Namespaces
from .network_interfaces import Interfaces, read_interfaces
from .processes import ProcessesMemory, processes_memory, started_seconds
from .reading_failed import ReadingFailed
from .sampler import Sampler

_ANCESTORS = 32


@dataclass(frozen=True, slots=True)
class Detail:
    """One running container."""

    identity: Identity
    stats: ContainerStats | None
    """None: the last pass left it out (its last process is gone, or its files hang)."""
    state: State
    time_ms: int
    cgroup: Cgroup
    cpu: Cpu
    memory: Memory
    memory_controller: bool
    """Whether the host has the memory controller at all."""
    own_memory: ProcessesMemory | None
    """The processes' own memory, where the cgroup's is not counted."""
    io: Io
    devices: Mapping[str, Device]
    pids: Pids
    pressure: Pressure
    network: Interfaces
    partners: tuple[Identity, ...]
    """Other containers in the same network namespace."""
    limits: tuple[tuple[str, Limits], ...]
    """(cgroup path, its limits): its own first, then its ancestors'."""
    promised_limit: int | None
    """The memory limit that its engine is about to set."""
    started_seconds: float | None
    mem_total_bytes: int | None
    cores: int | None
    log: Log
    health: Health | None


class HostPart(NamedTuple):
    """What a container's detail takes from the host."""

    namespaces: Namespaces
    stat: HostCpu | None
    mem_total_bytes: int | None
    limits: list[tuple[str, Limits]]
    """(cgroup path, its limits) of the cgroups that it is in."""
    log: Log
    """Its engine's file, and none of the container's own."""
    health: Health | None


def host_part(sampler: Sampler, container: Container) -> HostPart:
    """Read before the container's lock is taken: a hung file of the host costs no container. Raises OutOfResources."""
    limits = _ancestors_limits(sampler, container.ref.path)
    now = sampler.root.clock()
    log = log_of(sampler.names, container, now.monotonic_ns)
    health = health_of(sampler.names, container, now)
    return HostPart(sampler.namespaces(), sampler.host.stat(), sampler.host.mem_total(), limits, log, health)


def collect(
    sampler: Sampler, devices: Devices, container: Container, stats: Mapping[str, ContainerStats], host: HostPart
) -> Detail:
    """Read everything. Raises ReadingFailed, also if the container ends meanwhile."""
    try:
        with container.reading() as cgroup:
            found = _collect(sampler, cgroup, container, stats, host)
    except CgroupGone:
        raise ReadingFailed("the container ended while it was read") from None
    except OSError as error:
        raise ReadingFailed(f"cannot read {error.filename or container.ref.path}: {error.strerror}") from error
    return replace(found, devices={each.device: devices.get(each.device) for each in found.io.devices or ()})


def _collect(
    sampler: Sampler, cgroup: Cgroup, container: Container, stats: Mapping[str, ContainerStats], host: HostPart
) -> Detail:
    root, identity = sampler.root, container.identity
    own = stats.get(identity.id)
    state = own.state if own else identity.metadata.state if identity.metadata else State.UNKNOWN
    io, memory = cgroup.io(), cgroup.memory()
    return Detail(
        identity=identity,
        stats=own,
        state=state,
        time_ms=own.time_ms if own else root.clock(container.ref.path).time_ms,
        cgroup=cgroup,
        cpu=cgroup.cpu(),
        memory=memory,
        memory_controller=sampler.hierarchy.mount("memory") is not None,
        own_memory=processes_memory(root, cgroup) if memory.usage_bytes is None else None,
        io=io,
        devices={},
        pids=cgroup.pids(),
        pressure=cgroup.pressure(),
        network=read_interfaces(root, cgroup.population, host.namespaces),
        partners=_partners(own, stats) if own else (),
        limits=((cgroup.path, cgroup.limits()), *host.limits),
        promised_limit=container.promised_limit,
        started_seconds=started_seconds(root, cgroup, host.stat and host.stat.boot_seconds),
        mem_total_bytes=host.mem_total_bytes,
        cores=(host.stat and host.stat.cores) or None,
        log=host.log,
        health=host.health,
    )


def _partners(own: ContainerStats, stats: Mapping[str, ContainerStats]) -> tuple[Identity, ...]:
    namespace = own.network_namespace
    return tuple(
        each.identity
        for each in stats.values()
        if namespace is not None and each.network_namespace == namespace and each.identity.id != own.identity.id
    )


def _ancestors_limits(sampler: Sampler, path: str) -> list[tuple[str, Limits]]:
    """Those of its ancestors, the nearest first; the root has none and is left out."""
    found: list[tuple[str, Limits]] = []
    path = path.rpartition("/")[0]
    while path and len(found) < _ANCESTORS:
        try:
            with sampler.root.readers.of(path):
                found.append((path, Cgroup(sampler.root, sampler.hierarchy, path).limits()))
        except CgroupGone:
            pass
        except OSError:
            sampler.read_errors["limits"] += 1
        path = path.rpartition("/")[0]
    return found
