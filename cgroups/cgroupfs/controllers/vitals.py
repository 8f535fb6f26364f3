"""What a watcher compares from one look to the next: tasks, processes killed for want of memory, peak of memory.

=========================  ==============================  ===========================================
value                      v1                              v2
=========================  ==============================  ===========================================
tasks                      pids.current                    pids.current
killed                     memory.oom_control ``oom_kill`` memory.events ``oom_kill``
                           (since 4.13)
peak                       memory.max_usage_in_bytes       memory.peak (since 5.19)
=========================  ==============================  ===========================================

The files stay open as those of :class:`~cgroupfs.controllers.counters.CounterReader` do; a value that cannot be read
is None without further ado, since :meth:`cgroupfs.Cgroup.memory` and :meth:`~cgroupfs.Cgroup.pids` say why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..absent import Absent
from ..errors import ParseError
from ..formats import find_key, parse_value
from ..hierarchy import Version
from ..pseudofs import Directory, KeptFile
from .kept import Descriptors, Source


class Vitals(NamedTuple):
    """One look. None: the kernel does not say."""

    pids: int | None
    oom_kills: int | None
    peak_bytes: int | None


def _oom_kill(data: bytes) -> int | None:
    return find_key(data, b"oom_kill")


_OOM = {Version.V1: "memory.oom_control", Version.V2: "memory.events"}
_PEAK = {Version.V1: "memory.max_usage_in_bytes", Version.V2: "memory.peak"}


class _Kept:
    """One file, kept open while there are descriptors to spare, else opened for each look."""

    __slots__ = ("_descriptors", "_file", "_inode", "_name", "_parse", "_path")

    def __init__(
        self, source: Source, name: str, parse: Callable[[bytes], int | None], descriptors: Descriptors
    ) -> None:
        self._descriptors, self._name, self._parse = descriptors, name, parse
        self._file: KeptFile | None = None
        self._path, self._inode = (source[0].path, source[0].inode) if source else ("", 0)
        if source is not None and descriptors.take():
            try:
                fd = source[0].open(name)
            except BaseException:
                descriptors.release()
                raise
            if isinstance(fd, Absent):
                descriptors.release()
                self._path = ""
            else:
                self._file = KeptFile(f"{self._path}/{name}", fd)

    def read(self) -> int | None:
        """The value. Raises CgroupGone."""
        if not self._path:
            return None
        try:
            if self._file is not None:
                return self._parse(self._file.read())
            with Directory(self._path, self._inode) as directory:
                data = directory.read(self._name)
            return None if isinstance(data, Absent) else self._parse(data)
        except (OSError, ParseError):
            return None

    def close(self) -> None:
        """Release the descriptor; safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._descriptors.release()
        self._path = ""


class VitalsReader:
    """The vitals of one cgroup, read again and again. Owns only the files' descriptors."""

    __slots__ = ("_oom", "_peak", "_pids")

    def __init__(self, memory: Source, pids: Source, descriptors: Descriptors) -> None:
        """Raises CgroupGone when a directory vanished meanwhile; nothing stays open then."""
        version = memory[1] if memory else Version.V2
        opened: list[_Kept] = []
        try:
            opened.append(_Kept(pids, "pids.current", parse_value, descriptors))
            opened.append(_Kept(memory, _OOM[version], _oom_kill, descriptors))
            opened.append(_Kept(memory, _PEAK[version], parse_value, descriptors))
        except BaseException:
            for file in opened:
                file.close()
            raise
        self._pids, self._oom, self._peak = opened

    def read(self) -> Vitals:
        """One look at all of them. Raises CgroupGone when the cgroup was removed."""
        return Vitals(self._pids.read(), self._oom.read(), self._peak.read())

    def memory(self, pids: int | None) -> Vitals:
        """What memory says alone, with a number of tasks that is known already. Raises CgroupGone."""
        return Vitals(pids, self._oom.read(), self._peak.read())

    def close(self) -> None:
        """Release every descriptor; safe to call twice."""
        for file in (self._pids, self._oom, self._peak):
            file.close()
