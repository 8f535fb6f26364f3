"""Opens the files of a cgroup, and says what an errno means.

A cgroup's identity is its directory's inode, never its path: a restarted container comes back at the same path. Errors
are classified once, here:

* ENODEV, ESRCH, or ENOENT on the directory: the cgroup (process) is gone (:class:`~cgroupfs.errors.CgroupGone`);
* ENOENT on a file in a directory that is still there: ``Absent.FILE_ABSENT``;
* EOPNOTSUPP: ``Absent.UNSUPPORTED`` (cgroup.procs of a threaded cgroup, PSI where it is off);
* EACCES, EPERM: ``Absent.PERMISSION``; everything else (EISDIR, EIO, …): ``Absent.READ_FAILED``;
* EMFILE, ENFILE, ENOMEM: :class:`~cgroupfs.errors.Exhausted`, which is the reader's own trouble and no file's.

Every reading is bounded here too: a file in bytes (:func:`read_rest`), a directory in entries (:meth:`Directory.some`).

What stays open is read with pread: one system call, and so one time that the interpreter's lock is let go of. In a busy
agent another thread takes it then, and keeps it for longer than the call takes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import islice

from .absent import Absent
from .errors import CgroupGone, Exhausted, ParseError

_GONE = frozenset({errno.ENODEV, errno.ESRCH})
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errnos that are about the reader and not about the file, each in words."""
_REASONS = {
    errno.ENOENT: Absent.FILE_ABSENT,
    errno.EOPNOTSUPP: Absent.UNSUPPORTED,
    errno.EACCES: Absent.PERMISSION,
    errno.EPERM: Absent.PERMISSION,
}
_CHUNK = 4096
_PIECE = 1 << 16
_OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
_OPEN_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
FILE_LIMIT = 1 << 20
"""Bytes of one of a cgroup's files: the largest (memory.stat) has some 5 KiB; a planted one may have any number."""


def absence(error: OSError, path: str) -> Absent:
    """The reason an OSError stands for; raises CgroupGone where it says that the cgroup is gone."""
    if error.errno in _GONE:
        raise CgroupGone(path) from error
    raise_exhausted(error, path)
    return _REASONS.get(error.errno or 0, Absent.READ_FAILED)


def raise_exhausted(error: OSError, path: str = "") -> None:
    """Raises Exhausted where an OSError says that the reader has no descriptor or memory left."""
    if error.errno in EXHAUSTED:
        raise Exhausted(error.strerror or "out of resources", path) from error


class Pieces:
    """What an open file holds, piece by piece: a large one is never in memory as a whole.

    To go over it raises OSError, and ParseError (TOO_LARGE) once there were more than ``limit`` bytes.
    """

    __slots__ = ("_fd", "_first", "_limit", "size")

    def __init__(self, fd: int, first: bytes, limit: int) -> None:
        """``first``: what was read of it already."""
        self._fd, self._first, self._limit = fd, first, limit
        self.size = len(first)
        """Bytes that were read so far."""

    def __iter__(self) -> Iterator[bytes]:
        piece = self._first
        while piece:
            yield piece
            if self.size > self._limit:
                raise _too_large(self._limit)
            piece = os.read(self._fd, _PIECE)
            self.size += len(piece)


def _too_large(limit: int) -> ParseError:
    return ParseError(f"larger than {limit} bytes", reason=Absent.TOO_LARGE)


def read_some(fd: int, data: bytes, limit: int) -> tuple[bytes, bool]:
    """The bytes behind ``data`` in an open file, up to ``limit`` bytes in all; and whether that is the whole file."""
    parts, size = [data], len(data)
    while size <= limit:
        more = os.read(fd, _PIECE)
        if not more:
            return b"".join(parts), True
        parts.append(more)
        size += len(more)
    return b"".join(parts)[:limit], False


def read_rest(fd: int, data: bytes, limit: int = FILE_LIMIT) -> bytes:
    """The rest of a file whose first read filled its buffer. Raises ParseError (TOO_LARGE), OSError."""
    data, whole = read_some(fd, data, limit)
    if not whole:
        raise _too_large(limit)
    return data


def read_rest_of_kept(fd: int, data: bytes) -> bytes:
    """The same of a file that is read with pread."""
    os.lseek(fd, len(data), os.SEEK_SET)
    return read_rest(fd, data)


