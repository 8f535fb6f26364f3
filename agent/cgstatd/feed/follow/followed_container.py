"""What the agent remembers of one life of a container while a client follows."""

from __future__ import annotations

import os
import time

from cgroupfs import CgroupGone, Root, Vitals
from cgroupfs.pseudofs import release

from ...host.pidfd import exit_code
from ...host.runtimes.base import RecordsEnds
from ...sampling.container import Container, ReadingFailed
from ...sampling.round import Look, OwnLimits
from .container_life import Life

NOTHING = Vitals(None, None, None)
_ARM_TRIES = 8
"""In so many looks one after the other a process is asked for whose death is to be noticed: a container has none at
first."""
_ARM_NS = (500_000_000, 8_000_000_000)
"""After these tries the next one waits for so long at first, and at last: where the agent cannot see the host's
processes it never succeeds, and each try reads the container's list of them."""


class Followed:
    """Used in the sampling thread."""

    __slots__ = (
        "_arm_tries",
        "_arm_wait_ns",
        "_exit",
        "arm_again_ns",
        "armed",
        "dead_ns",
        "last",
        "life",
        "limits",
        "limits_ns",
        "oom_kills",
        "oom_told",
        "pid",
        "recorder",
        "seen_seconds",
        "silent",
        "vitals",
    )

    def __init__(self, born_seconds: float, oom_kills: int | None) -> None:
        self.life = Life(born_seconds)
        self.seen_seconds = time.time()
        self.recorder: RecordsEnds | None = None
        """Where its runtime records its end."""
        self.silent = False
        """Its runtime's state does not say how a container ended."""
        self.vitals = NOTHING
        """The latest that were read."""
        self.armed = False
        """Whether its first process' death will be noticed at once."""
        self.arm_again_ns = 0
        """CLOCK_MONOTONIC before which that is not tried again."""
        self._arm_tries = 0
        self._arm_wait_ns = _ARM_NS[0]
        self.pid: int | None = None
        """The process whose death is or was waited for."""
        self._exit: tuple[int, int] | None = None
        """A process that died, and its pidfd."""
        self.oom_kills = oom_kills
        """How many were reported, or were there before; None: not read yet."""
        self.oom_told = False
        """Whether an ``oom`` event was sent in this life."""
        self.last: Look | None = None
        self.limits = OwnLimits(None, None)
        self.limits_ns: int | None = None
        self.dead_ns: int | None = None
        """CLOCK_MONOTONIC when the cgroup was found to be gone."""

    def is_armed(self, pid: int) -> None:
        """The death of this process will be noticed."""
        self.armed, self.pid = True, pid
        self._arm_tries, self._arm_wait_ns = 0, _ARM_NS[0]

    def arm_later(self, now_ns: int) -> None:
        """There was none to be had."""
        self._arm_tries += 1
        if self._arm_tries >= _ARM_TRIES:
            self.arm_again_ns = now_ns + self._arm_wait_ns
            self._arm_wait_ns = min(2 * self._arm_wait_ns, _ARM_NS[1])

    def died(self, fd: int) -> None:
        """The process that was watched has died; owns the pidfd from now on."""
        self.armed = False
        if self.pid is None or (self._exit is not None and self._exit[0] == self.life.pid):
            release(fd)
            return
        self._close_exit()
        self._exit = self.pid, fd

    def _close_exit(self) -> None:
        if self._exit is not None:
            (_, fd), self._exit = self._exit, None
            release(fd)

    def kernels_exit_code(self) -> int | None:
        """The exit code of its first process as the kernel kept it (Linux 6.15); None: not known."""
        if self._exit is None or self._exit[0] != self.life.pid:
            return None
        return exit_code(self._exit[1])

    def release(self) -> None:
        """Close what is open."""
        self._close_exit()


def born_seconds(root: Root, container: Container) -> float:
    """When the container's cgroup was made, or somewhat later: the change time of its directory."""
    point, inode = container.ref.inodes[0]
    try:
        with root.readers.of(point + container.ref.path):
            found = os.stat(root.join(point) + container.ref.path)
    except OSError:
        return time.time()
    return found.st_ctime if found.st_ino == inode else time.time()


def open_pidfd(container: Container, wanted: int | None) -> tuple[int, int] | None:
    """The container's first process (``wanted`` if that is among them) and a descriptor that tells its death.

    None where there is none to be had (no process, before Linux 5.3, descriptors used up).
    """
    if container.descriptors.used >= container.descriptors.limit:
        return None
    try:
        with container.reading() as cgroup:
            pids = cgroup.procs()
        if not pids:
            return None
        pid = wanted if wanted in pids else min(pids)
        return pid, os.pidfd_open(pid)
    except (CgroupGone, ReadingFailed, OSError):
        return None
