"""The one way to read a runtime's state file: bounded, confined to the host's root, and only from its owner.

Such a file is input. A user can plant a link, a FIFO, a huge or a broken file where a rootless runtime keeps its own,
and the agent may read more than that user may (CAP_DAC_READ_SEARCH). So: no link as the last component, regular files
only, a size cap, the owner the source expects, not writable by others. Nothing raises: what cannot be read, parsed or
trusted is an Unreadable with a sentence that holds nothing of the file's content (it may be a secret).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast

import msgspec

from cgroupfs.pseudofs import Root

from ..recorded import RecordedRoot
from .base import Unreadable
from .beneath import open_directory
from .refused import Crowded, Refused, unreadable

T = TypeVar("T")
Version = tuple[int, int, int, int, int]

FILE_LIMIT = 4 << 20
"""Bytes. A container's config is some 10 kB; Podman's list of 1,000 containers some 800 kB."""
USERS_BYTES = 4 << 20
"""What is kept of all the files of one unprivileged user: some 400 containers of Docker or 200 of Podman (of which the
lists still have the names). Parsed it may take ten times that (small labels), and one file may have 500 names."""
_KEPT_LIMIT = 8192
_CROWDED_NS = 10_000_000_000
"""How long a file that there was no room for is not looked at again."""
_SETTLED_MS = 100
"""A file that had changed less than this before it was read is read once more, this much later: time stamps step by up
to 10 ms, so a second change in place may not show in them."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Kept:
    real: str
    version: Version
    value: object
    again_ns: int
    """CLOCK_MONOTONIC when to read it again though it looks the same; 0: never."""
    size: int
    """What counts for the owner's share: nothing of a file that was refused."""


def is_file_name(name: str) -> bool:
    """Whether a name that came from outside may be one component of a path (printable also means encodable)."""
    return 0 < len(name) <= 255 and name.isprintable() and "/" not in name and name not in (".", "..")


def parser_of(kind: type[T]) -> Callable[[bytes], T]:
    """A JSON parser that makes the named fields of ``kind`` only: what is not named is skipped, never decoded."""
    return msgspec.json.Decoder(kind).decode


def unix_time(when: datetime | None) -> float | None:
    """Seconds since the epoch; None for no time and for Go's zero time (year 1), which means never."""
    return None if when is None or when.year == 1 else when.timestamp()


