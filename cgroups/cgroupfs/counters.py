"""The few counters that a stats reading needs, read again and again from descriptors that stay open.

This is the hot path: one object per cgroup, one file descriptor per file, only the wanted key parsed, the
calls unrolled. :mod:`cgroupfs.reader` reads any set of fields and costs more. Files and parsers are of the same table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from .absent import FAILED, Absent, Limit, Missing
from .controllers import FIELDS
from .controllers.freezer import FREEZING
from .controllers.io import sums
from .counting import Counting
from .errors import ParseError
from .hierarchy import NEWEST, Version
from .kept import AbsentFile, Descriptors, File, Refused, Source, content, open_file, release_all
from .pseudofs import KeptFile, read_rest_of_kept

T = TypeVar("T")
_CHUNK = 4096
_WRONG = FAILED | {Absent.KEY_ABSENT}
"""What makes a reading wrong: the keys of these counters are there in every kernel that has the files."""
_IO = "io.devices"


class Counters(NamedTuple):
    """One reading; None: the kernel does not say (why: :attr:`CounterReader.missing`)."""

    cpu_usage_nsec: int | None
    memory_usage_bytes: int | None
    inactive_file_bytes: int | None
    memory_max_bytes: Limit
    io_read_bytes: int | None
    io_write_bytes: int | None
    frozen: bool | None


class CounterReader:
    """The counters of one cgroup. Opens its files from the directories given; owns only the files' descriptors."""

    __slots__ = (
        "_counting",
        "_cpu",
        "_descriptors",
        "_fds",
        "_files",
        "_frozen",
        "_frozen_seen",
        "_frozen_stale",
        "_inactive_file",
        "_io",
        "_io_files",
        "_io_seen",
        "_limit",
        "_limit_seen",
        "_limit_stale",
        "_memory",
        "_now",
        "_whole",
        "cpu_read_ns",
        "followed",
        "io_read_ns",
        "kept",
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
        now: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """``now``: the monotonic clock. Raises CgroupGone when a directory vanished; nothing stays open then."""
        self._descriptors = descriptors
        self._now = now
        self.cpu_read_ns = 0
        """When the CPU time had been read last. Where its file is slow, that is later than the reading began."""
        self.io_read_ns = 0
        """The same of block I/O: a thread that has to wait for a processor may read it much later."""
        self._counting = counting
        self.missing: dict[str, Missing] = {}
        opened: list[File] = []
        try:
            self._cpu = self._open(cpuacct, "cpu.usage_nsec", opened)
            self._memory = self._open(memory, "memory.usage_bytes", opened)
            self._inactive_file = self._open(memory, "memory.stat.inactive_file", opened)
            self._limit = self._open(memory, "memory.max_bytes", opened)
            self._frozen = self._open(freezer, "freezer.frozen", opened)
            names, parse = sums(_version(io))
            for name in names:
                opened.append(open_file(io[0] if io else None, name, descriptors))
        except BaseException:
            release_all(opened, descriptors)
            raise
        self.kept = {file.path: file for file in opened if isinstance(file, KeptFile)}
        """The files that stay open until :meth:`close`, by their real paths. A reader beside this one may read them."""
        single = opened[: -len(names)]
        self._files = opened
        self._io = [(file, parse) for file in opened[-len(names) :]]
        self._io_files = [(file, parse) for file, parse in self._io if not isinstance(file, AbsentFile)]
        refused = any(isinstance(file, AbsentFile) and file.reason in _WRONG for file in opened)
        self._whole = not refused and bool(self._io_files) and not any(isinstance(f, AbsentFile) for f in single)
        self._fds = self._kept() if self._whole else None
        self.followed = False
        """Set by a caller that watches :meth:`rarely_changing` and calls :meth:`changed`: these are read only when they
        changed."""
        self._limit_stale = self._frozen_stale = True
        self._limit_seen: tuple[bytes, Limit] = (b"", None)
        self._frozen_seen = False
        self._io_seen = [(b"\0", (0, 0))] * len(self._io_files)

    def _open(self, source: Source, field: str, opened: list[File]) -> tuple[str, File, Callable[[bytes], Any]]:
        """A field, its file, and how to get it from there."""
        place = FIELDS[field].place(_version(source))
        if place is None or place.parse is None:
            raise KeyError(field)
        opened.append(open_file(source[0] if source else None, place.file, self._descriptors))
        return field, opened[-1], place.parse

    def close(self) -> None:
        """Release every descriptor; safe to call twice."""
        release_all(self._files, self._descriptors)

    def _value(self, field: str, file: File, parse: Callable[[bytes], T]) -> T | None:
        data = content(file)
        if isinstance(data, Absent):
            known = self.missing.get(field)
            if data in _WRONG or known is None or known.reason not in _WRONG:
                self.missing[field] = Missing(field, data, file.path)
            return None
        try:
            value = parse(data)
        except ParseError as error:
            self.missing[field] = Missing(field, error.reason, file.path)
            return None
        if value is None:
            self.missing[field] = Missing(field, Absent.KEY_ABSENT, file.path)
        return value

    def cpu_usage_nsec(self) -> int | None:
        """The CPU time alone; the resident baseline reads nothing else. Raises CgroupGone."""
        self.missing.pop(self._cpu[0], None)
        usage: int | None = self._value(*self._cpu)
        self.cpu_read_ns = self._now()
        return usage

    def read(self, before: Counters | None = None) -> Counters:
        """All counters. Raises CgroupGone when the cgroup was removed.

        ``before``: an earlier reading. While CPU time and memory are what they were then, nothing ran since, and
        ``inactive_file_bytes`` is taken from there: memory.stat costs more than the other files together.
        """
        if self.missing:
            self.missing.clear()
        if self._fds is not None:
            try:
                return self._read_whole(*self._fds, before)
            except (ParseError, OSError, Refused):
                pass  # read again, to tell which file it is and what the others say
        return self._read_each()

    def _kept(self) -> tuple[int, int, int] | None:
        """The descriptors of CPU, memory and memory.stat, where all are kept open."""
        cpu, memory, stat = self._cpu[1], self._memory[1], self._inactive_file[1]
        if isinstance(cpu, KeptFile) and isinstance(memory, KeptFile) and isinstance(stat, KeptFile):
            return cpu.fd, memory.fd, stat.fd
        return None

    def _read_whole(self, cpu: int, memory: int, stat: int, before: Counters | None) -> Counters:
        """All counters of a cgroup that has every file; anything unexpected is raised.

        What rarely changes is parsed only when its bytes do. The calls of KeptFile.read stand here themselves: a method
        call and three objects less for each file are a tenth of a pass.
        """
        if self._limit_stale:
            self._read_limit()
        if self._frozen_stale:
            self._read_frozen()
        usage = self._cpu[2](os.pread(cpu, _CHUNK, 0))
        self.cpu_read_ns = self._now()
        in_use = self._memory[2](os.pread(memory, _CHUNK, 0))
        if before is not None and (usage, in_use) == before[:2]:
            inactive_file = before.inactive_file_bytes
        else:
            data = os.pread(stat, _CHUNK, 0)
            if len(data) == _CHUNK:
                data = read_rest_of_kept(stat, data)
            inactive_file = self._inactive_file[2](data)
        if usage is None or inactive_file is None:
            raise ParseError("a key is not there")
        read, written = self._io_whole()
        self.io_read_ns = self._now()
        return Counters(usage, in_use, inactive_file, self._limit_seen[1], read, written, self._frozen_seen)

    def _read_limit(self) -> None:
        _, file, parse = self._limit
        self._limit_stale = not self.followed  # before it is read: a change that another thread tells of is news then
        try:
            data = file.read()  # type: ignore[union-attr]
            if data != self._limit_seen[0]:
                self._limit_seen = data, parse(data)
        except BaseException:
            self._limit_stale = True
            raise

    def _read_frozen(self) -> None:
        _, file, parse = self._frozen
        self._frozen_stale = not self.followed  # before it is read: a change that another thread tells of is news then
        try:
            data = file.read()  # type: ignore[union-attr]
            self._frozen_seen = parse(data)
        except BaseException:
            self._frozen_stale = True
            raise
        if data == FREEZING:
            self._frozen_stale = True

    def rarely_changing(self) -> list[str]:
        """The files (real paths) whose changes inotify tells: limit and freezer state. Empty where one is missing."""
        return [file.path for file in (self._limit[1], self._frozen[1])] if self._whole else []

    def changed(self) -> None:
        """One of :meth:`rarely_changing` may have changed."""
        self._limit_stale = self._frozen_stale = True

    def _io_whole(self) -> tuple[int, int]:
        """As :meth:`_io_bytes`, where every file is there."""
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
        usage = value(*self._cpu)
        self.cpu_read_ns = self._now()
        memory = value(*self._memory)
        inactive_file = value(*self._inactive_file)
        limit = value(*self._limit)
        read, written = self._io_bytes()
        self.io_read_ns = self._now()
        return Counters(usage, memory, inactive_file, limit, read, written, value(*self._frozen))

    def _io_bytes(self) -> tuple[int | None, int | None]:
        """The first file that counts anything; zeros where files are there, all can be read and none does."""
        found = None
        for file, parse in self._io:
            pair = self._value(_IO, file, parse)
            if pair is not None:
                found = pair
                if pair != (0, 0):
                    break
        unread = self.missing.get(_IO)
        if found is None or (found == (0, 0) and unread is not None and unread.reason in _WRONG):
            return None, None
        self.missing.pop(_IO, None)
        return found

    def failed(self) -> Missing | None:
        """The first value of the last reading that is wrong rather than absent (unreadable or malformed)."""
        return next((m for m in self.missing.values() if m.reason in _WRONG), None)


def _version(source: Source) -> Version:
    return source[1] if source else NEWEST