def release(fd: int) -> None:
    """Close a descriptor; below 0: none.

    Linux closes it even where it answers with an error (a file system that has gone away does so here). To close it
    again would close another file that has its number by then.
    """
    if fd >= 0:
        try:  # noqa: SIM105  contextlib.suppress takes longer than the call, which is made for every file that is read
            os.close(fd)
        except OSError:
            pass


class Directory:
    """One directory of a pseudo file system, held open: a recreated cgroup at the same path is another Directory.

    Use as a context manager, or call :meth:`close`. Raises CgroupGone when the path does not exist, or when ``inode``
    is given and another directory is found at the path; OSError (with the path) otherwise.
    """

    __slots__ = ("fd", "inode", "path")

    def __init__(self, path: str, inode: int | None = None) -> None:
        self.path = path
        try:
            self.fd = os.open(path, _OPEN_DIRECTORY)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ESRCH):
                raise CgroupGone(path) from error
            raise_exhausted(error, path)
            raise
        self.inode = os.fstat(self.fd).st_ino
        if inode is not None and inode != self.inode:
            self.close()
            raise CgroupGone(path)

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the descriptor; safe to call twice."""
        fd, self.fd = self.fd, -1
        release(fd)

    def open(self, name: str) -> int | Absent:
        """A descriptor of one of its files, or why there is none; raises CgroupGone."""
        try:
            return os.open(name, _OPEN_FILE, dir_fd=self.fd)
        except OSError as error:
            reason = absence(error, f"{self.path}/{name}")
        if reason is Absent.FILE_ABSENT:
            self.check()
        return reason

    def read(self, name: str) -> bytes | Absent:
        """The content of one of its files, or why there is none; raises CgroupGone."""
        found = self.content(name)
        if found is Absent.FILE_ABSENT:
            self.check()
        return found

    def content(self, name: str) -> bytes | Absent:
        """As :meth:`read`. If a file is not there the cgroup may not be, either (:meth:`check`)."""
        fd = -1
        try:
            fd = os.open(name, _OPEN_FILE, dir_fd=self.fd)
            data = os.read(fd, _CHUNK)
            return data if len(data) < _CHUNK else read_rest(fd, data)
        except OSError as error:
            return absence(error, f"{self.path}/{name}")
        except ParseError as error:
            return error.reason
        finally:
            release(fd)

    def check(self) -> None:
        """Raises CgroupGone where another directory, or none, is at its path by now."""
        if not self.alive():
            raise CgroupGone(self.path)

    def read_lines(self, name: str, limit: int = FILE_LIMIT) -> tuple[bytes, bool] | Absent:
        """As :meth:`read`, of a list of any length: its whole lines up to ``limit`` bytes; and whether these are
        all."""
        fd = self.open(name)
        if isinstance(fd, Absent):
            return fd
        try:
            data, whole = read_some(fd, b"", limit)
            return (data if whole else data[: data.rfind(b"\n") + 1]), whole
        except OSError as error:
            return absence(error, f"{self.path}/{name}")
        finally:
            release(fd)

    def alive(self) -> bool:
        """Whether this very directory is still at its path."""
        try:
            return os.stat(self.path).st_ino == self.inode
        except OSError:
            return False

    def children(self) -> Iterator[tuple[str, int]]:
        """(name, inode) of each subdirectory; nothing when the cgroup is gone."""
        try:
            with os.scandir(self.path) as entries:
                yield from ((e.name, e.inode()) for e in entries if e.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise_exhausted(error, self.path)
            raise

    def some(self, limit: int) -> list[str]:
        """The names of at most ``limit`` subdirectories: a container may make any number. Raises OSError."""
        return [name for name, _ in islice(self.children(), limit)]


class KeptFile:
    """A file read again and again from a descriptor that stays open (a fresh value each time; ENODEV once gone)."""

    __slots__ = ("fd", "path")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd

    def read(self) -> bytes:
        """The whole content. Raises CgroupGone, Exhausted, ParseError (too large), OSError (see :func:`absence`)."""
        fd = self.fd
        try:
            data = os.pread(fd, _CHUNK, 0)
            return data if len(data) < _CHUNK else read_rest_of_kept(fd, data)
        except OSError as error:
            if error.errno in _GONE:
                raise CgroupGone(self.path) from error
            raise_exhausted(error, self.path)
            raise

    def close(self) -> None:
        """Release the descriptor; safe to call twice."""
        fd, self.fd = self.fd, -1
        release(fd)
