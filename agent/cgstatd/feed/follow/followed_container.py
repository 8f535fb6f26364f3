"""What the agent remembers of one life of a container."""

from __future__ import annotations

import contextlib
import os
import time
from typing import NamedTuple

from cgroupfs import CgroupGone, Descriptors, ParseError, Root, Vitals
from cgroupfs.pseudofs import release

from ...host.first_process import MOST, First, first_process
from ...host.identity import left_behind
from ...host.pidfd import Exit, Untold, how_ended
from ...host.procfs.pid_stat import parse_parent
from ...host.runtimes.base import RecordsEnds
from ...host.starting import prepares
from ...sampling.container import Container
from ...sampling.reading_failed import ReadingFailed
from ...sampling.round import Look, OwnLimits
from .container_life import Life

NOTHING = Vitals(None, None, None)
_ARM_TRIES = 8
"""In so many looks one after the other a process is asked for whose death is to be noticed: a container has none at
first."""
_ARM_NS = (500_000_000, 8_000_000_000)
"""After these tries the next one waits for so long at first, and at last: where the agent cannot see the host's
processes it never succeeds, and each try reads the container's list of them."""
UNSEEN = "its first process had ended before the agent looked"
UNWATCHED = "the agent had no descriptor left to watch its first process"


class Watched(NamedTuple):
    """A process whose death will be noticed."""

    first: First
    fd: int
    """Readable once it has died."""


class Followed:
    """Used in the sampling thread."""

    __slots__ = (
        "_arm_tries",
        "_arm_wait_ns",
        "_dead",
        "_descriptors",
        "_fd",
        "arm_again_ns",
        "armed",
        "counted",
        "dead_ns",
        "died_seconds",
        "first",
        "last",
        "life",
        "limits",
        "limits_ns",
        "oom_final",
        "oom_kills",
        "oom_told",
        "program_seen",
        "recorder",
        "seen_seconds",
        "service",
        "silent",
        "unwatched",
        "vitals",
    )

    def __init__(
        self,
        born_seconds: float,
        oom_kills: int | None,
        descriptors: Descriptors | None = None,
        *,
        service: bool = False,
    ) -> None:
        """``descriptors``: which count the pidfds, where they do. ``service``: it has no pid namespace of its own; of
        others a process that is not 1 in one has prepared the container (runc's helper), and exits with 0."""
        self.service = service
        self.life = Life(born_seconds)
        self.seen_seconds = time.time()
        self.recorder: RecordsEnds | None = None
        """Where its runtime records its end."""
        self.silent = False
        """Its runtime's state does not say how a container ended."""
        self.vitals = NOTHING
        """The latest that were read."""
        self.counted = NOTHING
        """The latest of each that was known: of a cgroup that is being removed some files are gone before the rest."""
        self.armed = False
        """Whether its first process' death will be noticed at once."""
        self.arm_again_ns = 0
        """CLOCK_MONOTONIC before which that is not tried again."""
        self._arm_tries = 0
        self._arm_wait_ns = _ARM_NS[0]
        self._fd = -1
        """The pidfd that notices it: the event loop has it meanwhile."""
        self.first: First | None = None
        """The process whose death is or was waited for."""
        self.program_seen = False
        """Whether there was a process that is not the runtime's own: the program was begun."""
        self.unwatched = False
        """Whether there was no descriptor for that."""
        self._dead: Watched | None = None
        self._descriptors = descriptors or Descriptors(0)
        self.oom_kills = oom_kills
        """How many were reported, or were there before; None: not read yet."""
        self.oom_told = False
        """Whether an ``oom`` event was sent in this life."""
        self.oom_final = False
        """Whether its OOM kills were counted after its first process had died: none can come that is not known."""
        self.last: Look | None = None
        self.limits = OwnLimits(None, None)
        self.limits_ns: int | None = None
        self.dead_ns: int | None = None
        """CLOCK_MONOTONIC when the cgroup was found to be gone."""
        self.died_seconds: float | None = None
        """Unix time at which the latest first process was seen to have died."""

    def saw(self, vitals: Vitals) -> None:
        """They were read."""
        self.vitals = vitals
        if None in vitals:
            vitals = Vitals(*(old if new is None else new for new, old in zip(vitals, self.counted, strict=True)))
        self.counted = vitals

    def watch(self, watched: Watched) -> None:
        """Its first process' death will be noticed by this pidfd, which comes back with :meth:`died`."""
        self.armed, self.first, self._fd, self.died_seconds = True, watched.first, watched.fd, None
        self._arm_tries, self._arm_wait_ns = 0, _ARM_NS[0]

    def arm_later(self, now_ns: int) -> None:
        """There was none to be had."""
        self._arm_tries += 1
        if self._arm_tries >= _ARM_TRIES:
            self.arm_again_ns = now_ns + self._arm_wait_ns
            self._arm_wait_ns = min(2 * self._arm_wait_ns, _ARM_NS[1])

    def died(self, fd: int) -> None:
        """The process that was watched has died; owns the pidfd from now on."""
        self.armed, self.died_seconds = False, time.time()
        if self.first is None or (self._dead is not None and self._counts(self._dead)):
            self._descriptors.close(fd)
            return
        self._close_dead()
        self._dead = Watched(self.first, fd)

    @property
    def begun(self) -> bool:
        """Whether the program was begun, as far as that was seen."""
        return self.program_seen or self.life.started_seconds is not None

    def look_for_program(self, root: Root) -> None:
        """See whether its first process, which may be dead by now, is still the runtime's own."""
        if self.first is not None and not self.begun:
            with contextlib.suppress(OSError, ParseError):
                self.program_seen = not prepares(parse_parent(root.read(f"/proc/{self.first.pid}/stat"))[0])

    def _counts(self, dead: Watched) -> bool:
        """Whether an earlier death tells the end, though others lived on: not that of a process which only prepared a
        service (ExecStartPre=), or went to the background."""
        if dead.first.certain or dead.first.pid == self.life.pid:
            return True
        found = how_ended(dead.fd)
        return isinstance(found, Exit) and found.code != 0

    def _close_dead(self) -> None:
        if self._dead is not None:
            dead, self._dead = self._dead, None
            self._descriptors.close(dead.fd)

    def kernels_word(self) -> Exit | Untold | None:
        """How its first process ended, as the kernel kept it (Linux 6.15); None: that process is not known."""
        last = self._dead
        if self.armed and self.first is not None and (last is None or not self._counts(last)):
            last = Watched(self.first, self._fd)
        if last is None or (not last.first.certain and self.life.pid not in (None, last.first.pid)):
            return None
        word = how_ended(last.fd)
        sure = self.service or last.first.certain or self.life.pid is not None
        return word if sure or not isinstance(word, Exit) or word.code else None

    @property
    def dead(self) -> bool:
        """Whether a first process has died, and none is watched."""
        return self._dead is not None and not self.armed

    def release(self) -> None:
        """Close what is open."""
        self._close_dead()


