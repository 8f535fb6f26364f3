"""The few counters that a stats reading needs, read again and again from descriptors that stay open.

This is the hot path: one object per cgroup, one file descriptor per file, only the wanted key parsed. The records of
the other modules say more and cost more. Files per interface version:

==================  ==========================================  =====================================
counter             v1                                          v2
==================  ==========================================  =====================================
CPU time            cpuacct.usage                               cpu.stat usage_usec
memory              memory.usage_in_bytes                       memory.current
its page cache      memory.stat total_inactive_file             memory.stat inactive_file
its limit           memory.limit_in_bytes                       memory.max
block I/O           see :data:`cgroupfs.controllers.io.V1_BYTES`  io.stat rbytes, wbytes
frozen              freezer.state                               cgroup.events frozen
==================  ==========================================  =====================================
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from ..absent import Absent, Limit, Missing
from ..errors import CgroupGone, ParseError
from ..formats import key_finder, parse_device_operations, parse_limit, parse_nested_keyed, parse_value
from ..hierarchy import Version
from ..pseudofs import Directory, KeptFile, absence, read_rest
from .freezer import FREEZING, parse_frozen, state_file
from .io import V1_BYTES, Counting
from .memory import limit_v1

T = TypeVar("T")
_CHUNK = 4096
FAILED = frozenset({Absent.PERMISSION, Absent.READ_FAILED, Absent.MALFORMED})
"""Reasons that make a reading wrong, not merely incomplete."""


class Counters(NamedTuple):
    """One reading; None: the kernel does not say (why: :attr:`CounterReader.missing`)."""

    cpu_usage_nsec: int | None
    memory_bytes: int | None
    inactive_file_bytes: int | None
    memory_max_bytes: Limit
    io_read_bytes: int | None
    io_write_bytes: int | None
    frozen: bool | None


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


class _Refused(Exception):
    """A file that could be opened once cannot be opened now (no descriptors left, permission withdrawn)."""

    def __init__(self, reason: Absent) -> None:
        super().__init__(reason)
        self.reason = reason


class _ReopenedFile:
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
                raise _Refused(fd)
            try:
                return read_rest(fd, b"")
            finally:
                os.close(fd)

    def close(self) -> None:
        """Nothing is open."""


class _Absent(NamedTuple):
    reason: Absent
    path: str


_File = KeptFile | _ReopenedFile | _Absent


_usage_usec = key_finder(b"usage_usec")
_total_inactive_file = key_finder(b"total_inactive_file")
_inactive_file = key_finder(b"inactive_file")


def _cpu_v2(data: bytes) -> int:
    usage = _usage_usec(data)
    if usage is None:
        raise ParseError("no key usage_usec")
    return usage * 1000


def _cache_v1(data: bytes) -> int:
    total = _total_inactive_file(data)
    return _cache_v2(data) if total is None else total


def _cache_v2(data: bytes) -> int:
    cache = _inactive_file(data)
    if cache is None:
        raise ParseError("no key inactive_file")
    return cache


def _bytes_v1(data: bytes) -> tuple[int, int]:
    read = written = 0
    for line in parse_device_operations(data):
        if line.operation == b"Read":
            read += line.value
        elif line.operation == b"Write":
            written += line.value
    return read, written


def _bytes_v2(data: bytes) -> tuple[int, int]:
    if not data:
        return 0, 0
    lines = parse_nested_keyed(data).lines
    return sum(e.values.get(b"rbytes", 0) for e in lines), sum(e.values.get(b"wbytes", 0) for e in lines)


class _Plan(NamedTuple):
    """File names and parsers of one interface version."""

    cpu: tuple[str, Callable[[bytes], int]]
    memory: tuple[str, Callable[[bytes], int]]
    cache: tuple[str, Callable[[bytes], int]]
    limit: tuple[str, Callable[[bytes], Limit]]
    io: tuple[tuple[str, ...], Callable[[bytes], tuple[int, int]]]


_PLANS = {
    Version.V1: _Plan(
        ("cpuacct.usage", parse_value),
        ("memory.usage_in_bytes", parse_value),
        ("memory.stat", _cache_v1),
        ("memory.limit_in_bytes", limit_v1),
        (V1_BYTES, _bytes_v1),
    ),
    Version.V2: _Plan(
        ("cpu.stat", _cpu_v2),
        ("memory.current", parse_value),
        ("memory.stat", _cache_v2),
        ("memory.max", parse_limit),
        (("io.stat",), _bytes_v2),
    ),
}
Source = tuple[Directory, Version] | None
"""An open directory and its interface; None: the controller has no such cgroup. Not kept beyond the call."""


class CounterReader:
    """The counters of one cgroup. Opens its files from the directories given; owns only the files' descriptors."""

    __slots__ = (
        "_cache",
        "_counting",
        "_cpu",
        "_descriptors",
        "_fds",
        "_frozen",
        "_frozen_seen",
        "_frozen_stale",
        "_io",
        "_io_files",
        "_io_seen",
        "_limit",
        "_limit_seen",
        "_limit_stale",
        "_memory",
        "_whole",
        "followed",
        "missing",
    )

    def __init__(
        self,
        cpuacct: Source,
        memory: Source,
        io: Source,
        freezer: Source,
        descriptors: Descriptors,
        counting: Counting | None = None,
    ) -> None:
        """Raises CgroupGone when a directory vanished meanwhile; nothing stays open then."""
        self._descriptors = descriptors
        self._counting = counting
        self.missing: dict[str, Missing] = {}
        self._io: list[tuple[_File, Callable[[bytes], tuple[int, int]]]] = []
        opened: list[_File] = []
        try:
            self._cpu = self._plan(cpuacct, "cpu", opened)
            self._memory = self._plan(memory, "memory", opened)
            self._cache = self._plan(memory, "cache", opened)
            self._limit = self._plan(memory, "limit", opened)
            names, parse = _PLANS[io[1]].io if io else (("io",), _bytes_v2)
            for name in names:
                file = self._open(io, name)
                opened.append(file)
                self._io.append((file, parse))
            version = freezer[1] if freezer else Version.V2
            self._frozen = self._open(freezer, state_file(version)), partial(parse_frozen, version)
            opened.append(self._frozen[0])
        except BaseException:
            self._release(opened)
            raise
        self._io_files = [(file, parse) for file, parse in self._io if not isinstance(file, _Absent)]
        refused = any(isinstance(file, _Absent) and file.reason in FAILED for file in opened)
        self._whole = not refused and bool(self._io_files) and not any(isinstance(f, _Absent) for f in self._single())
        self._fds = self._kept() if self._whole else None
        self.followed = False
        """Set by whoever watches :meth:`rarely_changing` and calls :meth:`changed`: read only when they changed."""
        self._limit_stale = self._frozen_stale = True
        self._limit_seen: tuple[bytes, Limit] = (b"", None)
        self._frozen_seen = False
        self._io_seen = [(b"\0", (0, 0))] * len(self._io_files)

    def _plan(self, source: Source, what: str, opened: list[_File]) -> tuple[_File, Callable[[bytes], int]]:
        name, parse = getattr(_PLANS[source[1] if source else Version.V2], what)
        file = self._open(source, name)
        opened.append(file)
        return file, parse

    def _open(self, source: Source, name: str) -> _File:
        if source is None:
            return _Absent(Absent.CONTROLLER_OFF, name)
        directory = source[0]
        fd = directory.open(name)
        if isinstance(fd, Absent):
            return _Absent(fd, f"{directory.path}/{name}")
        if self._descriptors.take():
            return KeptFile(f"{directory.path}/{name}", fd)
        os.close(fd)
        return _ReopenedFile(directory, name)

    def _release(self, files: list[_File]) -> None:
        for file in files:
            if isinstance(file, KeptFile) and file.fd >= 0:
                file.close()
                self._descriptors.release()

    def close(self) -> None:
        """Release every descriptor; safe to call twice."""
        self._release([*self._single(), *(file for file, _ in self._io)])

    def _single(self) -> list[_File]:
        """The files that hold one counter each."""
        return [self._cpu[0], self._memory[0], self._cache[0], self._limit[0], self._frozen[0]]

    def _value(self, field: str, file: _File, parse: Callable[[bytes], T]) -> T | None:
        if isinstance(file, _Absent):
            known = self.missing.get(field)
            if known is None or known.reason not in FAILED:
                self.missing[field] = Missing(field, file.reason, file.path)
            return None
        try:
            return parse(file.read())
        except ParseError:
            reason = Absent.MALFORMED
        except _Refused as refused:
            reason = refused.reason
        except OSError as error:
            reason = absence(error, file.path)
        self.missing[field] = Missing(field, reason, file.path)
        return None

    def cpu_usage_nsec(self) -> int | None:
        """The CPU time alone (the resident baseline reads nothing else). Raises CgroupGone."""
        self.missing.pop("cpu_usage_nsec", None)
        return self._value("cpu_usage_nsec", *self._cpu)

    def read(self) -> Counters:
        """All counters. Raises CgroupGone when the cgroup was removed."""
        if self.missing:
            self.missing.clear()
        if self._fds is not None:
            try:
                return self._read_whole(*self._fds)
            except (ParseError, OSError, _Refused):
                pass  # read again, to tell which file it is and what the others say
        return self._read_each()

    def _kept(self) -> tuple[int, int, int] | None:
        """The descriptors of CPU, memory and cache, where all are kept open."""
        cpu, memory, cache = self._cpu[0], self._memory[0], self._cache[0]
        if isinstance(cpu, KeptFile) and isinstance(memory, KeptFile) and isinstance(cache, KeptFile):
            return cpu.fd, memory.fd, cache.fd
        return None

    def _read_whole(self, cpu: int, memory: int, cache: int) -> Counters:
        """All counters of a cgroup that has every file; anything unexpected is raised.

        What rarely changes is parsed only when its bytes do. The calls of KeptFile.read stand here themselves: a method
        call and three objects less for each file are a tenth of a pass.
        """
        if self._limit_stale:
            self._read_limit()
        if self._frozen_stale:
            self._read_frozen()
        os.lseek(cpu, 0, 0)
        usage = self._cpu[1](os.read(cpu, _CHUNK))
        os.lseek(memory, 0, 0)
        in_use = self._memory[1](os.read(memory, _CHUNK))
        os.lseek(cache, 0, 0)
        stat = os.read(cache, _CHUNK)
        if len(stat) == _CHUNK:
            stat = read_rest(cache, stat)
        read_bytes, write_bytes = self._io_whole()
        return Counters(
            usage, in_use, self._cache[1](stat), self._limit_seen[1], read_bytes, write_bytes, self._frozen_seen
        )

    def _read_limit(self) -> None:
        file, parse = self._limit
        data = file.read()  # type: ignore[union-attr]
        if data != self._limit_seen[0]:
            self._limit_seen = data, parse(data)
        self._limit_stale = not self.followed

    def _read_frozen(self) -> None:
        file, parse = self._frozen
        data = file.read()  # type: ignore[union-attr]
        self._frozen_seen = parse(data)
        self._frozen_stale = not self.followed or data == FREEZING

    def rarely_changing(self) -> list[str]:
        """The files (real paths) whose changes inotify tells: limit and freezer state. Empty where one is missing."""
        return [file.path for file in (self._limit[0], self._frozen[0])] if self._whole else []

    def changed(self) -> None:
        """One of :meth:`rarely_changing` may have changed."""
        self._limit_stale = self._frozen_stale = True

    def _io_whole(self) -> tuple[int, int]:
        """As :meth:`_io_bytes`, of files that are all there."""
        pair = (0, 0)
        if self._counting is not None and not self._counting.anything:
            return pair
        for number, (file, parse) in enumerate(self._io_files):
            data = file.read()
            seen = self._io_seen[number]
            if data != seen[0]:
                seen = self._io_seen[number] = data, parse(data)
            pair = seen[1]
            if pair != (0, 0):
                break
        return pair

    def _read_each(self) -> Counters:
        value = self._value
        usage = value("cpu_usage_nsec", *self._cpu)
        memory = value("memory_bytes", *self._memory)
        cache = value("inactive_file_bytes", *self._cache)
        limit = value("memory_max_bytes", *self._limit)
        read, written = self._io_bytes()
        frozen = value("frozen", *self._frozen)
        return Counters(usage, memory, cache, limit, read, written, frozen)

    def _io_bytes(self) -> tuple[int | None, int | None]:
        """The first file that counts anything; zeros where files are there, all can be read and none does."""
        found = None
        for file, parse in self._io:
            pair = self._value("io_bytes", file, parse)
            if pair is not None:
                found = pair
                if pair != (0, 0):
                    break
        unread = self.missing.get("io_bytes")
        if found is None or (found == (0, 0) and unread is not None and unread.reason in FAILED):
            return None, None
        self.missing.pop("io_bytes", None)
        return found

    def failed(self) -> Missing | None:
        """The first value of the last reading that is wrong rather than absent (unreadable or malformed)."""
        return next((m for m in self.missing.values() if m.reason in FAILED), None)
