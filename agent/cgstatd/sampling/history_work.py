"""The sampling thread's part of a round of the history: the counters of each container, and of the host.

The counters come from a reading of its own (:mod:`.history_reading`), or from a pass that a client has just asked for.
Of that one it reads what a pass does not: the tasks, OOM kills, peak and throttling of each container.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from cgroupfs import CgroupGone, Vitals

from ..basics.text import printable
from ..host.discovery import CgroupRef
from ..host.identity import Identity
from ..host.procfs.host_load import LOADAVG, parse_loadavg
from ..host.procfs.meminfo import PATH as MEMINFO
from ..host.procfs.meminfo import parse_meminfo
from ..host.runtimes.base import State
from ..host.runtimes.labels import PROJECTS
from ..host.workload import workload
from .container import Container
from .health_checks import health_of
from .highest import Highest
from .history_model import ContainerSample, HostSample, Life, Subject, Taken
from .history_reading import NOTHING, HistoryReading
from .model import ContainerStats
from .reading_failed import ReadingFailed
from .sampler import Sampler

T = TypeVar("T")


class Clocks(NamedTuple):
    """One instant on three clocks."""

    time_ms: int
    monotonic_ns: int
    boottime_ns: int


def clocks() -> Clocks:
    """Now."""
    return Clocks(time.time_ns() // 1_000_000, time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class _Words(NamedTuple):
    """What is said of a container, for as long as it has the same identity."""

    identity: Identity
    ref: CgroupRef
    life: Life
    subject: Subject


def life_of(container: Container) -> Life:
    """The life of a container that has a cgroup."""
    identity = container.identity
    return Life(identity.owner_uid, identity.runtime, identity.id, container.ref.inodes[0][1])


class HistoryWork:
    """Used in the sampling thread."""

    def __init__(self, sampler: Sampler, now: Callable[[], Clocks] = clocks) -> None:
        self._sampler = sampler
        self._now = now
        self._read_ns: dict[Life, int] = {}
        """The latest reading of each life that the round before listed: what is not newer is no sample."""
        self._words: dict[Container, _Words] = {}
        self.with_check: list[Container] = []
        """Those of the latest round that have a health check."""

    def take(self, reading: HistoryReading | None = None) -> Taken:
        """One round of what the latest pass has read, or a reading of its own. Raises ListingFailed."""
        if reading is not None and reading.failure is not None:
            raise reading.failure
        before = self._read_ns
        containers = self._sampler.containers() if reading is None else reading.containers
        now = self._now()
        read, listed, samples = dict[Life, int](), dict[Life, Subject](), {}
        words = dict[Container, _Words]()
        for container in containers:
            said = words[container] = self._say(container)
            life = said.life
            read_ns = before.get(life, -1)
            found = self._passed(container, read_ns) if reading is None else reading.samples.get(container)
            if found is not None:
                samples[life] = found
                read_ns = found.monotonic_ns
            read[life] = read_ns
            listed[life] = said.subject
        gone = [life for life in before if life not in read]
        self.with_check = [each for each in containers if (known := each.identity.metadata) and known.health]
        self._read_ns, self._words = read, words
        return Taken(*now, self._host(len(containers)), listed, samples, gone)

    def health(self, container: Container) -> tuple[Life, str] | None:
        """What its health check says, which may take a file of its runtime; None: that is not known."""
        found = health_of(self._sampler.names, container, self._sampler.root.clock())
        return None if found is None or found.status is None else (life_of(container), found.status)

    def _say(self, container: Container) -> _Words:
        known, identity = self._words.get(container), container.identity
        if known is not None and known.identity is identity and known.ref is container.ref:
            return known
        return _Words(identity, container.ref, life_of(container), subject_of(identity))

    def _passed(self, container: Container, read_ns: int) -> ContainerSample | None:
        """What a pass has read of it since ``read_ns``."""
        last = container.last
        if last is None or last.monotonic_ns <= read_ns:
            return None
        vitals, throttled = self._more(container, container.vitals), self._more(container, container.throttled_nsec)
        return _sample(last, vitals or NOTHING, container.highest.take(), throttled)

    def _more(self, container: Container, read: Callable[[], T]) -> T | None:
        """What a pass does not read; None: it cannot be read."""
        try:
            return read()
        except (CgroupGone, OSError):
            return None
        except ReadingFailed as error:
            self._sampler.failed(container, error)
            return None

    def _host(self, containers: int) -> HostSample:
        cpu = self._sampler.host.stat()
        memory = self._sampler.host.get(MEMINFO, parse_meminfo) or {}
        load = self._sampler.host.get(LOADAVG, parse_loadavg)
        return HostSample(
            cpu_busy_ticks=cpu.busy if cpu else None,
            cpu_total_ticks=cpu.total if cpu else None,
            cores=cpu.cores if cpu else None,
            memory_total_bytes=memory.get("MemTotal"),
            memory_available_bytes=memory.get("MemAvailable"),
            swap_total_bytes=memory.get("SwapTotal"),
            swap_free_bytes=memory.get("SwapFree"),
            load1_hundredths=round(load[0] * 100) if load and 0 <= load[0] < 1e9 else None,
            containers=containers,
        )


def _sample(stats: ContainerStats, vitals: Vitals, highest: Highest, throttled_nsec: int | None) -> ContainerSample:
    return ContainerSample(
        stats.monotonic_ns,
        int(stats.state is State.PAUSED),
        stats.cpu_usage_nsec,
        stats.memory_usage_bytes,
        stats.inactive_file_bytes,
        stats.memory_limit_bytes,
        stats.network_rx_bytes,
        stats.network_tx_bytes,
        stats.network_namespace,
        stats.block_read_bytes,
        stats.block_write_bytes,
        vitals.pids,
        vitals.oom_kills,
        vitals.peak_bytes,
        stats.network_ns or None,
        stats.block_ns or None,
        *highest,
        throttled_nsec,
    )


def subject_of(identity: Identity) -> Subject:
    """What is remembered of a container."""
    metadata, shown = identity.metadata, workload(identity)
    if metadata is None:
        return Subject(identity.name, None, None, shown)
    project = next((metadata.labels[key] for key in PROJECTS if metadata.labels.get(key)), None)
    image = printable(metadata.image) if metadata.image else None
    return Subject(identity.name, image, None if project is None else printable(project), shown)
