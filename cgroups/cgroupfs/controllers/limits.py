"""The limits of a cgroup alone, for who walks up its ancestors: CPU quota and shares, memory, tasks.

v2: cpu.max, cpu.weight, memory.max, pids.max. v1: cpu.cfs_quota_us and cpu.cfs_period_us, cpu.shares,
memory.limit_in_bytes, pids.max. The root cgroup has none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..absent import Limit, Missing
from ..formats import parse_cpu_max, parse_limit, parse_value
from ..hierarchy import Version
from .cpu import quota_v1
from .kept import Source
from .memory import limit_v1
from .reading import Reading


@dataclass(frozen=True, slots=True)
class Limits:
    """Own limits, whatever those of the ancestors are. None: see ``missing``."""

    cpu_quota_usec: Limit
    cpu_period_usec: int | None
    cpu_shares: int | None
    """2 to 262144, 1024 by default; v2's weight (1 to 10000) by the rule with which runc made it from shares."""
    memory_max_bytes: Limit
    pids_max: Limit
    missing: tuple[Missing, ...]

    @property
    def cpu_cores(self) -> float | None:
        """The CPU quota in cores; None: no quota, or not known."""
        quota, period = self.cpu_quota_usec, self.cpu_period_usec
        return quota / period if isinstance(quota, int) and period else None


def read(cpu: Source, memory: Source, pids: Source) -> Limits:
    """The limits from each controller's directory."""
    own, mem, tasks = (Reading(source[0] if source else None) for source in (cpu, memory, pids))
    if cpu is not None and cpu[1] is Version.V1:
        quota = own.value("cpu_quota_usec", "cpu.cfs_quota_us", quota_v1)
        period = own.value("cpu_period_usec", "cpu.cfs_period_us", parse_value)
        shares = own.value("cpu_shares", "cpu.shares", parse_value)
    else:
        both = own.value("cpu_quota_usec", "cpu.max", parse_cpu_max)
        quota, period = (both.quota_usec, both.period_usec) if both else (None, None)
        if both is None:
            own.lack("cpu_period_usec", "cpu.max", own.missing[-1].reason)
        weight = own.value("cpu_shares", "cpu.weight", parse_value)
        shares = None if weight is None else 2 + (weight - 1) * 262142 // 9999
    v1 = memory is not None and memory[1] is Version.V1
    limit = mem.value(
        "memory_max_bytes", "memory.limit_in_bytes" if v1 else "memory.max", limit_v1 if v1 else parse_limit
    )
    return Limits(
        quota,
        period,
        shares,
        limit,
        tasks.value("pids_max", "pids.max", parse_limit),
        (*own.missing, *mem.missing, *tasks.missing),
    )
