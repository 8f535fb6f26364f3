"""What the Engine API's stats say of one container: raw counters, and the CPU reading that they are compared with.

Docker reads twice, a second apart, to answer one request. Here the resident baseline is the earlier reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cgroupfs import CgroupGone, DeviceIo, Version, select

from ..host.identity import Identity
from ..host.procfs.net_dev import Interface
from ..host.runtimes.base import State
from .container import Begun, Container
from .host_metrics import TICKS_PER_SECOND
from .model import CpuReading
from .network import Namespaces
from .network_interfaces import read_interfaces
from .rates import MOST_CORES, memory_limit
from .reading_failed import ReadingFailed
from .sampler import Sampler

_FIELDS = (
    *"cpu.user_nsec cpu.system_nsec cpu.quota_usec cpu.nr_periods cpu.nr_throttled cpu.throttled_nsec".split(),
    *"memory.stat_file memory.peak_bytes memory.failcnt pids.current pids.max".split(),
)
_BLOCK = "io.devices"


class EngineCpu(NamedTuple):
    """CPU counters of a container and of the host at one instant. None: the kernel does not say."""

    time_ns: int
    """Wall clock."""
    usage_nsec: int
    user_nsec: int | None
    system_nsec: int | None
    host_nsec: int | None
    """Of all cores: user, nice, system, idle, iowait, irq and softirq."""
    periods: int | None
    throttled_periods: int | None
    throttled_nsec: int | None


class EngineFigures(NamedTuple):
    """One reading of a container that has a cgroup."""

    identity: Identity
    state: State
    time_ns: int
    cpu: EngineCpu | None
    before: EngineCpu | None
    """The reading that the CPU percentage is taken against; None: there is none yet."""
    cores: int | None
    memory_usage_bytes: int | None
    memory_limit_bytes: int | None
    memory_peak_bytes: int | None
    memory_failcnt: int | None
    memory_stat: Mapping[str, int]
    """The whole of memory.stat by the kernel's keys: many clients subtract one that is not in the totals of v1."""
    legacy_memory: bool
    """Whether these are v1's."""
    block: Sequence[DeviceIo]
    legacy_block: bool
    interfaces: Sequence[Interface] | None
    """None: it has the host's network, or none that can be read."""
    pids: int | None
    pids_limit: int | None
    encoded: dict[EngineCpu | None, bytes]
    """The answers that were made of it, by the reading that they are compared with."""


class Moment(NamedTuple):
    """What several readings share."""

    namespaces: Namespaces
    cores: int
    host_nsec: int | None
    """CPU time of all the host's cores, idle time included."""


class EngineReader:
    """Used in the sampling thread."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        memory, block = (sampler.hierarchy.mount(name) for name in ("memory", "io"))
        self._legacy_memory = memory is not None and memory.version is Version.V1
        self._legacy_block = block is not None and block.version is Version.V1
        self._without_block = select(*_FIELDS, lean=True)
        self._all = select(*_FIELDS, _BLOCK, lean=True)

    def begin(self) -> Moment:
        """What several readings share. Raises ListingFailed."""
        sampler = self._sampler
        namespaces, cores, cpu = sampler.namespaces(), sampler.host.cores(), sampler.host.stat()
        nsec = None if cpu is None else (cpu.total - cpu.steal) * (1_000_000_000 // TICKS_PER_SECOND)
        return Moment(namespaces, cores, nsec)

    def read(self, container: Container, moment: Moment) -> EngineFigures | None:
        """One container; None: it is gone. Raises ReadingFailed, OutOfResources."""
        sampler = self._sampler
        begun = sampler.begin(container)
        if begun is None:
            return None
        try:
            with container.reading() as cgroup:
                counting = sampler.counting
                counted = counting is None or counting.anything
                values, missing = cgroup.read(self._all if counted else self._without_block)
                network = read_interfaces(sampler.root, cgroup.population, moment.namespaces, container.finder)
        except CgroupGone:
            return None
        except OSError as error:
            raise ReadingFailed(f"cannot read {error.filename or container.ref.path}: {error.strerror}") from error
        if missing:
            sampler.failures(container, missing)
        identity, counters = container.identity, begun.counters
        cpu, before = self._cpu(begun, values, moment)
        block = values.get(_BLOCK) if not any(each.field == _BLOCK for each in missing) else None
        own = identity.metadata is None or identity.metadata.network_mode != "host"
        return EngineFigures(
            identity=identity,
            state=State.PAUSED if counters.frozen else State.RUNNING,
            time_ns=begun.clock.time_ms * 1_000_000,
            cpu=cpu,
            before=before,
            cores=None if moment.cores == MOST_CORES else moment.cores,
            memory_usage_bytes=counters.memory_usage_bytes,
            memory_limit_bytes=memory_limit(counters.memory_max_bytes, sampler.host.mem_total()),
            memory_peak_bytes=values["memory.peak_bytes"],
            memory_failcnt=values["memory.failcnt"],
            memory_stat=values["memory.stat_file"] or {},
            legacy_memory=self._legacy_memory,
            block=block.devices if block else (),
            legacy_block=self._legacy_block,
            interfaces=network.listed.interfaces if network.listed and own else None,
            pids=values["pids.current"],
            pids_limit=limit if isinstance(limit := values["pids.max"], int) else None,
            encoded={},
        )

    def _cpu(
        self, begun: Begun, values: Mapping[str, Any], moment: Moment
    ) -> tuple[EngineCpu | None, EngineCpu | None]:
        usage = begun.counters.cpu_usage_nsec
        if usage is None:
            return None, None
        container, at_ns = begun.container, begun.clock.monotonic_ns
        base = container.window.base(at_ns)
        if container.percent(CpuReading(usage, at_ns, begun.cpu_read_ns), moment.cores) is None:
            base = None
        now = EngineCpu(
            begun.clock.time_ms * 1_000_000,
            usage,
            values["cpu.user_nsec"],
            values["cpu.system_nsec"],
            moment.host_nsec,
            values["cpu.nr_periods"],
            values["cpu.nr_throttled"],
            values["cpu.throttled_nsec"],
        )
        if base is None:
            return now, None
        elapsed = max(at_ns, begun.cpu_read_ns) - base.monotonic_ns
        # No client's percentage needs more of the earlier reading than these three.
        host = None if moment.host_nsec is None else max(0, moment.host_nsec - elapsed * moment.cores)
        return now, EngineCpu(now.time_ns - elapsed, base.usage_nsec, None, None, host, None, None, None)
