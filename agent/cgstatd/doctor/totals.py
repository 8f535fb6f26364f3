"""The figures held against the kernel's own totals: all containers together cannot have more than the host.

Not exact in any direction (the kernel counts in batches, and the files are read one after the other), so each
comparison has a margin; a figure that is wrong by a factor, a unit or a doubled container is beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..outputs.table import binary_size
from ..sampling.model import ContainerStats
from ..sampling.rates import memory_limit, percent
from .examination import Examination
from .findings import COSTS, NOTE, OK, Finding, Section, listed, some

_CPU_MARGIN = 1.1
_TASK_MARGIN = 16
_BATCH_BYTES = 64 * 4096
"""A charge that is not yet in the total, per core and container."""
_REPORT = "please report it with a tree of `cgstatd record DIR`"


def section(found: Examination) -> Section:
    """A line for each total."""
    stats = [seen.stats for seen in found.containers if seen.stats is not None]
    findings: list[Finding] = []
    if stats:
        findings += [*_cpu(found, stats), *_memory(found, stats), *_limits(found, stats), *_tasks(found)]
    count = len(found.containers)
    if found.live and count:
        what = f"cost: one reading of {some(count, 'container')} takes {found.cpu_seconds * 1000:.1f} ms of CPU time"
        findings.append(Finding(OK, what))
    return Section("Self-check", findings)


def _held(what: str, together: float, most: float, wrong: str, figures: str) -> Finding:
    """The finding of one total, of which all containers together may have ``most``."""
    return Finding(OK, what) if together <= most else Finding(COSTS, f"{what}: {wrong}", f"trust in {figures}", _REPORT)


def _cpu(found: Examination, stats: list[ContainerStats]) -> Iterator[Finding]:
    cpu, before = found.after.cpu, found.before.cpu
    known = [each.cpu_percent for each in stats if each.cpu_percent is not None]
    if cpu is None or before is None or not known:
        return
    together, whole = sum(known), 100.0 * cpu.cores
    ticks, busy = cpu.total - before.total, cpu.busy - before.busy
    host = busy / ticks * whole if ticks > 0 else None
    what = f"CPU: all containers {together:.1f} %" + ("" if host is None else f", the host {host:.1f} %")
    what += f" (100 % is one core, this host has {cpu.cores})"
    finding = _held(what, together, whole * _CPU_MARGIN, "more than there is", "the CPU figures")
    if finding.level == OK and host is not None and together > host + whole * (_CPU_MARGIN - 1):
        why = "it counts in ticks of 10 ms, and loses some where a hypervisor is short of time"
        finding = Finding(NOTE, f"{what}: more than the host's /proc/stat has; {why}")
    yield finding


def _memory(found: Examination, stats: list[ContainerStats]) -> Iterator[Finding]:
    total, free = found.after.memory.get("MemTotal"), found.after.memory.get("MemFree")
    known = [each.memory_usage_bytes for each in stats if each.memory_usage_bytes is not None]
    if total is None or free is None or not known:
        return
    used, margin = total - free, _BATCH_BYTES * _cores(found) * len(known) + total // 100
    what = f"memory: all containers {binary_size(sum(known))} with their caches, the host {binary_size(used)} of "
    what += binary_size(total)
    yield _held(what, sum(known), used + margin, "more than is in use", "the memory figures")


def _limits(found: Examination, stats: list[ContainerStats]) -> Iterator[Finding]:
    total = found.after.memory.get("MemTotal")
    above = [
        each.identity.name
        for each in stats
        if (share := percent(each.memory_usage_bytes, memory_limit(each.memory_limit_bytes, total))) is not None
        and share > 100
        and (each.memory_usage_bytes or 0) > (each.memory_limit_bytes or 0) + _BATCH_BYTES * _cores(found)
    ]
    if above:
        why = "it was lowered below what they had, or the kernel is reclaiming just now"
        yield Finding(NOTE, f"limits: {listed(above)} use more than their memory limit: {why}")
    elif any(each.memory_limit_bytes for each in stats):
        yield Finding(OK, "limits: no container has more memory than its limit")


def _tasks(found: Examination) -> Iterator[Finding]:
    known, tasks = [seen.pids for seen in found.containers if seen.pids is not None], found.after.tasks
    if tasks is not None and known:
        what = f"processes and threads: all containers {sum(known)}, the host {tasks}"
        yield _held(what, sum(known), tasks + _TASK_MARGIN, "more than there are", "the number of processes")


def _cores(found: Examination) -> int:
    return found.after.cpu.cores if found.after.cpu else 1