class StateFiles:
    """The state files of one owner below one root; an unchanged file costs one stat and is not parsed again.

    ``share``: how many bytes all that is kept may have together. An unprivileged user gets :data:`USERS_BYTES`, for all
    runtimes together (they share one of these); the system's own files are as many as they are.
    """

    __slots__ = ("_kept", "_left", "_share", "owner_uid", "root")

    def __init__(self, root: Root, owner_uid: int = 0, share: int | None = None) -> None:
        self.root = root
        self.owner_uid = owner_uid
        self._kept: dict[str, _Kept] = {}
        self._share = USERS_BYTES if share is None and owner_uid else share
        self._left = self._share or 0

    def read(self, path: str, parse: Callable[[bytes], T], limit: int = FILE_LIMIT) -> T | Unreadable | None:
        """What ``parse`` makes of the file at an absolute host path; None: there is none.

        ``parse`` reports what it does not like with ValueError. One path is always read with the same ``parse``.
        """
        kept = self._kept.get(path)
        if kept is not None and self._is_current(kept):
            return cast("T | Unreadable", kept.value)
        self.forget(path)
        try:
            kept = self._load(path, parse, limit)
        except OSError as error:
            return None if error.errno == errno.ENOENT else unreadable(error, path)
        except ValueError:  # NUL or an unencodable character in a path that came from a file
            return Unreadable("not a possible path", ascii(path))
        if len(self._kept) >= _KEPT_LIMIT:
            self.forget(next(iter(self._kept)))
        self._kept[path] = kept
        self._left -= kept.size
        return cast("T | Unreadable", kept.value)

    def forget(self, path: str) -> None:
        """Read the file again next time, changed or not."""
        kept = self._kept.pop(path, None)
        if kept is not None:
            self._left += kept.size

    def names(self, directory: str) -> list[str] | Unreadable:
        """The sorted names in a directory; empty where there is none."""
        try:
            fd, real = open_directory(self.root, directory)
            os.close(fd)
            return sorted(os.listdir(self.root.join(real)))
        except OSError as error:
            return [] if error.errno == errno.ENOENT else unreadable(error, directory)
        except ValueError:
            return Unreadable("not a possible path", ascii(directory))

    def size_beside(self, path: str, suffix: str) -> int:
        """The size of a file's companion (a database's journal), 0 where there is none."""
        try:
            if (kept := self._kept.get(path)) is not None:
                return os.lstat(self.root.join(kept.real + suffix)).st_size
            fd, real = open_directory(self.root, os.path.dirname(path))
            os.close(fd)
            return os.lstat(self.root.join(f"{real}/{os.path.basename(path)}{suffix}")).st_size
        except (OSError, ValueError):
            return 0

    def _is_current(self, kept: _Kept) -> bool:
        try:
            if _version(os.lstat(self.root.join(kept.real))) != kept.version:
                return False
        except OSError:
            return False
        return kept.again_ns == 0 or self.root.clock().monotonic_ns < kept.again_ns

    def _load(self, path: str, parse: Callable[[bytes], T], limit: int) -> _Kept:
        directory, name = os.path.split(path)
        parent, real = open_directory(self.root, directory)
        try:
            fd = os.open(name, _OPEN, dir_fd=parent)
        finally:
            os.close(parent)
        real = f"{real.rstrip('/')}/{name}"
        try:
            now, crowded = self.root.clock(), False
            found = os.fstat(fd)
            try:
                value = self._parsed(fd, found, real, parse, limit)
            except Crowded as error:
                value, crowded = Unreadable(str(error), real), True
            after = os.fstat(fd)
        finally:
            os.close(fd)
        if crowded:
            again_ns = now.monotonic_ns + _CROWDED_NS
        elif _version(found) != _version(after):
            again_ns = now.monotonic_ns
        elif now.time_ms - found.st_mtime_ns // 1_000_000 < _SETTLED_MS:
            again_ns = now.monotonic_ns + _SETTLED_MS * 1_000_000
        else:
            again_ns = 0
        size = 0 if self._share is None or isinstance(value, Unreadable) else found.st_size
        return _Kept(real, _version(found), value, again_ns, size)

    def _parsed(
        self, fd: int, found: os.stat_result, real: str, parse: Callable[[bytes], T], limit: int
    ) -> T | Unreadable:
        try:
            self._check(fd, found, real, limit)
            return parse(_content(fd, limit if self._share is None else min(limit, self._left)))
        except Crowded:
            raise
        except Refused as error:
            return Unreadable(str(error), real)
        except UnicodeDecodeError:
            return Unreadable("not valid UTF-8", real)
        except RecursionError:
            return Unreadable("nested too deeply", real)
        except ValueError as error:  # msgspec's errors too: they name fields and types, never values
            return Unreadable(f"malformed: {error}", real)

    def _check(self, fd: int, found: os.stat_result, real: str, limit: int) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise Refused("is not a regular file")
        if found.st_size > limit:
            raise Refused(f"larger than {limit} bytes")
        uid = self.root.identity(real, fd).uid
        if uid != self.owner_uid:
            raise Refused(f"owned by uid {uid}, not by {self.owner_uid}")
        # The modes of a recorded tree are those of whoever copied it (git under umask 002: writable by the group).
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not isinstance(self.root, RecordedRoot):
            raise Refused("writable by its group or by others")
        if self._share is not None and found.st_size > self._left:
            raise Crowded(f"the files of uid {self.owner_uid} have more than {self._share} bytes together")


def _version(found: os.stat_result) -> Version:
    # With the change time: a file given to another owner keeps its inode, mtime and size.
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _content(fd: int, limit: int) -> bytes:
    parts, size = [], 0
    while part := os.read(fd, 1 << 18):
        parts.append(part)
        size += len(part)
        if size > limit:  # it grew since fstat
            raise Refused(f"larger than {limit} bytes")
    return b"".join(parts)
