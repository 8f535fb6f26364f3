"""Files that are read again and again: kept open while there are descriptors to spare, opened anew else, or absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from .absent import Absent
from .errors import CgroupGone, ParseError
from .hierarchy import Version
from .pseudofs import Directory, KeptFile, absence, read_rest, release

Source = tuple[Directory, Version] | None
"""An open directory and its interface; None: the controller has no such cgroup. Not kept beyond the call."""


class Descriptors:
    """How many descriptors may be kept open; beyond, files are opened for each reading.

    ``now``: what the limit is now, where it may change.
    """

    __slots__ = ("_now", "_others", "limit", "used")

    def __init__(self, limit: int, now: Callable[[], int] | None = None) -> None:
        self.limit = limit
        self.used = 0
        self._now = now
        self._others: set[int] = set()
        """Descriptors that are none of a kept file, and count (:meth:`keep`)."""

    def measure(self) -> None:
        """Take over the limit of now. What is kept beyond it stays so."""
        if self._now is not None:
            self.limit = self._now()

    def take(self) -> bool:
        """Reserve one, if there is one left."""
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def release(self) -> None:
        """Give one back."""
        self.used -= 1

    def keep(self, fd: int) -> bool:
        """Count an open descriptor until :meth:`close`; False, and it stays the caller's, where none is left."""
        if not self.take():
            return False
        self._others.add(fd)
        return True

    def close(self, fd: int) -> None:
        """Close a descriptor, counted or not."""
        if fd in self._others:
            self._others.remove(fd)
            self.release()
        release(fd)


class Refused(Exception):
    """A file that could be opened once cannot be opened now (no descriptors left, permission withdrawn)."""

    def __init__(self, reason: Absent) -> None:
        super().__init__(reason)
        self.reason = reason


class ReopenedFile:
    """In place of a KeptFile where no descriptor may be kept: opened for each reading, in the same directory only."""

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


class AbsentFile(NamedTuple):
    reason: Absent
    path: str


File = KeptFile | ReopenedFile | AbsentFile


def open_file(directory: Directory | None, name: str, descriptors: Descriptors) -> File:
    """One file of a controller's directory, opened in the best way there is. Raises CgroupGone, OSError."""
    if directory is None:
        return AbsentFile(Absent.CONTROLLER_OFF, name)
    fd = directory.open(name)
    if isinstance(fd, Absent):
        return AbsentFile(fd, f"{directory.path}/{name}")
    if descriptors.take():
        return KeptFile(f"{directory.path}/{name}", fd)
    release(fd)
    return ReopenedFile(directory, name)


def content(file: File) -> bytes | Absent:
    """The file's content now, or why there is none. Raises CgroupGone, Exhausted."""
    if isinstance(file, AbsentFile):
        return file.reason
    try:
        return file.read()
    except (ParseError, Refused) as error:
        return error.reason
    except OSError as error:
        return absence(error, file.path)


def release_all(files: Iterable[File], descriptors: Descriptors) -> None:
    """Give back what is open; safe to call twice."""
    for file in files:
        if isinstance(file, KeptFile) and file.fd >= 0:
            descriptors.release()
            file.close()


class PartlyKept:
    """A directory of which some files are open already: :class:`~cgroupfs.reader.Contents`. Owns nothing."""

    __slots__ = ("_directory", "_files", "path")

    def __init__(self, directory: Directory, files: Mapping[str, KeptFile]) -> None:
        """``files``: by their real paths; closed ones among them do not count."""
        self.path = directory.path
        self._directory = directory
        self._files = files

    def content(self, name: str) -> bytes | Absent:
        """One file. Raises CgroupGone, Exhausted."""
        file = self._files.get(f"{self.path}/{name}")
        if file is None or file.fd < 0:
            return self._directory.content(name)
        try:
            return content(file)
        except CgroupGone:  # or its controller was switched off: the directory knows
            return self._directory.content(name)

    def check(self) -> None:
        """Raises CgroupGone where another directory, or none, is at the path by now."""
        self._directory.check()


class KeptFiles:
    """Some files of one directory: :class:`~cgroupfs.reader.Contents` that outlive it. Owns their descriptors."""

    __slots__ = ("_descriptors", "_files", "path")

    def __init__(self, directory: Directory, names: Iterable[str], descriptors: Descriptors) -> None:
        """Raises CgroupGone, Exhausted; nothing stays open then."""
        self.path = directory.path
        self._descriptors = descriptors
        self._files: dict[str, File] = {}
        try:
            for name in names:
                self._files[name] = open_file(directory, name, descriptors)
        except BaseException:
            self.close()
            raise

    def content(self, name: str) -> bytes | Absent:
        """One of the files. Raises CgroupGone, Exhausted."""
        return content(self._files[name])

    def kept(self, name: str) -> KeptFile | None:
        """One of the files, where it stays open."""
        file = self._files[name]
        return file if isinstance(file, KeptFile) else None

    def check(self) -> None:
        """Nothing to do: a file that never was there says nothing of the cgroup, and one that has gone raised
        CgroupGone."""

    def close(self) -> None:
        """Release every descriptor; safe to call twice."""
        release_all(self._files.values(), self._descriptors)
