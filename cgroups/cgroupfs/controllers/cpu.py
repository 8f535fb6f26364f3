"""CPU time, throttling, quota and CPU set of a cgroup.

v2 ``cpu.stat`` (cgroup-v2.rst; nr_* and throttled_usec only with the cpu controller enabled)::

    usage_usec 16347007
    user_usec 239910
    system_usec 16107096
    nr_periods 0
    nr_throttled 0
    throttled_usec 0

and ``cpu.max`` (``max 100000``), ``cpuset.cpus.effective`` (``0-1``). v1: ``cpuacct.usage`` (nanoseconds),
``cpuacct.usage_user``/``usage_sys`` (nanoseconds, since 4.10), ``cpu.stat``
with throttled_time in nanoseconds, ``cpu.cfs_quota_us`` (-1: none) and ``cpu.cfs_period_us``, ``cpuset.cpus``,
``cpuset.effective_cpus``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..absent import MAX, Limit, Max, Missing
from ..formats import parse_cpu_list, parse_cpu_max, parse_signed, parse_value
from ..pseudofs import Directory
from .reading import Reading


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU of one cgroup and everything below it. Times in microseconds; None: see ``missing``."""

    usage_usec: int | None
    user_usec: int | None
    system_usec: int | None
    nr_periods: int | None
    nr_throttled: int | None
    throttled_usec: int | None
    quota_usec: Limit
    """CPU time allowed per period; MAX: no quota."""
    period_usec: int | None
    cpus: frozenset[int] | None
    """CPUs the cgroup was restricted to; empty: not restricted."""
    effective_cpus: frozenset[int] | None
    missing: tuple[Missing, ...]


def quota_v1(data: bytes) -> int | Max:
    value = parse_signed(data)
    return MAX if value < 0 else value


def _usec(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else nanoseconds // 1000


def read_v1(cpu: Directory | None, cpuacct: Directory | None, cpuset: Directory | None) -> Cpu:
    """The record from cpu, cpuacct and cpuset, each None where its controller has no such cgroup."""
    acct, own, cpus = Reading(cpuacct), Reading(cpu), Reading(cpuset)
    return Cpu(
        usage_usec=_usec(acct.value("usage_usec", "cpuacct.usage", parse_value)),
        user_usec=_usec(acct.value("user_usec", "cpuacct.usage_user", parse_value)),
        system_usec=_usec(acct.value("system_usec", "cpuacct.usage_sys", parse_value)),
        nr_periods=own.key("nr_periods", "cpu.stat", b"nr_periods"),
        nr_throttled=own.key("nr_throttled", "cpu.stat", b"nr_throttled"),
        throttled_usec=_usec(own.key("throttled_usec", "cpu.stat", b"throttled_time")),
        quota_usec=own.value("quota_usec", "cpu.cfs_quota_us", quota_v1),
        period_usec=own.value("period_usec", "cpu.cfs_period_us", parse_value),
        cpus=cpus.value("cpus", "cpuset.cpus", parse_cpu_list),
        effective_cpus=cpus.value("effective_cpus", "cpuset.effective_cpus", parse_cpu_list),
        missing=(*acct.missing, *own.missing, *cpus.missing),
    )


def read_v2(cpu: Directory | None, cpuacct: Directory | None, cpuset: Directory | None) -> Cpu:
    """The record from the one directory of a v2 cgroup (the three arguments are the same or None)."""
    acct, own, cpus = Reading(cpuacct or cpu), Reading(cpu), Reading(cpuset)
    quota = own.value("quota_usec", "cpu.max", parse_cpu_max)
    if quota is None:
        own.lack("period_usec", "cpu.max", own.missing[-1].reason)
    return Cpu(
        usage_usec=acct.key("usage_usec", "cpu.stat", b"usage_usec"),
        user_usec=acct.key("user_usec", "cpu.stat", b"user_usec"),
        system_usec=acct.key("system_usec", "cpu.stat", b"system_usec"),
        nr_periods=acct.key("nr_periods", "cpu.stat", b"nr_periods"),
        nr_throttled=acct.key("nr_throttled", "cpu.stat", b"nr_throttled"),
        throttled_usec=acct.key("throttled_usec", "cpu.stat", b"throttled_usec"),
        quota_usec=quota.quota_usec if quota else None,
        period_usec=quota.period_usec if quota else None,
        cpus=cpus.value("cpus", "cpuset.cpus", parse_cpu_list),
        effective_cpus=cpus.value("effective_cpus", "cpuset.cpus.effective", parse_cpu_list),
        missing=(*acct.missing, *own.missing, *cpus.missing),
    )
