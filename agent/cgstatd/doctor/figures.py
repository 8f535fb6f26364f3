"""Which figures of which containers the kernel does not give, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cgroupfs import Absent, CgroupGone, Missing, select

from ..sampling.container import Container
from ..sampling.model import ContainerStats
from ..sampling.reading_failed import ReadingFailed
from .examination import Examination, Seen
from .findings import COSTS, NOTE, OK, Finding, Section, listed, some


class _Figure(NamedTuple):
    name: str
    known: Callable[[ContainerStats], bool]
    field: str
    controller: str


_FIGURES = (
    _Figure("CPU", lambda s: s.cpu_percent is not None, "cpu.usage_nsec", "cpuacct"),
    _Figure("memory", lambda s: s.memory_usage_bytes is not None, "memory.usage_bytes", "memory"),
    _Figure("block I/O", lambda s: s.block_read_bytes is not None, "io.devices", "io"),
)
_TODO = {
    Absent.CONTROLLER_OFF: "enable it for that cgroup: for rootless containers `systemctl edit user@.service` with "
    "[Service] Delegate=cpu cpuset io memory pids, then log in again; for services CPUAccounting=, MemoryAccounting=, "
    "IOAccounting=yes",
    Absent.FILE_ABSENT: "enable the controller for that cgroup: for rootless containers `systemctl edit user@.service` "
    "with [Service] Delegate=cpu cpuset io memory pids, then log in again",
    Absent.HIDDEN: "mount /proc without hidepid=, or give the service CAP_SYS_PTRACE (CapabilityBoundingSet= and "
    "AmbientCapabilities= in a drop-in)",
    Absent.NO_PROCESS: "share the host's PID namespace (--pid=host) if this runs in a container",
    Absent.PERMISSION: "run as root, or as the service does (cgstatd install)",
}


def section(found: Examination) -> Section:
    """A line for each figure that not every container has, one for all the others."""
    read = [seen for seen in found.containers if seen.stats is not None]
    findings: list[Finding] = []
    if not read and not any(seen.failure for seen in found.containers):
        return Section("Figures", findings)
    whole: list[str] = []
    for figure in _FIGURES:
        if found.sampler.hierarchy.mount(figure.controller) is None:
            findings.append(Finding(NOTE, f"{figure.name}: of no container, see above"))
            continue
        lacking = _lacking(figure, read)
        findings += lacking
        whole += [] if lacking else [figure.name]
    network = _network(read)
    findings += network
    whole += [] if network else ["network"]
    failed = [seen for seen in found.containers if seen.failure]
    if failed:
        what = f"{some(len(failed), 'container')} left out ({_names(failed)}): {failed[0].failure}"
        findings.append(Finding(COSTS, what, "every figure of theirs", "see what that file says, and report it"))
    if whole and read:
        findings.insert(0, Finding(OK, f"{', '.join(whole)}: known for {_all(len(read))}"))
    return Section("Figures", findings)


def _names(seen: Iterable[Seen]) -> str:
    return listed((each.container.identity.name for each in seen), 3)


def _lacking(figure: _Figure, read: list[Seen]) -> list[Finding]:
    reasons: dict[tuple[Absent | None, str], list[Seen]] = {}
    young = [seen for seen in read if seen.stats and figure.field == "cpu.usage_nsec" and _counted_once(seen.stats)]
    for seen in read:
        if seen.stats is not None and not figure.known(seen.stats) and seen not in young:
            missing = _reason(figure, seen.container)
            reasons.setdefault((missing.reason if missing else None, _where(missing)), []).append(seen)
    findings = [_finding(figure, read, reason, where, seen) for (reason, where), seen in reasons.items()]
    if young:
        what = f"{figure.name}: {len(young)} of {len(read)} not yet ({_names(young)}): started while this ran, and a "
        findings.append(Finding(NOTE, what + "percentage takes two readings", "", "look again"))
    return findings


def _counted_once(stats: ContainerStats) -> bool:
    """Its CPU time is known, but not since when."""
    return stats.cpu_percent is None and stats.cpu_usage_nsec is not None


def _reason(figure: _Figure, container: Container) -> Missing | None:
    try:
        with container.reading() as cgroup:
            return next(iter(cgroup.read(select(figure.field)).missing), None)
    except (CgroupGone, ReadingFailed, OSError):
        return None


def _where(missing: Missing | None) -> str:
    return missing.path.rpartition("/")[2] if missing else ""


def _finding(figure: _Figure, read: list[Seen], reason: Absent | None, file: str, seen: list[Seen]) -> Finding:
    of = "all" if len(seen) == len(read) else f"{len(seen)} of {len(read)}"
    why = "not readable just now" if reason is None else reason.value
    what = f"{figure.name}: {of} without ({_names(seen)}): {file + ': ' if file else ''}{why}"
    if reason is Absent.NOT_COUNTED:
        return Finding(
            NOTE, f"{what}; v1 counts it under a throttle rule or the bfq scheduler only, `docker stats` shows 0 too"
        )
    todo = _TODO.get(reason, "") if reason else ""
    return Finding(COSTS, what, f"{figure.name} of these (shown as 0)", todo)


def _network(read: list[Seen]) -> list[Finding]:
    reasons: dict[Absent, list[Seen]] = {}
    for seen in read:
        stats = seen.stats
        if stats is not None and stats.network_rx_bytes is None and stats.network_reason is not None:
            reasons.setdefault(stats.network_reason, []).append(seen)
    findings = []
    for reason, seen_by in reasons.items():
        if reason is Absent.HOST_NETWORK:
            findings.append(Finding(NOTE, _hosts(read, seen_by)))
        else:
            what = f"network: {len(seen_by)} of {len(read)} without ({_names(seen_by)}): {reason.value}"
            findings.append(Finding(COSTS, what, "network of these (shown as 0)", _TODO.get(reason, "")))
    return findings


def _hosts(read: list[Seen], seen_by: list[Seen]) -> str:
    others = sum(seen.stats is not None and seen.stats.network_rx_bytes is not None for seen in read)
    known = f"known for the other {others}; " if others else ""
    uses = "uses" if len(seen_by) == 1 else "use"
    return f"network: {known}{_names(seen_by)} {uses} the host's, shown as 0, as in `docker stats`"


def _all(count: int) -> str:
    return "the one running container" if count == 1 else f"all {count} running containers"
