"""GET /api/containers/{id}/processes: a container's processes, the largest first."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..basics.text import printable
from ..host.identity import Identity
from ..host.procfs.pid_stat import STATES
from ..sampling.process_list import MOST, ProcessFigures, ProcessList, is_zombie
from .unknown import rounded

DEFAULT_LIMIT = 20
SORTS = ("cpu", "memory")
NOT_RUNNING = "it does not run"


class ProcessLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One process. null: not known."""

    pid: int
    """As the agent sees it."""
    pid_inside: int | None
    """In its own PID namespace."""
    name: str
    """The kernel's name of the program, at most 15 bytes; the process may have set it. Never an argument."""
    state: str
    """In the kernel's words: running, sleeping, disk sleep, stopped, zombie, …"""
    cpu_percent: float | None
    """100 per core, over the window; null: it is newer than that."""
    memory: int
    """Resident bytes; pages that processes share count for each."""
    threads: int
    age_seconds: float | None
    """Since it was started."""


class ContainerProcesses(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A container's processes, sorted, and how many of them were looked at."""

    id: str
    name: str
    timestamp: int
    count: int
    """All of its processes but the zombies; in the cgroups below its own, too."""
    tasks: int | None
    """Its threads, as the pids controller counts them."""
    looked: int
    """Processes that were looked at; sorting and numbers below are about these."""
    incomplete: str | None
    """Why some were not; null: all were."""
    zombies: int | None
    """Ended, and not waited for by their parents; null: not all processes were looked at."""
    uninterruptible: int
    """In disk sleep (D): they wait for a device or a file system, and no signal ends them."""
    window_seconds: float | None
    """What CPU percentages are over."""
    sort: str
    processes: list[ProcessLine]


def _incomplete(found: ProcessList, looked: int) -> str | None:
    count, asked, whole = found.members.number, len(found.members.pids), found.members.whole
    if asked == MOST and (count > asked or not whole):
        return f"only {MOST} processes are looked at"
    if not whole:
        return "not all cgroups below its own are looked into"
    if not count and found.members.tasks:
        return "its processes have no pid in the agent's PID namespace"
    if looked < asked:
        gone = asked - looked
        return f"{gone} {'process' if gone == 1 else 'processes'} ended meanwhile, or may not be read"
    return None


def container_processes(found: ProcessList, sort: str, limit: int) -> ContainerProcesses:
    """The answer of a container that runs; ``sort``: one of SORTS."""
    percents = {each.pid: found.cpu_percent(each) for each in found.processes}
    orders: dict[str, Callable[[ProcessFigures], tuple[float, float]]] = {
        "cpu": lambda each: (percents[each.pid] or 0.0, each.cpu_seconds),
        "memory": lambda each: (each.rss_bytes, percents[each.pid] or 0.0),
    }
    largest = sorted(found.processes, key=orders[sort], reverse=True)[:limit]
    zombies = sum(map(is_zombie, found.processes))
    looked = len(found.processes) - (found.zombies or 0)
    return ContainerProcesses(
        id=found.identity.id,
        name=found.identity.name,
        timestamp=found.time_ms,
        count=found.members.number,
        tasks=found.members.tasks,
        looked=looked,
        incomplete=_incomplete(found, looked),
        zombies=None if found.zombies is None else zombies,
        uninterruptible=sum(each.state == STATES["D"] for each in found.processes),
        window_seconds=None if found.window_ns is None else round(found.window_ns / 1e9, 3),
        sort=sort,
        processes=[_line(found, each, percents[each.pid]) for each in largest],
    )


def _line(found: ProcessList, each: ProcessFigures, percent: float | None) -> ProcessLine:
    age = found.age_seconds(each)
    return ProcessLine(
        pid=each.pid,
        pid_inside=each.pid_inside,
        name=each.name,
        state=each.state,
        cpu_percent=rounded(percent),
        memory=each.rss_bytes,
        threads=each.threads,
        age_seconds=None if age is None else round(age, 2),
    )


def no_processes(identity: Identity, time_ms: int, sort: str) -> ContainerProcesses:
    """The answer of a container that does not run."""
    return ContainerProcesses(
        id=printable(identity.id),
        name=printable(identity.name),
        timestamp=time_ms,
        count=0,
        tasks=0,
        looked=0,
        incomplete=NOT_RUNNING,
        zombies=0,
        uninterruptible=0,
        window_seconds=None,
        sort=sort,
        processes=[],
    )
