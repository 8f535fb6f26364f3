"""Everything that is known of one container, collected in the sampling thread: the records, not yet an answer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from cgroupfs import Cgroup, CgroupGone, Cpu, Io, Limits, Memory, ParseError, Pids, Pressure

from .container import ReadingFailed, Watched
from .devices import Device, Devices
from .interfaces import Interfaces, read_interfaces
from .names import Identity
from .processes import ProcessesMemory, processes_memory, started_seconds
from .procfs.host_stat import PATH, parse_host_stat
from .runtimes.base import State
from .sample import ContainerStats
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


def collect(sampler: Sampler, devices: Devices, watched: Watched, stats: Mapping[str, ContainerStats]) -> Detail:
    """Read everything. Raises ReadingFailed, also where the container ends meanwhile."""
    try:
        return _collect(sampler, devices, watched, stats)
    except CgroupGone:
        raise ReadingFailed("the container ended while it was read") from None
    except OSError as error:
        raise ReadingFailed(f"cannot read {error.filename or watched.ref.path}: {error.strerror}") from error


def _collect(sampler: Sampler, devices: Devices, watched: Watched, stats: Mapping[str, ContainerStats]) -> Detail:
    root, cgroup, identity = sampler.root, watched.cgroup, watched.identity
    own = stats.get(identity.id)
    state = own.state if own else identity.metadata.state if identity.metadata else State.UNKNOWN
    io, memory = cgroup.io(), cgroup.memory()
    return Detail(
        identity=identity,
        stats=own,
        state=state,
        time_ms=own.time_ms if own else root.clock(watched.ref.path).time_ms,
        cgroup=cgroup,
        cpu=cgroup.cpu(),
        memory=memory,
        memory_controller=sampler.hierarchy.mount("memory") is not None,
        own_memory=processes_memory(root, cgroup) if memory.usage_bytes is None else None,
        io=io,
        devices={each.device: devices.get(each.device) for each in io.devices or ()},
        pids=cgroup.pids(),
        pressure=cgroup.pressure(),
        network=read_interfaces(root, cgroup.population(), sampler.namespaces()),
        partners=_partners(own, stats) if own else (),
        limits=tuple(_limits(sampler, watched)),
        promised_limit=watched.promised_limit,
        started_seconds=started_seconds(root, cgroup),
        mem_total_bytes=sampler.mem_total(),
        cores=_cores(sampler),
    )


def _cores(sampler: Sampler) -> int | None:
    try:
        return parse_host_stat(sampler.root.read(PATH)).cores or None
    except (OSError, ParseError):
        return None


def _partners(own: ContainerStats, stats: Mapping[str, ContainerStats]) -> tuple[Identity, ...]:
    namespace = own.network_namespace
    return tuple(
        each.identity
        for each in stats.values()
        if namespace is not None and each.network_namespace == namespace and each.identity.id != own.identity.id
    )


def _limits(sampler: Sampler, watched: Watched) -> list[tuple[str, Limits]]:
    """Its own and its ancestors', the root (which has none) left out."""
    found = [(watched.ref.path, watched.cgroup.limits())]
    path = watched.ref.path.rpartition("/")[0]
    while path and len(found) < _ANCESTORS:
        with contextlib.suppress(CgroupGone, OSError):
            found.append((path, Cgroup(sampler.root, sampler.hierarchy, path).limits()))
        path = path.rpartition("/")[0]
    return found
