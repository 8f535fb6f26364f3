"""inotify(7) through libc: the standard library has no binding, and three calls do not earn a dependency."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from typing import NamedTuple

from cgroupfs.pseudofs import release

IN_MODIFY = 0x2
IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO, IN_ATTRIB = 0x100, 0x200, 0x40, 0x80, 0x4
IN_ONLYDIR, IN_IGNORED, IN_Q_OVERFLOW = 0x01000000, 0x8000, 0x4000
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_EVENT = struct.Struct("iIII")
_BUFFER = 1 << 16
_libc = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    """One change in a watched directory."""

    watch: int
    mask: int
    name: bytes = b""
    """Of the child that it is about."""


class Inotify:
    """One inotify instance. Every method raises OSError."""

    __slots__ = ("fd",)

    def __init__(self) -> None:
        self.fd = _libc.inotify_init1(_FLAGS)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def add(self, path: str) -> int:
        """Watch a directory for children that come and go, and for a new owner or mode; the watch number."""
        return self.watch(path, IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR)

    def add_file(self, path: str) -> int:
        """Watch a file for changes: writes to it and, of cgroup.events, the kernel's own notice; the watch number."""
        return self.watch(path, IN_MODIFY)

    def watch(self, path: str, mask: int) -> int:
        """Watch a file or directory for the events of ``mask``; the watch number, the same for the same inode."""
        watch = int(_libc.inotify_add_watch(self.fd, os.fsencode(path), mask))
        if watch < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        return watch

    def remove(self, watch: int) -> None:
        """Stop watching; a watch that the kernel has removed already is no error."""
        _libc.inotify_rm_watch(self.fd, watch)

    def events(self) -> list[Event]:
        """What has happened since the last call; never waits."""
        found: list[Event] = []
        while True:
            try:
                data = os.read(self.fd, _BUFFER)
            except BlockingIOError:
                return found
            offset = 0
            while offset < len(data):
                watch, mask, _cookie, length = _EVENT.unpack_from(data, offset)
                begin, offset = offset + _EVENT.size, offset + _EVENT.size + length
                found.append(Event(watch, mask, data[begin:offset].rstrip(b"\0")))

    def pending(self) -> bool:
        """Whether anything has happened since the last call of :meth:`events`."""
        if self.fd < 0:
            return False
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Release the descriptor; safe to call twice."""
        fd, self.fd = self.fd, -1
        release(fd)
