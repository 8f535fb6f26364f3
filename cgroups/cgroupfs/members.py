"""The processes of a cgroup and of those below it: cgroup.procs (since 2.6.24; v2: of a threaded cgroup EOPNOTSUPP)."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

from .absent import Absent
from .errors import CgroupGone
from .formats import parse_pids
from .pseudofs import Directory


class Members(NamedTuple):
    """Processes of a cgroup, and the file that lists them."""

    path: str
    pids: list[int]
    foreign: bool = False
    """Whether there are processes that the reader's PID namespace has no number for (listed as 0)."""


_DEPTH = 8


def members_below(path: str, limit: int, depth: int) -> Members:
    """Depth-first, so that the first descendant that has a process is enough.

    Raises OSError where it could not look (no descriptor left), which is not the same as nobody being there.
    """
    nobody = Members("", [])
    try:
        with Directory(path) as directory:
            data = directory.read("cgroup.procs")
            pids = [] if isinstance(data, Absent) else parse_pids(data)[:limit]
            if not pids and not isinstance(data, Absent) and b"0" in data.split():
                return Members(f"{path}/cgroup.procs", [], True)
            if pids or depth >= _DEPTH:
                return Members(f"{path}/cgroup.procs", pids)
            names = [name for name, _ in directory.children()][:limit]
    except (CgroupGone, PermissionError):
        return nobody
    for name in names:
        found = members_below(f"{path}/{name}", limit, depth + 1)
        if found.pids or found.foreign:
            return found
    return nobody


class Population(NamedTuple):
    """How many processes there are, some of them, and the file that lists those."""

    number: int
    path: str
    pids: list[int]


_SOME = 3


def population(path: str, depth: int) -> Population:
    with Directory(path) as directory:
        data = directory.read("cgroup.procs")
        pids = [] if isinstance(data, Absent) else parse_pids(data)
        # A directory has a link from each one below; a file system that does not count them says 1.
        below = os.fstat(directory.fd).st_nlink != 2 and depth < _DEPTH
        names = [name for name, _ in directory.children()] if below else []
    found = Population(len(pids), f"{path}/cgroup.procs" if pids else "", pids[:_SOME])
    for name in names:
        with suppress(CgroupGone):
            inner = population(f"{path}/{name}", depth + 1)
            found = Population(found.number + inner.number, *(found[1:] if found.pids else inner[1:]))
    return found
