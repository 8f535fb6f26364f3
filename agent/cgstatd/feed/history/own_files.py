"""The directory of the history: taken possession of, looked through, within a number of bytes.

A file that is broken, or of another program, gets another name and is never looked at again. Used in the disk's thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import sqlite3
import stat

from cgroupfs.pseudofs import release

from ...basics.private_directory import NotPrivate, private_directory
from ...basics.text import is_number
from .disk_model import Contents, DiskFailed
from .salvage import Salvaged, salvage
from .sealed import Broken
from .sqlite_file import SqliteFile

log = logging.getLogger(__name__)
_NAME = re.compile(r"history-([0-9]{8})\.db")
_ASIDE = ".set-aside"
_RESERVE_PART = 16
"""Of the whole disk so much is left to others."""
_RESERVE_BYTES = 64 << 20
"""The same at most."""


class OwnFiles:
    """The files of this agent's history, by their paths in order."""

    def __init__(self, directory: str) -> None:
        self._wanted = directory
        self.directory = ""
        """Where it is, once it was taken."""
        self._lock = -1
        self._bad: set[str] = set()
        """Paths that are broken and cannot be renamed."""

    def take(self) -> None:
        """Let no other agent use the directory. Raises DiskFailed, OSError."""
        if self._lock >= 0:
            return
        with contextlib.suppress(OSError):
            os.mkdir(self._wanted, 0o700)
        try:
            directory = private_directory(self._wanted)
        except NotPrivate as error:
            raise DiskFailed(str(error)) from error
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            release(lock)
            raise DiskFailed(f"{directory} is in use by another agent") from error
        self.directory, self._lock = directory, lock

    def leave(self) -> None:
        """Another agent may use it now; safe to call twice."""
        if self._lock >= 0:
            release(self._lock)
            self._lock = -1

    def paths(self) -> list[str]:
        """The oldest first."""
        names = sorted(name for name in os.listdir(self.directory) if _NAME.fullmatch(name))
        return [path for name in names if (path := os.path.join(self.directory, name)) not in self._bad]

    def next_path(self) -> str:
        """Of a file that is behind all that are there, those that were set aside included."""
        names = [name for name in os.listdir(self.directory) if name.startswith("history-")]
        serial = 1 + max((int(name[8:16]) for name in names if is_number(name[8:16])), default=0)
        return os.path.join(self.directory, f"history-{serial:08}.db")

    def look(self, path: str) -> Contents:
        """What a file holds; one that holds nothing is removed. Raises Broken, OSError, sqlite3.Error."""
        if not _is_own(os.lstat(path)):
            raise Broken("it is no file of this agent's own")
        if os.path.lexists(f"{path}-journal") and os.lstat(f"{path}-journal").st_size:
            SqliteFile(path, write=True).close()  # takes back what a power cut left half written
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}-journal")  # it says nothing: SQLite would have emptied it
        file = SqliteFile(path)
        try:
            found = file.contents()
        finally:
            file.close()
        if not found.runs and not found.begun:
            with contextlib.suppress(OSError):
                os.unlink(path)
        return found

    def set_aside(self, path: str, why: str) -> Salvaged | None:
        """Never look at a file again, but for what has its checksum still: that takes its place. None: nothing has."""
        new, salvaged = f"{path}{_ASIDE}.new", None
        try:
            salvaged = self._salvage(path, new)
        except (OSError, sqlite3.Error, Broken) as error:
            log.error("history: nothing could be kept of %s: %s", path, self.words(error))
        if salvaged is None:
            with contextlib.suppress(OSError):
                os.unlink(new)
            self._rename_aside(path, why, "")
            return None
        if not self._rename_aside(path, why, f", and {salvaged.rows} rows could be kept of it"):
            return None
        os.rename(new, path)
        self._bad.discard(path)
        return salvaged

    def _salvage(self, path: str, new: str) -> Salvaged | None:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not _is_own(os.fstat(fd)):
                return None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            return salvage(fd, new)
        finally:
            release(fd)

    def _rename_aside(self, path: str, why: str, kept: str) -> bool:
        self._bad.add(path)
        try:
            for end in ("", "-journal"):
                if os.path.lexists(path + end):
                    os.rename(path + end, path + _ASIDE + end)
        except OSError as error:
            log.error("history: %s is not used: %s; it cannot be renamed: %s", path, why, error.strerror)
            return False
        log.error("history: %s is not used: %s; it is %s%s now%s", path, why, os.path.basename(path), _ASIDE, kept)
        return True

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(size for _, size in self.sizes())

    def allowed(self, most: int) -> int:
        """Bytes that the files may take: ``most``, or less where the disk has less. Raises OSError."""
        disk = os.statvfs(self.directory)
        if not disk.f_blocks:  # a file system that does not say
            return most
        reserve = min(_RESERVE_BYTES, disk.f_blocks * disk.f_frsize // _RESERVE_PART)
        return max(0, min(most, self.size + disk.f_bavail * disk.f_frsize - reserve))

    def sizes(self) -> list[tuple[str, int]]:
        """The path and bytes of every file, those that were set aside first: they are the first to go."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self.directory) as entries:
            for entry in entries:
                if entry.name.startswith("history-"):
                    with contextlib.suppress(OSError):
                        found.append((entry.path, entry.stat(follow_symlinks=False).st_size))
        return sorted(found, key=lambda each: (_ASIDE not in each[0], each[0]))

    @staticmethod
    def is_aside(path: str) -> bool:
        """Whether a file was set aside."""
        return _ASIDE in path

    def words(self, error: Exception) -> str:
        """What is wrong with the disk."""
        where = self.directory or self._wanted
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        number = getattr(error, "errno", None)
        if is_full(error):
            return f"{where}: no space left on the disk"
        if code == sqlite3.SQLITE_READONLY or number == errno.EROFS:
            return f"{where}: read-only"
        if isinstance(error, OSError):
            return f"{error.filename or where}: {error.strerror}"
        return f"{where}: {error}"


def _is_own(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1


def is_full(error: Exception) -> bool:
    """Whether the disk has no room left, or the agent's user none on it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
