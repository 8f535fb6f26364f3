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
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from ..absent import Absent, Limit, Missing
from ..errors import ParseError
from ..hierarchy import Version
from ..pseudofs import KeptFile, absence, read_rest
from .freezer import FREEZING, parse_frozen, state_file
from .io import Counting
from .kept import AbsentFile, Descriptors, File, Refused, Source, open_file
from .plans import PLANS

T = TypeVar("T")
_CHUNK = 4096
FAILED = frozenset({Absent.PERMISSION, Absent.READ_FAILED, Absent.MALFORMED, Absent.TOO_LARGE})
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
        "_now",
        "_whole",
        "cpu_read_ns",
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
        now: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """``now``: the monotonic clock. Raises CgroupGone when a directory vanished; nothing stays open then."""
        self._descriptors = descriptors
        self._now = now
        self.cpu_read_ns = 0
        """When the CPU time had been read last: later than the reading began, where its file is slow."""
        self._counting = counting
        self.missing: dict[str, Missing] = {}
        self._io: list[tuple[File, Callable[[bytes], tuple[int, int]]]] = []
        opened: list[File] = []
        try:
            self._cpu = self._plan(cpuacct, "cpu", opened)
            self._memory = self._plan(memory, "memory", opened)
            self._cache = self._plan(memory, "cache", opened)
            self._limit = self._plan(memory, "limit", opened)
            names, parse = PLANS[io[1]].io if io else (("io",), PLANS[Version.V2].io[1])
            for name in names:
                file = open_file(io, name, descriptors)
                opened.append(file)
                self._io.append((file, parse))
            version = freezer[1] if freezer else Version.V2
            self._frozen = open_file(freezer, state_file(version), descriptors), partial(parse_frozen, version)
            opened.append(self._frozen[0])
        except BaseException:
            self._release(opened)
            raise
        self._io_files = [(file, parse) for file, parse in self._io if not isinstance(file, AbsentFile)]
        refused = any(isinstance(file, AbsentFile) and file.reason in FAILED for file in opened)
        self._whole = (
            not refused and bool(self._io_files) and not any(isinstance(f, AbsentFile) for f in self._single())
        )
        self._fds = self._kept() if self._whole else None
        self.followed = False
        """Set by whoever watches :meth:`rarely_changing` and calls :meth:`changed`: read only when they changed."""
        self._limit_stale = self._frozen_stale = True
        self._limit_seen: tuple[bytes, Limit] = (b"", None)
        self._frozen_seen = False
        self._io_seen = [(b"\0", (0, 0))] * len(self._io_files)

    def _plan(self, source: Source, what: str, opened: list[File]) -> tuple[File, Callable[[bytes], int]]:
        name, parse = getattr(PLANS[source[1] if source else Version.V2], what)
        file = open_file(source, name, self._descriptors)
        opened.append(file)
        return file, parse

    def _release(self, files: list[File]) -> None:
        for file in files:
            if isinstance(file, KeptFile) and file.fd >= 0:
                self._descriptors.release()
                file.close()

    def close(self) -> None:
        """Release every descriptor; safe to call twice."""
        self._release([*self._single(), *(file for file, _ in self._io)])

    def _single(self) -> list[File]:
        """The files that hold one counter each."""
        return [self._cpu[0], self._memory[0], self._cache[0], self._limit[0], self._frozen[0]]

    def _value(self, field: str, file: File, parse: Callable[[bytes], T]) -> T | None:
        if isinstance(file, AbsentFile):
            known = self.missing.get(field)
            if known is None or known.reason not in FAILED:
                self.missing[field] = Missing(field, file.reason, file.path)
            return None
        try:
            return parse(file.read())
        except ParseError as error:
            reason = error.reason
        except Refused as refused:
            reason = refused.reason
        except OSError as error:
            reason = absence(error, file.path)
        self.missing[field] = Missing(field, reason, file.path)
        return None

    def cpu_usage_nsec(self) -> int | None:
        """The CPU time alone (the resident baseline reads nothing else). Raises CgroupGone."""
        self.missing.pop("cpu_usage_nsec", None)
        usage = self._value("cpu_usage_nsec", *self._cpu)
        self.cpu_read_ns = self._now()
        return usage

    def read(self) -> Counters:
        """All counters. Raises CgroupGone when the cgroup was removed."""
        if self.missing:
            self.missing.clear()
        if self._fds is not None:
            try:
                return self._read_whole(*self._fds)
            except (ParseError, OSError, Refused):
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
        self.cpu_read_ns = self._now()
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
        self.cpu_read_ns = self._now()
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
