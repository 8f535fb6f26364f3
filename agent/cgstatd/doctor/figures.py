"""Which figures of which containers the kernel does not give, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cgroupfs import Absent, CgroupGone, select

from ..sampling.container import Container
from ..sampling.model import ContainerStats
from ..sampling.reading_failed import ReadingFailed
from .examination import Examination, Seen
from .findings import COSTS, NOTE, OK, Finding, Section, listed, some


class _Figure(NamedTuple):
    """A figure, where the reading has it, and the field and the controller that it comes from."""

    name: str
    known: Callable[[ContainerStats], bool]
    field: str
    controller: str


_CPU = _Figure("CPU", lambda s: s.cpu_percent is not None, "cpu.usage_nsec", "cpuacct")
_FIGURES = (
    _CPU,
    _Figure("memory", lambda s: s.memory_usage_bytes is not None, "memory.usage_bytes", "memory"),
    _Figure("block I/O", lambda s: s.block_read_bytes is not None, "io.devices", "io"),
)
_DELEGATE = "for rootless containers `systemctl edit user@.service` with [Service] Delegate=cpu cpuset io memory pids, "
_DELEGATE += "then log in again"
_TODO = {
    Absent.CONTROLLER_OFF: f"enable it for that cgroup: {_DELEGATE}; for services CPUAccounting=, MemoryAccounting=, "
    "IOAccounting=yes",
    Absent.FILE_ABSENT: f"enable the controller for that cgroup: {_DELEGATE}",
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
    young: list[Seen] = []
    for seen in read:
        stats = seen.stats
        if stats is None or figure.known(stats):
            continue
        if figure is _CPU and stats.cpu_usage_nsec is not None:  # its time is known, but not since when
            young.append(seen)
        else:
            reasons.setdefault(_reason(figure, seen.container), []).append(seen)
    findings = [_finding(figure, read, reason, file, seen) for (reason, file), seen in reasons.items()]
    if young:
        what = f"{figure.name}: {len(young)} of {len(read)} not yet ({_names(young)}): started while this ran, and a "
        findings.append(Finding(NOTE, what + "percentage takes two readings", "", "look again"))
    return findings


def _reason(figure: _Figure, container: Container) -> tuple[Absent | None, str]:
    """Why a container has no such figure, and in which file; (None, "") if the kernel says nothing of it now."""
    try:
        with container.reading() as cgroup:
            for missing in cgroup.read(select(figure.field)).missing:
                return missing.reason, missing.path.rpartition("/")[2]
    except (CgroupGone, ReadingFailed, OSError):
        pass
    return None, ""


def _finding(figure: _Figure, read: list[Seen], reason: Absent | None, file: str, seen: list[Seen]) -> Finding:
    of = "all" if len(seen) == len(read) else f"{len(seen)} of {len(read)}"
    why = "not readable just now" if reason is None else reason.value
    what = f"{figure.name}: {of} without ({_names(seen)}): {file + ': ' if file else ''}{why}"
    if reason is Absent.NOT_COUNTED:
        what += "; v1 counts it under a throttle rule or the bfq scheduler only, `docker stats` shows 0 too"
        return Finding(NOTE, what)
    return Finding(COSTS, what, f"{figure.name} of these (shown as 0)", _TODO.get(reason, "") if reason else "")


def _network(read: list[Seen]) -> list[Finding]:
    reasons: dict[Absent, list[Seen]] = {}
    known = 0
    for seen in read:
        stats = seen.stats
        if stats is not None and stats.network_rx_bytes is not None:
            known += 1
        elif stats is not None and stats.network_reason is not None:
            reasons.setdefault(stats.network_reason, []).append(seen)
    findings = []
    for reason, lacking in reasons.items():
        if reason is Absent.HOST_NETWORK:
            others = f"known for the other {known}; " if known else ""
            uses = f"{_names(lacking)} use{'s' if len(lacking) == 1 else ''}"
            findings.append(Finding(NOTE, f"network: {others}{uses} the host's, shown as 0, as in `docker stats`"))
        else:
            what = f"network: {len(lacking)} of {len(read)} without ({_names(lacking)}): {reason.value}"
            findings.append(Finding(COSTS, what, "network of these (shown as 0)", _TODO.get(reason, "")))
    return findings


def _all(count: int) -> str:
    return "the one running container" if count == 1 else f"all {count} running containers"
