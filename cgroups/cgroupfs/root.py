"""The directory below which the files of a host are found. It is an argument of all that reads them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from .hangs import OneReader
from .pseudofs import read_some, release

HOST_FILE_LIMIT = 16 << 20
"""Bytes of one of the host's files: mountinfo has some hundred for each mount."""


class Clock(NamedTuple):
    """One instant on both clocks."""

    monotonic_ns: int
    """CLOCK_MONOTONIC, for rates."""
    time_ms: int
    """Wall clock, milliseconds since the epoch, for time stamps."""


class Identity(NamedTuple):
    """The identity of a file or directory, and its owner."""

    inode: int
    uid: int


class Root:
    """The directory below which /proc and /sys are found: "/" on the host itself, /host in a container.

    A subclass may answer :meth:`identity`, :meth:`size` and :meth:`clock` from an index: that is how a recorded tree,
    whose files have other inodes, owners and times than they had on their host, is read
    (``cgstatd.recording.recorded_root``).

    Each of the host's files has one reader at a time: while one hangs, the next gets StillHangs (an OSError) at once.
    """

    __slots__ = ("path", "readers")
    live: ClassVar[bool] = True
    """Whether the files go on changing, have the modes that they had on their host, and name processes of this kernel.
    A subclass whose files are copies says no."""

    def __init__(self, path: str = "/") -> None:
        self.path = "" if path == "/" else path.rstrip("/")
        self.readers = OneReader()
        """For what reads the host's files by its own means."""

    def join(self, path: str) -> str:
        """The real path of an absolute path of the host."""
        return self.path + path

    def read(self, path: str) -> bytes:
        """The whole file (host path, e.g. ``/proc/meminfo``). Raises OSError, EFBIG above HOST_FILE_LIMIT."""
        with self.readers.of(path):
            fd = os.open(self.join(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                data, whole = read_some(fd, b"", HOST_FILE_LIMIT)
                if not whole:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), self.join(path))
                return data
            finally:
                release(fd)

    def identity(self, path: str, fd: int | None = None) -> Identity:
        """Inode and owner of a host path, or of ``fd`` where the path is open already. Raises OSError."""
        if fd is None:
            with self.readers.of(path):
                found = os.stat(self.join(path))
        else:
            found = os.fstat(fd)
        return Identity(found.st_ino, found.st_uid)

    def size(self, path: str, found: int) -> int:
        """The bytes of a file (host path) of which only the size is wanted; ``found``: those that are there.

        A recorded tree has such files without their content.
        """
        return found

    def clock(self, path: str = "") -> Clock:
        """Now; of a recorded tree: when the files of the cgroup at ``path`` (below the mounts) were read."""
        return Clock(time.monotonic_ns(), time.time_ns() // 1_000_000)

    def monotonic(self, path: str) -> Callable[[], int]:
        """A function that gives the monotonic part of ``clock(path)`` at a fraction of its price."""
        return time.monotonic_ns if type(self).clock is Root.clock else lambda: self.clock(path).monotonic_ns
