"""Reads Linux control groups, v1, v2 and hybrid, into one set of frozen types. Standard library only, synchronous.

>>> from cgroupfs import Cgroup, Root, detect                             # doctest: +SKIP
>>> root = Root("/")                                                      # doctest: +SKIP
>>> hierarchy = detect(root)                                              # doctest: +SKIP
>>> web = Cgroup(root, hierarchy, "/system.slice/nginx.service")          # doctest: +SKIP
>>> web.memory().usage_bytes, web.cpu().usage_nsec                        # doctest: +SKIP
(21700608, 1834003210)

A value is a number, :data:`MAX` (a limit set to none) or ``None``: the kernel does not say, and the record's
``missing`` says why. Every method may raise :class:`CgroupGone`, and :class:`Exhausted` where the reader itself is out
of descriptors or memory; :func:`detect` raises :class:`NoCgroups`. Nothing else is raised for what a kernel file
holds; a directory that may not be opened at all raises OSError.

Any other set of fields (:data:`FIELDS`) is a :func:`select`, read by :meth:`Cgroup.read` or, again and again, by
:meth:`Cgroup.reader`. :meth:`Cgroup.counters` gives a :class:`CounterReader`: the few counters of ``docker stats``, at
the lowest price.
"""

from .absent import MAX, Absent, Limit, Max, Missing
from .cgroup import Cgroup
from .controllers import FIELDS, field_files
from .controllers.cpu import Cpu
from .controllers.io import DeviceIo, DeviceLimit, Io
from .controllers.memory import Memory, MemoryEvents, MemoryStat
from .controllers.pids import Pids
from .controllers.psi import Pressure
from .counters import CounterReader, Counters
from .counting import Counting, io_counting
from .errors import CgroupError, CgroupGone, Exhausted, NoCgroups, ParseError
from .fields import Field
from .formats import Stall
from .hierarchy import Hierarchy, Mount, Version, detect
from .kept import Descriptors
from .kept_reader import KeptReader
from .members import Members, Population
from .pseudofs import Directory, KeptFile
from .reader import Reading, Selection, select
from .records import VITALS, Limits, Vitals
from .root import Clock, Identity, Root

__all__ = [
    "FIELDS",
    "MAX",
    "VITALS",
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
    "DeviceLimit",
    "Directory",
    "Exhausted",
    "Field",
    "Hierarchy",
    "Identity",
    "Io",
    "KeptFile",
    "KeptReader",
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
    "Reading",
    "Root",
    "Selection",
    "Stall",
    "Version",
    "Vitals",
    "detect",
    "field_files",
    "io_counting",
    "select",
]
