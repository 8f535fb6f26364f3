"""The readings that the findings are made of: every container twice, with the kernel's own totals around them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

from cgroupfs import CgroupGone, Clock, ParseError, Root

from ..host.procfs.host_load import LOADAVG
from ..host.procfs.host_stat import PATH as STAT
from ..host.procfs.host_stat import HostCpu, parse_host_stat
from ..host.procfs.meminfo import PATH as MEMINFO
from ..host.procfs.meminfo import parse_meminfo
from ..sampling.container import Container
from ..sampling.model import ContainerStats
from ..sampling.open_host import HostOptions, open_host
from ..sampling.pass_work import CPU_WINDOW_SECONDS
from ..sampling.reading_failed import ReadingFailed
from ..sampling.sampler import Pending, Sampler
from .patience import Patience

T = TypeVar("T")
WINDOW_SECONDS = 1.0


class Totals(NamedTuple):
    """What the kernel says of the whole host at one instant. None: the file cannot be read."""

    clock: Clock
    cpu: HostCpu | None
    steal_ticks: int
    memory: dict[str, int]
    tasks: int | None


class Seen(NamedTuple):
    """One running container."""

    container: Container
    stats: ContainerStats | None
    """None: it cannot be read (``failure``)."""
    failure: str
    pids: int | None


class Examination(NamedTuple):
    """All readings of one examination."""

    root: Root
    live: bool
    """False: a recorded tree, whose rights and clocks are those of the user that recorded it."""
    sampler: Sampler
    containers: list[Seen]
    stopped: dict[str, int]
    """runtime -> containers that are on disk only."""
    before: Totals
    after: Totals
    cpu_seconds: float
    """CPU time that one reading of all containers took."""


def _get(root: Root, path: str, parse: Callable[[bytes], T], otherwise: T) -> T:
    try:
        return parse(root.read(path))
    except (OSError, ParseError, ValueError, IndexError):
        return otherwise


def _steal(data: bytes) -> int:
    return int(data.split(b"\n", 1)[0].split()[8])


def _tasks(data: bytes) -> int | None:
    """All tasks of the host: ``4/286``."""
    return int(data.split()[3].partition(b"/")[2])


def totals(root: Root) -> Totals:
    """The host's totals now."""
    return Totals(
        root.clock(),
        _get(root, STAT, parse_host_stat, None),
        _get(root, STAT, _steal, 0),
        _get(root, MEMINFO, parse_meminfo, {}),
        _get(root, LOADAVG, _tasks, None),
    )


def examine(roots: Sequence[Root], options: HostOptions, patience: Patience) -> Examination:
    """Read the host twice, a second apart; of a recorded tree its two readings.

    Raises NoCgroups, ListingFailed, Hung.
    """
    live = roots[-1].live
    before = patience(partial(totals, roots[0]))
    sampler = patience(partial(open_host, roots[-1], options))
    earlier = sampler if len(roots) == 1 else patience(partial(open_host, roots[0], options))
    patience(earlier.baselines)
    if len(roots) > 1:
        patience(partial(sampler.continue_from, earlier))
    elif live:
        time.sleep(WINDOW_SECONDS)
    seen = patience(partial(_see_all, sampler, live))
    after = patience(partial(totals, sampler.root))
    stopped = patience(partial(_stopped, sampler))
    cost = patience(partial(_cost, sampler)) if live else 0.0
    return Examination(sampler.root, live, sampler, seen, stopped, before, after, cost)


def _cost(sampler: Sampler) -> float:
    """CPU time of a reading such as each request takes: the files are open by now."""
    started = time.process_time()
    namespaces = sampler.namespaces()
    for container in sampler.containers():
        with suppress(ReadingFailed):
            sampler.read(container, namespaces)
    return time.process_time() - started


def _see_all(sampler: Sampler, live: bool) -> list[Seen]:
    """Every container but those that have just ended. One that was made meanwhile gets its CPU window, as elsewhere."""
    namespaces = sampler.namespaces()
    firsts = [(container, _attempt(partial(sampler.read, container, namespaces))) for container in sampler.containers()]
    if live and any(isinstance(found, Pending) for _, found in firsts):
        time.sleep(CPU_WINDOW_SECONDS)
    seen = []
    for container, first in firsts:
        found = _attempt(partial(sampler.second, first)) if isinstance(first, Pending) else first
        if isinstance(found, str):
            seen.append(Seen(container, None, found, None))
        elif isinstance(found, ContainerStats):
            pids = None
            with suppress(CgroupGone, ReadingFailed, OSError), container.reading() as cgroup:
                pids = cgroup.pids().current
            seen.append(Seen(container, found, "", pids))
    return seen


def _attempt(take: Callable[[], ContainerStats | Pending | None]) -> ContainerStats | Pending | str | None:
    """The outcome of a reading, or why it failed; None: the container is gone."""
    try:
        return take()
    except ReadingFailed as error:
        return str(error)
    except (CgroupGone, OSError):
        return None


def _stopped(sampler: Sampler) -> dict[str, int]:
    running = {container.identity.id for container in sampler.containers()}
    found: dict[str, int] = {}
    for metadata in sampler.names.on_disk():
        if (metadata.shown_id or metadata.id) not in running and metadata.id not in running:
            found[metadata.runtime] = found.get(metadata.runtime, 0) + 1
    return found


def text_of(root: Root, path: str) -> str:
    """The text of a file of the kernel; empty where it cannot be read."""
    return _get(root, path, lambda data: data.decode("utf-8", "replace"), "")


def in_container(root: Root) -> bool:
    """Whether this is the part of a host that a container sees.

    The second process of a host is the kernel's own. In a container there is none, or it is any process; a recorded
    tree has neither the first nor the second.
    """
    try:
        return root.read("/proc/2/comm").strip() != b"kthreadd"
    except FileNotFoundError:
        return _get(root, "/proc/1/comm", lambda _: True, False)
    except OSError:
        return False
