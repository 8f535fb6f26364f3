"""One process of a container, held so that a reused pid can never be taken for it.

``/proc/<pid>`` is held as an open directory: it answers ESRCH once the process is dead, even if another has its pid by
then. A second file tells whether it is still in its cgroup: the ``cgroup.procs`` that listed it (2 us), or, where that
list is long, ``/proc/<pid>/cgroup`` (9 us whatever the number of processes). Neither keeps the process' network
namespace alive, as an open net/dev would.

A process whose first thread has ended lives on while others run (pthread_exit in main). ``/proc/<pid>`` is then that
zombie: its net/dev is ENOENT, its memory is not told; ``/proc/<pid>/task/<tid>`` of a thread that runs has both.
"""

from __future__ import annotations

import contextlib
import errno
import os
from itertools import islice
from typing import Any

from cgroupfs import CgroupGone, KeptFile, ParseError, Root
from cgroupfs.pseudofs import FILE_LIMIT, raise_exhausted, read_some, release

DESCRIPTORS = 2
"""How many a Process keeps open."""
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_GONE = (errno.ESRCH, errno.ENOENT, errno.ENOTDIR, errno.ENODEV)
_LONG_LIST = 1024
_NET_DEV = "net/dev"
_THREADS = 8
"""Threads that are asked: those that were listed may end meanwhile, but not all of a process that lives."""


def threads(path: str, fd: int | None = None) -> list[str]:
    """Some threads of a process, as paths relative to its /proc directory. Empty: it is gone.

    ``path``: the directory's real path; with ``fd`` that descriptor of it instead. Raises Exhausted.
    """
    try:
        task = os.open("task" if fd is not None else f"{path}/task", _OPEN | os.O_DIRECTORY, dir_fd=fd)
        try:
            with os.scandir(task) as entries:
                return [f"task/{each.name}" for each in islice(entries, _THREADS)]
        finally:
            release(task)
    except OSError as error:
        raise_exhausted(error, f"{path}/task")
        return []


class Process:
    """A live process. Raises CgroupGone when it is not (any more), OSError (EACCES) where it may not be read."""

    __slots__ = (
        "_fd",
        "_membership",
        "_membership_file",
        "_net_dev",
        "interfaces_seen",
        "large",
        "net_dev_seen",
        "path",
        "pid",
    )

    def __init__(self, root: Root, pid: int, procs: str = "") -> None:
        """``procs``: the real path of the cgroup.procs that lists the process, where it is known.

        Raises CgroupGone too where that file does not list it (any more).
        """
        self.pid = pid
        self.path = f"/proc/{pid}"
        self._net_dev = _NET_DEV
        self.net_dev_seen = (b"\0", (0, 0))
        """The last text of its net/dev and its meaning, for the reader; no file has this text."""
        self.interfaces_seen: tuple[bytes, Any] = (b"", None)
        """The same of its interfaces one by one."""
        self.large: Any = None
        """What its namespace's reader keeps of a net/dev that is too large to be read each time."""
        self._fd = -1
        self._membership_file: KeptFile | None = None
        self._membership = b"%d\n" % pid
        try:
            self._fd = os.open(root.join(self.path), _OPEN | os.O_DIRECTORY)
            if not procs or not self._listed_by(procs):
                self._membership_file = KeptFile(f"{self.path}/cgroup", os.open("cgroup", _OPEN, dir_fd=self._fd))
                self._membership = self._membership_file.read()
        except OSError as error:
            self.close()
            if error.errno in _GONE:
                raise CgroupGone(self.path) from error
            raise_exhausted(error, self.path)
            raise
        except BaseException:
            self.close()
            raise

    def _listed_by(self, procs: str) -> bool:
        """Keep ``procs`` as the file that tells; False where it is too long for that."""
        file = self._membership_file = KeptFile(procs, os.open(procs, _OPEN))
        data, _ = read_some(file.fd, b"", FILE_LIMIT)  # the reader that found this pid saw no more of the list
        if not self._is_in(data):
            raise CgroupGone(procs)
        if len(data) <= _LONG_LIST:
            return True
        file.close()
        return False

    def _is_in(self, data: bytes) -> bool:
        """Whether a cgroup.procs lists the process, or whether /proc/<pid>/cgroup is as it was."""
        own = self._membership
        return data == own or data.startswith(own) or b"\n" + own in data

    def stayed(self) -> bool:
        """Whether it lives and is in the same cgroup as when it was opened."""
        try:
            return self._membership_file is not None and self._is_in(self._membership_file.read())
        except (CgroupGone, ParseError, OSError):
            return False

    @property
    def net_dev(self) -> str:
        """The host path of what :meth:`open_net_dev` opened."""
        return f"{self.path}/{self._net_dev}"

    def open_net_dev(self) -> int:
        """A descriptor of its net/dev, to be closed at once: while open it keeps the namespace and its veth alive.

        Raises CgroupGone where none of its threads has one, Exhausted, OSError.
        """
        try:
            return os.open(self._net_dev, _OPEN, dir_fd=self._fd)
        except OSError as error:
            if error.errno not in _GONE:
                raise_exhausted(error, self.net_dev)
                raise
        for thread in threads(self.path, self._fd):
            with contextlib.suppress(OSError):
                fd = os.open(f"{thread}/{_NET_DEV}", _OPEN, dir_fd=self._fd)
                self._net_dev = f"{thread}/{_NET_DEV}"
                return fd
        raise CgroupGone(self.path)

    def close(self) -> None:
        """Release the descriptors; safe to call twice."""
        if self._membership_file is not None:
            self._membership_file.close()
        fd, self._fd = self._fd, -1
        release(fd)
