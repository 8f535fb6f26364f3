"""Whether a v1 kernel counts block I/O at all: where it does not, no cgroup's files need to be read."""

from __future__ import annotations

import threading

from .controllers.io import V1_BYTES, counts
from .errors import CgroupError, CgroupGone
from .formats import parse_device_operations
from .hangs import still_wanted
from .hierarchy import NEWEST, Hierarchy
from .pseudofs import Directory, KeptFile
from .root import Root


class Counting:
    """Whether the kernel counts block I/O for any v1 cgroup at all.

    The root cgroup's recursive files include every cgroup: where they are all zero, no cgroup's file needs to be read.
    (v1 counts only under a throttle rule or the bfq scheduler; most hosts have neither.)
    """

    __slots__ = ("_busy", "_files", "anything")

    def __init__(self, root: Directory) -> None:
        """``root``: the blkio hierarchy's root directory, not kept."""
        self.anything = True
        self._busy = threading.Lock()
        self._files: list[KeptFile] = []
        for name in V1_BYTES:
            if name.endswith("_recursive"):
                fd = root.open(name)
                if isinstance(fd, int):
                    self._files.append(KeptFile(f"{root.path}/{name}", fd))
        if not any("throttle" in each.path for each in self._files):
            self.close()

    def refresh(self) -> None:
        """Look again, once per pass. While an earlier look hangs, every cgroup counts. Raises LeftBehind."""
        if not self._busy.acquire(blocking=False):
            self.anything = True
            return
        try:
            self.anything = not self._files or any(counts(parse_device_operations(f.read())) for f in self._files)
        except (CgroupError, OSError):
            self.anything = True
        finally:
            self._busy.release()
            still_wanted()

    def close(self) -> None:
        """Release the descriptors. From then on every cgroup counts as one with block I/O."""
        for each in self._files:
            each.close()
        self._files = []
        self.anything = True


def io_counting(root: Root, hierarchy: Hierarchy) -> Counting | None:
    """Tells whether block I/O is counted at all, to be refreshed once per pass; None where it always is (v2)."""
    mount = hierarchy.mount("io")
    if mount is None or mount.version is NEWEST:
        return None
    try:
        with Directory(root.join(mount.point)) as directory:
            return Counting(directory)
    except (CgroupGone, OSError):
        return None
