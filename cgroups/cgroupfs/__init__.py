"""Reads Linux control groups, v1, v2 and hybrid, into one set of frozen types. Standard library only, synchronous.

>>> from cgroupfs import Cgroup, Root, detect                             # doctest: +SKIP
>>> root = Root("/")                                                      # doctest: +SKIP
>>> hierarchy = detect(root)                                              # doctest: +SKIP
>>> web = Cgroup(root, hierarchy, "/system.slice/nginx.service")          # doctest: +SKIP
>>> web.memory().usage_bytes, web.cpu().usage_usec                        # doctest: +SKIP
(21700608, 1834003)

A value is a number, :data:`MAX` (a limit set to none) or ``None``: the kernel does not say, and the record's
``missing`` says why. Every method may raise :class:`CgroupGone`, and :class:`Exhausted` where the reader itself is out
of descriptors or memory; :func:`detect` raises :class:`NoCgroups`. Nothing else is raised for what a kernel file
holds; a directory that may not be opened at all raises OSError.

For repeated reading, :meth:`Cgroup.counters` gives a :class:`CounterReader` that keeps its files open.
"""

from .absent import MAX, Absent, Limit, Max, Missing
from .cgroup import Cgroup, io_counting
from .controllers.counters import CounterReader, Counters
from .controllers.cpu import Cpu
from .controllers.export import Exported
from .controllers.io import Counting, DeviceIo, Io
from .controllers.kept import Descriptors
from .controllers.limits import Limits
from .controllers.memory import Memory, MemoryEvents, MemoryStat
from .controllers.pids import Pids
from .controllers.psi import Pressure
from .controllers.vitals import Vitals, VitalsReader
from .errors import CgroupError, CgroupGone, Exhausted, NoCgroups, ParseError
from .formats import Stall
from .hierarchy import Hierarchy, Mount, Version, detect
from .members import Members, Population
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
    "Counting",
    "Cpu",
    "Descriptors",
    "DeviceIo",
    "Directory",
    "Exhausted",
    "Exported",
    "Hierarchy",
    "Identity",
    "Io",
    "KeptFile",
    "Limit",
    "Limits",
    "Max",
    "Members",
    "Memory",
    "MemoryEvents",
    "MemoryStat",
    "Missing",
    "Mount",
    "NoCgroups",
    "ParseError",
    "Pids",
    "Population",
    "Pressure",
    "Root",
    "Stall",
    "Version",
    "Vitals",
    "VitalsReader",
    "detect",
    "io_counting",
]
