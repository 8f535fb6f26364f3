"""From looks at the containers to the events of GET /api/containers/stats/follow."""

from __future__ import annotations

import msgspec

from ..sampling.model import ContainerStats, CpuReading
from ..sampling.rates import MOST_CORES, CpuWindow, bytes_per_second, cpu_percent, memory_usage, percent
from ..sampling.round import Ended, Killed, Look
from .follow_types import FollowExit, FollowOom, FollowStat
from .identity_json import milliseconds, project_of
from .unknown import rounded


def _cpu(now: ContainerStats, before: ContainerStats | None, cores: int) -> float | None:
    """Over the client's own interval where that is long enough, else as the pass has it."""
    if before is None or before.cpu_usage_nsec is None or now.cpu_usage_nsec is None:
        return now.cpu_percent
    if now.monotonic_ns - before.monotonic_ns < CpuWindow.MINIMUM_NS:
        return now.cpu_percent
    found = cpu_percent(
        CpuReading(before.cpu_usage_nsec, before.monotonic_ns),
        CpuReading(now.cpu_usage_nsec, now.monotonic_ns, now.cpu_until_ns),
        cores,
    )
    return now.cpu_percent if found is None else found


def follow_stat(
    look: Look, before: ContainerStats | None, mem_total: int | None, cores: int = MOST_CORES
) -> FollowStat:
    """One container; ``before``: its figures in the round before; ``cores``: of the host."""
    stats, identity, vitals, limits = look.stats, look.stats.identity, look.vitals, look.limits
    usage = memory_usage(stats.memory_usage_bytes, stats.inactive_file_bytes)
    elapsed = 0 if before is None else stats.monotonic_ns - before.monotonic_ns
    network = block = elapsed  # each figure by the time of its own reading, where that is known
    if before is not None and stats.network_ns and before.network_ns:
        network = stats.network_ns - before.network_ns
    if before is not None and stats.block_ns and before.block_ns:
        block = stats.block_ns - before.block_ns
    cpu = _cpu(stats, before, cores)
    rx, tx, read, written = (
        (None, None, None, None)
        if before is None
        else (
            bytes_per_second(before.network_rx_bytes, stats.network_rx_bytes, network),
            bytes_per_second(before.network_tx_bytes, stats.network_tx_bytes, network),
            bytes_per_second(before.block_read_bytes, stats.block_read_bytes, block),
            bytes_per_second(before.block_write_bytes, stats.block_write_bytes, block),
        )
    )
    limit = stats.memory_limit_bytes
    return FollowStat(
        id=identity.id,
        name=identity.name,
        runtime=identity.runtime,
        state=stats.state.value,
        owner_uid=identity.owner_uid,
        project=project_of(identity.metadata),
        cpu_percent=rounded(cpu),
        memory_usage=usage,
        memory_raw=stats.memory_usage_bytes,
        memory_cache=stats.inactive_file_bytes,
        memory_limit=limit,
        memory_percent=rounded(percent(usage, limit)),
        network_rx=stats.network_rx_bytes,
        network_tx=stats.network_tx_bytes,
        block_read=stats.block_read_bytes,
        block_write=stats.block_write_bytes,
        network_rx_rate=rx,
        network_tx_rate=tx,
        block_read_rate=read,
        block_write_rate=written,
        network_absent=stats.network_reason.value if stats.network_reason else None,
        network_namespace=stats.network_namespace,
        memory_limited=None if limit is None or mem_total is None else limit < mem_total,
        memory_peak=vitals.peak_bytes,
        cpu_limit=limits.cpu_cores,
        cpu_limit_percent=rounded(cpu / limits.cpu_cores) if cpu is not None and limits.cpu_cores else None,
        pids=vitals.pids,
        pids_limit=limits.pids,
        oom_kills=vitals.oom_kills,
        timestamp=stats.time_ms,
    )


def follow_oom(killed: Killed, time_ms: int) -> FollowOom:
    """One ``oom`` event."""
    return FollowOom(
        id=killed.identity.id,
        name=killed.identity.name,
        runtime=killed.identity.runtime,
        kills=killed.kills,
        total=killed.total,
        memory_limit=killed.last.memory_limit_bytes if killed.last else None,
        memory_peak=killed.vitals.peak_bytes,
        timestamp=time_ms,
    )


def follow_exit(ended: Ended, before: FollowStat | None, time_ms: int) -> FollowExit:
    """One ``exit`` event."""
    found = ended.metadata
    if before is None and ended.last is not None:  # no client followed: what other readings left
        before = follow_stat(ended.last, None, None)
    elif before is not None and ended.last is not None:  # a look at an OOM kill may be later than the last round
        vitals = ended.last.vitals
        before = msgspec.structs.replace(before, memory_peak=vitals.peak_bytes, oom_kills=vitals.oom_kills)
    return FollowExit(
        id=ended.identity.id,
        name=ended.identity.name,
        runtime=ended.identity.runtime,
        exit_code=ended.exit_code,
        exit_code_absent=ended.absent,
        signal=ended.signal,
        signal_absent=ended.signal_absent,
        oom_killed=ended.oom_killed,
        started=milliseconds(ended.started_seconds),
        finished=milliseconds(found.finished_seconds) if found else None,
        restarts=found.restarts if found else None,
        last=before,
        timestamp=time_ms,
    )
