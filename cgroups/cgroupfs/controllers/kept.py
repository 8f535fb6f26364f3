"""Files that are read again and again: kept open while there are descriptors to spare, opened anew else, or absent."""

from __future__ import annotations

from typing import NamedTuple

from ..absent import Absent
from ..errors import CgroupGone
from ..hierarchy import Version
from ..pseudofs import Directory, KeptFile, read_rest, release

Source = tuple[Directory, Version] | None
"""An open directory and its interface; None: the controller has no such cgroup. Not kept beyond the call."""


class Descriptors:
    """How many descriptors may be kept open; beyond, files are opened for each reading."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self) -> bool:
        """Reserve one, if there is one left."""
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def release(self) -> None:
        """Give one back."""
        self.used -= 1


class Refused(Exception):
    """A file that could be opened once cannot be opened now (no descriptors left, permission withdrawn)."""

    def __init__(self, reason: Absent) -> None:
        super().__init__(reason)
        self.reason = reason


class ReopenedFile:
    """Stands in for a KeptFile where no descriptor may be kept: opened for each reading, in the same directory only."""

    __slots__ = ("directory", "inode", "name", "path")

    def __init__(self, directory: Directory, name: str) -> None:
        self.directory, self.inode, self.name = directory.path, directory.inode, name
        self.path = f"{directory.path}/{name}"

    def read(self) -> bytes:
        with Directory(self.directory, self.inode) as directory:
            fd = directory.open(self.name)
            if fd is Absent.FILE_ABSENT:  # the controller was switched off: a kept descriptor says ENODEV
                raise CgroupGone(self.path)
            if isinstance(fd, Absent):
                raise Refused(fd)
            try:
                return read_rest(fd, b"")
            finally:
                release(fd)

    def close(self) -> None:
        """Nothing is open."""


class AbsentFile(NamedTuple):
    reason: Absent
    path: str


File = KeptFile | ReopenedFile | AbsentFile


def open_file(source: Source, name: str, descriptors: Descriptors) -> File:
    """One file of a controller's directory, opened in the best way there is. Raises CgroupGone, OSError."""
    if source is None:
        return AbsentFile(Absent.CONTROLLER_OFF, name)
    directory = source[0]
    fd = directory.open(name)
    if isinstance(fd, Absent):
        return AbsentFile(fd, f"{directory.path}/{name}")
    if descriptors.take():
        return KeptFile(f"{directory.path}/{name}", fd)
    release(fd)
    return ReopenedFile(directory, name)
