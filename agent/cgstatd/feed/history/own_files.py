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
from collections.abc import Iterable

from cgroupfs.pseudofs import release

from ...basics.private_directory import NotPrivate, private_directory
from ...basics.text import is_number
from .disk_model import Contents, DiskFailed, Run
from .history_file import check_pages, contents, opened, recovered, salvage
from .schema import PAGE_BYTES, Broken

log = logging.getLogger(__name__)
_NAME = re.compile(r"history-([0-9]{8})\.db")
_APPLICATION = slice(68, 72)
"""Of the header: https://www.sqlite.org/fileformat2.html."""
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

    def look(self, path: str, *, closely: bool) -> Contents:
        """What a file holds; one that holds nothing is removed. ``closely``: with a look at each page. Raises Broken,
        OSError, sqlite3.Error."""
        if not _is_own(os.lstat(path)):
            raise Broken("it is no file of this agent's own")
        recovered(path)
        with open(path, "rb") as begun:
            head = begun.read(PAGE_BYTES + 1)
        if len(head) == PAGE_BYTES and not any(head[_APPLICATION]):  # a power cut came before it had its tables
            self.remove(path)
            return Contents(path, (), (), 0)
        with contextlib.closing(opened(path)) as file:
            if closely:
                check_pages(file)
            found = contents(file, path)
        if not found.runs:
            self.remove(path)
        return found

    @staticmethod
    def remove(path: str) -> None:
        """Forget a file."""
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + end)

    def set_aside(self, path: str, why: str, known: Iterable[Run]) -> bool:
        """Never look at a file again, but for what can still be read of it: that takes its place.

        Whether there is any."""
        self._bad.add(path)
        aside = path + _ASIDE
        try:
            for end in ("", "-wal", "-shm"):
                if os.path.lexists(path + end):
                    os.rename(path + end, aside + end)
        except OSError as error:
            log.error("history: %s is not used: %s; it cannot be renamed: %s", path, why, error.strerror)
            return False
        kept = False
        try:
            kept = _is_own(os.lstat(aside)) and salvage(aside, path, known)
        except (OSError, sqlite3.Error, Broken) as error:
            log.debug("history: nothing could be kept of %s: %s", aside, error)
        if kept:
            self._bad.discard(path)
        else:
            self.remove(path)
        words = ", and what could still be read is kept" if kept else ""
        log.error("history: %s is not used: %s; it is %s now%s", path, why, os.path.basename(aside), words)
        return kept

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
        if is_full(error):
            return f"{where}: no space left on the disk"
        with contextlib.suppress(OSError):
            if os.statvfs(where).f_flag & os.ST_RDONLY:
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