def has_process(container: Container) -> bool:
    """True also where that cannot be read."""
    try:
        with container.reading() as cgroup:
            return bool(cgroup.procs(1))
    except CgroupGone:
        return False
    except (ReadingFailed, OSError):
        return True


def has_ended(container: Container, known: Followed) -> bool:
    """Whether a container has ended whose cgroup is still there: its first process was seen to die, no process is left,
    and its runtime would not have it so while it lives."""
    return known.dead and left_behind(container.identity) and not has_process(container)


def born_seconds(root: Root, container: Container) -> float:
    """When the container's cgroup was made, or somewhat later: the change time of its directory."""
    point, inode = container.ref.inodes[0]
    try:
        with root.readers.of(point + container.ref.path):
            found = os.stat(root.join(point) + container.ref.path)
    except OSError:
        return time.time()
    return found.st_ctime if found.st_ino == inode else time.time()


def uptime_seconds(root: Root, container: Container) -> float:
    """Seconds since its start, as its runtime wrote it, else since its cgroup was made."""
    metadata = container.identity.metadata
    started = metadata.started_seconds if metadata else None
    if started is None:
        started = born_seconds(root, container)
    return root.clock(container.ref.path).time_ms / 1000 - started


def watch_first(root: Root, container: Container, told: int | None) -> Watched | str:
    """The container's first process and a descriptor that tells its death; or why there is none to be had.

    ``told``: its pid as the runtime has it. The descriptor is one of those that ``container.descriptors`` counts.
    """
    if container.descriptors.used >= container.descriptors.limit:
        return UNWATCHED
    fd = None
    try:
        with container.reading() as cgroup:
            first = first_process(root, cgroup.procs(MOST), told)
            if first is None:
                return UNSEEN
            fd = os.pidfd_open(first.pid)
            stayed = first.pid in cgroup.procs(MOST)  # else it ended, and its pid is another process' by now
        if not stayed:
            return UNSEEN
        if not container.descriptors.keep(fd):
            return UNWATCHED
        found, fd = Watched(first, fd), None
        return found
    except (CgroupGone, ReadingFailed, ProcessLookupError):
        return UNSEEN
    except OSError:
        return UNWATCHED
    finally:
        if fd is not None:
            release(fd)
