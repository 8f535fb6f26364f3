"""The processes of one container: which one is behind a figure.

Of a live host psutil says what it can; ``Process.name()`` is not asked, since it opens the command line where a name is
long, nor ``create_time()``, which reads a file of the host. Names, pids inside and starts come from the parsers that
also read a recorded tree, or one below /host (psutil's /proc is one global). Arguments and environment are never read.

A process costs some 70 us. What is looked at is bounded by MOST, whatever a fork bomb makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cgroupfs import CgroupGone, ParseError, Root

from ..basics.text import printable
from ..host.identity import Identity
from ..host.procfs.pid_stat import STATES, parse_children, parse_names, parse_stat
from ..host.procfs.process import threads
from .container import Container
from .processes import TICKS, process_status
from .reading_failed import ReadingFailed

MOST = 512
"""Processes that one answer looks at."""
AT_ONCE = 64
"""Processes that are read in one item of the sampling thread: some 5 ms."""
_MOST_CHILDREN = 64
"""Threads whose children are looked at for zombies."""
LEAST_WINDOW_NS = 500_000_000
"""CPU time has steps of 10 ms: 2 % of a window this long."""
MOST_WINDOW_NS = 60_000_000_000


class ProcessFigures(NamedTuple):
    """One process at one instant."""

    pid: int
    pid_inside: int | None
    name: str
    """The kernel's, as the process may have set it."""
    state: str
    """The kernel's word."""
    cpu_seconds: float
    rss_bytes: int
    threads: int
    start_ticks: int
    read_ns: int
    """When (monotonic)."""


class Members(NamedTuple):
    """The processes that a container has."""

    number: int
    """As far as its cgroups list them: not the zombies."""
    tasks: int | None
    """Its threads, as the pids controller counts them; zombies are among them."""
    pids: tuple[int, ...]
    """Those that are looked at."""
    whole: bool
    """Whether all its cgroups were looked into."""


Times = Mapping[tuple[int, int], ProcessFigures]
"""An earlier reading by (pid, start)."""


@dataclass(frozen=True, slots=True)
class ProcessList:
    """The processes of one container, and the reading before."""

    identity: Identity
    time_ms: int
    members: Members
    processes: Sequence[ProcessFigures]
    zombies: int | None
    """None: not all processes were looked at."""
    before: Times
    window_ns: int | None
    """Between the two readings; None: there is no earlier one."""
    uptime_seconds: float | None
    """The host's, for ages."""

    def cpu_percent(self, process: ProcessFigures) -> float | None:
        """Over the window; None for a process that is newer than that."""
        before = self.before.get((process.pid, process.start_ticks))
        if before is None or process.read_ns <= before.read_ns:
            return None
        return max(0.0, process.cpu_seconds - before.cpu_seconds) / (process.read_ns - before.read_ns) * 1e11

    def age_seconds(self, process: ProcessFigures) -> float | None:
        """None: the host's uptime cannot be read."""
        return None if self.uptime_seconds is None else max(0.0, self.uptime_seconds - process.start_ticks / TICKS)


def members(container: Container) -> Members:
    """Raises ReadingFailed."""
    with _Guarded(container), container.reading() as cgroup:
        found = cgroup.population(MOST)
        return Members(found.number, cgroup.pids().current, found.listed, found.whole)


def read_some(root: Root, container: Container, pids: Sequence[int]) -> list[ProcessFigures]:
    """Those of ``pids`` that are there and may be read. Raises ReadingFailed."""
    with _Guarded(container), container.reading():
        return list(_read(root, container, pids))


def read_zombies(root: Root, container: Container, pids: Sequence[int]) -> list[ProcessFigures]:
    """The ended children of these processes: no cgroup lists a zombie. Raises ReadingFailed."""
    with _Guarded(container), container.reading():
        found = sorted(set(_children(root, pids)) - set(pids))[:MOST]
        return [each for each in _read(root, container, found) if is_zombie(each)]


def is_zombie(process: ProcessFigures) -> bool:
    """Whether it has ended. A process whose first thread alone has ended runs on."""
    return process.state == STATES["Z"] and process.threads <= 1


def _children(root: Root, pids: Sequence[int]) -> Iterator[int]:
    left = _MOST_CHILDREN
    for pid in pids:
        for thread in threads(f"{root.join('/proc')}/{pid}"):
            if left <= 0:
                return
            left -= 1
            try:
                yield from parse_children(root.read(f"/proc/{pid}/{thread}/children"))
            except OSError:
                continue


def _read(root: Root, container: Container, pids: Sequence[int]) -> Iterator[ProcessFigures]:
    read = read_by_psutil if root.live and not root.path else read_process
    for pid in pids:
        try:
            yield read(root, pid, root.clock(container.ref.path).monotonic_ns)
        except (OSError, ParseError):
            continue


def read_process(root: Root, pid: int, now_ns: int) -> ProcessFigures:
    """By the parsers alone. Raises OSError, ParseError."""
    stat = parse_stat(root.read(f"/proc/{pid}/stat"))
    names = parse_names(process_status(root, pid))
    state = STATES.get(stat.state, printable(stat.state))
    return ProcessFigures(
        pid,
        names.pid_inside,
        printable(names.name),
        state,
        stat.cpu_ticks / TICKS,
        names.rss_bytes,
        stat.threads,
        stat.start_ticks,
        now_ns,
    )


def read_by_psutil(root: Root, pid: int, now_ns: int) -> ProcessFigures:
    """Of a live host at "/": CPU time, memory, threads and state as psutil says. Raises OSError, ParseError."""
    import psutil  # noqa: PLC0415 - when first needed

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times, memory = process.cpu_times(), process.memory_info().rss
            count, state = process.num_threads(), str(process.status()).replace("-", " ")
    except psutil.Error as error:
        raise ProcessLookupError(f"{pid}: {type(error).__name__}") from error
    found = read_process(root, pid, now_ns)
    return found._replace(
        cpu_seconds=times.user + times.system, rss_bytes=memory or found.rss_bytes, threads=count, state=state
    )


class _Guarded:
    """Turns what ends a reading into ReadingFailed."""

    __slots__ = ("_container",)

    def __init__(self, container: Container) -> None:
        self._container = container

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, CgroupGone):
            raise ReadingFailed("the container ended while it was read") from None
        if isinstance(error, OSError):
            path = error.filename or self._container.ref.path
            raise ReadingFailed(f"cannot read {path}: {error.strerror}") from error
