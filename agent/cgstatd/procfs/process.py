"""One process of a container, held so that a reused pid can never be taken for it.

``/proc/<pid>`` is held as an open directory and ``/proc/<pid>/cgroup`` as an open file: both answer ESRCH once the
process is dead, whoever has its pid then. Neither keeps the process' network namespace alive, as an open net/dev would.
"""

from __future__ import annotations

import errno
import os

from cgroupfs import CgroupGone, KeptFile, Root

_OPEN = os.O_RDONLY | os.O_CLOEXEC
DESCRIPTORS = 2
"""How many a Process keeps open."""
_GONE = (errno.ESRCH, errno.ENOENT, errno.ENOTDIR)


class Process:
    """A live process. Raises CgroupGone when it is not (any more), OSError (EACCES) where it may not be read."""

    __slots__ = ("_cgroup", "_fd", "_membership", "path", "pid")

    def __init__(self, root: Root, pid: int) -> None:
        self.pid = pid
        self.path = f"/proc/{pid}"
        self._fd = -1
        self._cgroup: KeptFile | None = None
        try:
            self._fd = os.open(root.join(self.path), _OPEN | os.O_DIRECTORY)
            self._cgroup = KeptFile(f"{self.path}/cgroup", os.open("cgroup", _OPEN, dir_fd=self._fd))
            self._membership = self._cgroup.read()
        except OSError as error:
            self.close()
            if error.errno in _GONE:
                raise CgroupGone(self.path) from error
            raise
        except CgroupGone:
            self.close()
            raise

    def stayed(self) -> bool:
        """Whether it lives and is in the same cgroups as when it was opened."""
        try:
            return self._cgroup is not None and self._cgroup.read() == self._membership
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
        if self._cgroup is not None:
            self._cgroup.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
