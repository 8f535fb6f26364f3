"""What the host's row of a scrape is made of: CPU by mode, memory, load, pressure, its own network. Read in one go.

Files: /proc/stat, meminfo, loadavg, pressure/*, 1/net/dev, sys/kernel/*. Each costs its own figures alone when it
cannot be read. Left out on purpose: file systems (statvfs waits for a server that is away) and the ``veth…`` interfaces
(one a container, with a new name at each start: the containers' own figures have their traffic).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cgroupfs import ParseError, Root
from cgroupfs.formats import Stall, parse_pressure

from ..host.procfs.host_load import LOADAVG, parse_loadavg
from ..host.procfs.host_stat import PATH as STAT
from ..host.procfs.host_stat import CpuTimes, parse_cpu_times, parse_host_stat
from ..host.procfs.meminfo import PATH as MEMINFO
from ..host.procfs.meminfo import parse_meminfo, parse_page_counts
from ..host.procfs.net_dev import Interface, parse_net_dev
from ..host.procfs.uname import Uname, read_uname
from .host_figures import NET_DEV

T = TypeVar("T")
PRESSURE = "/proc/pressure"
RESOURCES = ("cpu", "io", "memory", "irq")
MAX_DEVICES = 64
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_NO_SUCH = (errno.ENOENT, errno.EOPNOTSUPP)
"""The reasons of a kernel without PSI, or with psi=0: the log says nothing of them."""


@dataclass(frozen=True, slots=True)
class HostMetrics:
    """Raw figures, in the kernel's units. Empty or None: the kernel does not say."""

    cpus: Sequence[CpuTimes]
    boot_seconds: int | None
    """Unix time."""
    memory: Mapping[str, int]
    """/proc/meminfo: key -> bytes."""
    huge_pages: Mapping[str, int]
    """/proc/meminfo: key -> pages."""
    load: tuple[float, float, float] | None
    pressure: Mapping[str, Mapping[bytes, Stall]]
    """cpu, io, memory, irq -> ``some``, ``full``."""
    interfaces: Sequence[Interface]
    uname: Uname | None
    time_ms: int
    """Wall clock of the reading, milliseconds since the epoch."""


class HostMetricsReader:
    """Used in the sampling thread."""

    def __init__(self, root: Root, say: Callable[[str], None]) -> None:
        """``say`` is told which files cannot be read."""
        self._root = root
        self._say = say

    def _get(self, path: str, parse: Callable[[bytes], T]) -> T | None:
        try:
            return parse(self._root.read(path))
        except (OSError, ParseError) as error:
            if not isinstance(error, OSError) or error.errno not in _NO_SUCH:
                self._say(f"cannot read {path}: {error}")
            return None

    def _uname(self) -> Uname | None:
        try:
            return read_uname(self._root)
        except (OSError, ParseError):
            return None

    def read(self) -> HostMetrics:
        """One reading of the host."""
        cpus, boot_seconds = self._get(STAT, _stat) or ((), None)
        memory, huge_pages = self._get(MEMINFO, _memory) or ({}, {})
        interfaces = self._get(NET_DEV, parse_net_dev) or ()
        return HostMetrics(
            cpus=cpus,
            boot_seconds=boot_seconds,
            memory=memory,
            huge_pages=huge_pages,
            load=self._get(LOADAVG, parse_loadavg),
            pressure={name: self._get(f"{PRESSURE}/{name}", parse_pressure) or {} for name in RESOURCES},
            interfaces=[each for each in interfaces if not each.name.startswith("veth")][:MAX_DEVICES],
            uname=self._uname(),
            time_ms=self._root.clock().time_ms,
        )


def _stat(data: bytes) -> tuple[Sequence[CpuTimes], int | None]:
    return parse_cpu_times(data), parse_host_stat(data).boot_seconds


def _memory(data: bytes) -> tuple[Mapping[str, int], Mapping[str, int]]:
    return parse_meminfo(data), parse_page_counts(data)
