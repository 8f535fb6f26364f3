"""What files of the host say: its memory, its cores and its CPU time, and any other that a caller can parse."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from cgroupfs import ParseError, Root
from cgroupfs.formats import parse_cpu_list
from cgroupfs.pseudofs import raise_exhausted

from ..host.procfs.host_stat import PATH as STAT
from ..host.procfs.host_stat import HostCpu, parse_host_stat
from ..host.procfs.meminfo import mem_total_bytes
from . import rates

T = TypeVar("T")
_MEM_TOTAL_NS = 60_000_000_000
_CORES_NS = 10_000_000_000
_ONLINE = "/sys/devices/system/cpu/online"


class HostFiles:
    """Looked at again from time to time. No method is to be called while a container's lock is held: these are files of
    the host, and one that hangs must cost no container."""

    def __init__(self, root: Root, say_once: Callable[[str], None]) -> None:
        self._root = root
        self._say = say_once
        self.known_mem_total: int | None = None
        """As :meth:`mem_total` found it last."""
        self._memory_ns = 0
        self.known_cores = rates.MOST_CORES
        """As :meth:`cores` found them last."""
        self._cores_ns = 0

    def get(self, path: str, parse: Callable[[bytes], T]) -> T | None:
        """What one file says now; None where it cannot be read, which the log says once."""
        try:
            return parse(self._root.read(path))
        except (OSError, ParseError) as error:
            self._say(f"cannot read {path}: {error}")
            return None

    def stat(self) -> HostCpu | None:
        """/proc/stat now; None where it cannot be read."""
        try:
            return parse_host_stat(self._root.read(STAT))
        except (OSError, ParseError):
            return None

    def mem_total(self) -> int | None:
        """The host's memory in bytes; None where /proc/meminfo does not say (then unlimited has no figure). Raises
        Exhausted."""
        now = time.monotonic_ns()
        if self.known_mem_total is None or now - self._memory_ns > _MEM_TOTAL_NS:
            self._memory_ns = now
            try:
                self.known_mem_total = mem_total_bytes(self._root)
            except (OSError, ParseError) as error:
                if isinstance(error, OSError):
                    raise_exhausted(error)
                self._say(f"cannot read the host's memory: {error}")
        return self.known_mem_total

    def cores(self) -> int:
        """The cores that are online, which bound CPU figures. MOST_CORES where the host does not say. Raises
        Exhausted."""
        now = time.monotonic_ns()
        if not self._cores_ns or now - self._cores_ns > _CORES_NS:
            self._cores_ns = now
            online = self._count(_ONLINE, lambda data: len(parse_cpu_list(data)))
            self.known_cores = online or self._count(STAT, lambda data: parse_host_stat(data).cores) or rates.MOST_CORES
        return self.known_cores

    def _count(self, path: str, parse: Callable[[bytes], int]) -> int:
        """0: the file does not say. Raises Exhausted."""
        try:
            return parse(self._root.read(path))
        except ParseError:
            return 0
        except OSError as error:
            raise_exhausted(error, path)
            return 0
