"""From the rows of the history to the objects of its answers. Pure: any thread may use it."""

from __future__ import annotations

from collections.abc import Sequence

from ..sampling.history_model import ContainerSample, HostSample, Life, Subject
from ..sampling.rates import memory_usage
from .history_types import ContainerCounters, HostCounters


def container_counters(life: Life, subject: Subject, values: Sequence[int | None], life_text: str) -> ContainerCounters:
    """``values``: of a :class:`ContainerSample`; ``life_text``: the life among those of all boots."""
    sample = ContainerSample(*values)  # type: ignore[arg-type]
    return ContainerCounters(
        id=life.id,
        name=subject.name,
        runtime=life.runtime,
        owner_uid=life.owner_uid,
        image=subject.image,
        project=subject.project,
        life=life_text,
        state="paused" if sample.paused else "running",
        monotonic_nsec=sample.monotonic_ns,
        cpu_usage_nsec=sample.cpu_usage_nsec,
        memory_usage=memory_usage(sample.memory_usage_bytes, sample.inactive_file_bytes),
        memory_raw=sample.memory_usage_bytes,
        memory_cache=sample.inactive_file_bytes,
        memory_limit=sample.memory_limit_bytes,
        network_rx=sample.network_rx_bytes,
        network_tx=sample.network_tx_bytes,
        network_namespace=sample.network_namespace,
        block_read=sample.block_read_bytes,
        block_write=sample.block_write_bytes,
        pids=sample.pids,
        oom_kills=sample.oom_kills,
        memory_peak=sample.memory_peak_bytes,
        network_monotonic_nsec=sample.network_ns,
        block_monotonic_nsec=sample.block_ns,
        cpu_throttled_nsec=sample.cpu_throttled_nsec,
    )


def host_counters(values: Sequence[int | None]) -> HostCounters:
    """``values``: of a :class:`HostSample`."""
    sample = HostSample(*values)  # type: ignore[arg-type]
    load = sample.load1_hundredths
    return HostCounters(
        cpu_busy_ticks=sample.cpu_busy_ticks,
        cpu_total_ticks=sample.cpu_total_ticks,
        cores=sample.cores,
        memory_total=sample.memory_total_bytes,
        memory_available=sample.memory_available_bytes,
        swap_total=sample.swap_total_bytes,
        swap_free=sample.swap_free_bytes,
        load1=None if load is None else load / 100,
        containers=sample.containers,
    )
