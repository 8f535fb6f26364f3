"""Reads Linux control groups, v1, v2 and hybrid, into one set of frozen types. Standard library only, synchronous.

>>> from cgroupfs import Cgroup, Root, detect                             # doctest: +SKIP
>>> root = Root("/")                                                      # doctest: +SKIP
>>> hierarchy = detect(root)                                              # doctest: +SKIP
>>> web = Cgroup(root, hierarchy, "/system.slice/nginx.service")          # doctest: +SKIP
>>> web.memory().usage_bytes, web.cpu().usage_usec                        # doctest: +SKIP
(21700608, 1834003)

A value is a number, :data:`MAX` (a limit set to none) or ``None``: the kernel does not say, and the record's
``missing`` says why. Every method may raise :class:`CgroupGone`; :func:`detect` raises :class:`NoCgroups`. Nothing
else is raised for what a kernel file holds.

For repeated reading, :meth:`Cgroup.counters` gives a :class:`CounterReader` that keeps its files open.
"""

from .absent import MAX, Absent, Limit, Max, Missing
from .cgroup import Cgroup
from .controllers.counters import CounterReader, Counters, Descriptors
from .controllers.cpu import Cpu
from .controllers.io import DeviceIo, Io
from .controllers.memory import Memory, MemoryEvents, MemoryStat
from .controllers.pids import Pids
from .controllers.psi import Pressure
from .errors import CgroupError, CgroupGone, NoCgroups, ParseError, ReadError
from .formats import Stall
from .hierarchy import Hierarchy, Mount, Version, detect
from .pseudofs import Clock, Directory, Identity, KeptFile, Root

__all__ = [
    "MAX",
    "Absent",
    "Cgroup",
    "CgroupError",
    "CgroupGone",
    "Clock",
    "CounterReader",
    "Counters",
    "Cpu",
    "Descriptors",
    "DeviceIo",
    "Directory",
    "Hierarchy",
    "Identity",
    "Io",
    "KeptFile",
    "Limit",
    "Max",
    "Memory",
    "MemoryEvents",
    "MemoryStat",
    "Missing",
    "Mount",
    "NoCgroups",
    "ParseError",
    "Pids",
    "Pressure",
    "ReadError",
    "Root",
    "Stall",
    "Version",
    "detect",
]
