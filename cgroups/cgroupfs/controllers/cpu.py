"""CPU time, throttling, quota, weight and CPU set of a cgroup.

v2 ``cpu.stat`` (cgroup-v2.rst; nr_* and throttled_usec only with the cpu controller enabled)::

    usage_usec 16347007
    user_usec 239910
    system_usec 16107096
    nr_periods 0
    nr_throttled 0
    throttled_usec 0

and ``cpu.max`` (``max 100000``), ``cpuset.cpus.effective`` (``0-1``). v1: ``cpuacct.usage`` (nanoseconds),
``cpuacct.usage_user``/``usage_sys`` (nanoseconds, since 4.10), ``cpu.stat`` with throttled_time in nanoseconds,
``cpu.cfs_quota_us`` (-1: none) and ``cpu.cfs_period_us``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..absent import MAX, Limit, Max, Missing
from ..fields import Field, both, declare, declared, file
from ..formats import flat_key, parse_cpu_list, parse_cpu_max, parse_signed, parse_value

NS = "nanoseconds"
US = "microseconds"
_QUOTA = "cpu.quota_usec"


def quota_v1(data: bytes) -> int | Max:
    value = parse_signed(data)
    return MAX if value < 0 else value


def shares_of_weight(data: bytes) -> int:
    """v2's weight (1 to 10000) as shares (2 to 262144; 1024), by the rule with which runc made it from shares."""
    return 2 + (parse_value(data) - 1) * 262142 // 9999


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU of one cgroup and everything below it. None: see ``missing``."""

    usage_nsec: int | None = declare(
        "cpuacct", NS, v1=file("cpuacct.usage", parse_value), v2=file("cpu.stat", flat_key(b"usage_usec", 1000))
    )
    user_nsec: int | None = declare(
        "cpuacct", NS, v1=file("cpuacct.usage_user", parse_value), v2=file("cpu.stat", flat_key(b"user_usec", 1000))
    )
    system_nsec: int | None = declare(
        "cpuacct", NS, v1=file("cpuacct.usage_sys", parse_value), v2=file("cpu.stat", flat_key(b"system_usec", 1000))
    )
    quota_usec: Limit = declare(
        "cpu",
        US,
        v1=file("cpu.cfs_quota_us", quota_v1),
        v2=file("cpu.max", lambda data: parse_cpu_max(data).quota_usec),
    )
    """CPU time allowed per period; MAX: no quota."""
    period_usec: int | None = declare(
        "cpu",
        US,
        v1=file("cpu.cfs_period_us", parse_value),
        v2=file("cpu.max", lambda data: parse_cpu_max(data).period_usec),
        needs=_QUOTA,
    )
    nr_periods: int | None = both("cpu", "", file("cpu.stat", flat_key(b"nr_periods")), _QUOTA)
    nr_throttled: int | None = both("cpu", "", file("cpu.stat", flat_key(b"nr_throttled")), _QUOTA)
    throttled_nsec: int | None = declare(
        "cpu",
        NS,
        v1=file("cpu.stat", flat_key(b"throttled_time")),
        v2=file("cpu.stat", flat_key(b"throttled_usec", 1000)),
        needs=_QUOTA,
    )
    cpus: frozenset[int] | None = both("cpuset", "", file("cpuset.cpus", parse_cpu_list))
    """CPUs the cgroup was restricted to; empty: not restricted."""
    effective_cpus: frozenset[int] | None = declare(
        "cpuset",
        v1=file("cpuset.effective_cpus", parse_cpu_list),
        v2=file("cpuset.cpus.effective", parse_cpu_list),
    )
    missing: tuple[Missing, ...] = ()


FIELDS: tuple[Field, ...] = (
    *declared(Cpu, "cpu"),
    Field("cpu.shares", "", "cpu", file("cpu.shares", parse_value), file("cpu.weight", shares_of_weight)),
)
