"""One process of a container, held so that a reused pid can never be taken for it.

``/proc/<pid>`` is held as an open directory: it answers ESRCH once the process is dead, whoever has its pid then. A
second file tells whether it is still in its cgroup: the ``cgroup.procs`` that listed it (2 us), or, where that list is
long, ``/proc/<pid>/cgroup`` (9 us whatever the number of processes). None of them keeps the process' network namespace
alive, as an open net/dev would.
"""

from __future__ import annotations

import errno
import os

from cgroupfs import CgroupGone, KeptFile, Root

DESCRIPTORS = 2
"""How many a Process keeps open."""
_OPEN = os.O_RDONLY | os.O_CLOEXEC
_GONE = (errno.ESRCH, errno.ENOENT, errno.ENOTDIR, errno.ENODEV)
_LONG_LIST = 1024


class Process:
    """A live process. Raises CgroupGone when it is not (any more), OSError (EACCES) where it may not be read."""

    __slots__ = ("_fd", "_membership", "_membership_file", "net_dev", "net_dev_seen", "path", "pid")

    def __init__(self, root: Root, pid: int, procs: str = "") -> None:
        """``procs``: the real path of the cgroup.procs that lists the process, where it is known.

        Raises CgroupGone too where that file does not list it (any more).
        """
        self.pid = pid
        self.path = f"/proc/{pid}"
        self.net_dev = f"{self.path}/net/dev"
        self.net_dev_seen = (b"\0", (0, 0))
        """The last text of its net/dev and what it says, for who reads it; no file is like this."""
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
            raise
        except CgroupGone:
            self.close()
            raise

    def _listed_by(self, procs: str) -> bool:
        """Keep ``procs`` as the file that tells; False where it is too long for that."""
        file = self._membership_file = KeptFile(procs, os.open(procs, _OPEN))
        data = file.read()
        if not self._is_in(data):
            raise CgroupGone(procs)
        if len(data) <= _LONG_LIST:
            return True
        file.close()
        return False

    def _is_in(self, data: bytes) -> bool:
        """Whether a cgroup.procs lists the process; or whether /proc/<pid>/cgroup is as it was."""
        own = self._membership
        return data == own or data.startswith(own) or b"\n" + own in data

    def stayed(self) -> bool:
        """Whether it lives and is in the same cgroup as when it was opened."""
        try:
            return self._membership_file is not None and self._is_in(self._membership_file.read())
        except (CgroupGone, OSError):
            return False

    def open_net_dev(self) -> int:
        """A descriptor of its net/dev, to be closed at once: while open it keeps the namespace and its veth alive."""
        try:
            return os.open("net/dev", _OPEN, dir_fd=self._fd)
        except OSError as error:
            if error.errno in _GONE:
                raise CgroupGone(self.path) from error
            raise

    def close(self) -> None:
        """Release the descriptors; safe to call twice."""
        if self._membership_file is not None:
            self._membership_file.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
