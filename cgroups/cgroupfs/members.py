"""The processes of a cgroup and of those below it: cgroup.procs (since 2.6.24; v2: of a threaded cgroup EOPNOTSUPP).

A container may make any number of cgroups inside its own, as deep as it likes: what is looked into is bounded
(:data:`MOST_CGROUPS`), and where that is not all there is, the answer says so.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from .absent import Absent
from .errors import CgroupGone
from .formats import parse_pids
from .pseudofs import Directory

MOST_CGROUPS = 256
"""Cgroups that one look goes into, the first included: some 10 ms. An engine inside a container has a few dozen."""
_DEPTH = 8
_SOME = 16
"""So many processes are asked for what any of them knows: the first of them may be dying."""


class Members(NamedTuple):
    """Processes of a cgroup, and the file that lists them."""

    path: str
    pids: list[int]
    foreign: bool = False
    """Whether there are processes that the reader's PID namespace has no number for (listed as 0)."""
    whole: bool = True
    """Whether every cgroup below was looked into, where none of them listed a process."""


class Population(NamedTuple):
    """The number of processes, some of them, and the file that lists those."""

    number: int
    path: str
    pids: list[int]
    whole: bool = True
    """False: there are more, in cgroups that were not looked into, or further down a list that is too long."""
    listed: tuple[int, ...] = ()
    """The processes of all these cgroups, as many as were asked for."""


class Walk:
    """How many more cgroups one look may go into, over all trees; the container's own in each tree is free."""

    __slots__ = ("left", "listed", "most", "whole")

    def __init__(self, most: int = 0) -> None:
        """``most``: so many processes are listed."""
        self.left = MOST_CGROUPS
        self.most = most
        self.listed: list[int] = []
        """The processes of the cgroups of one tree that were looked into."""
        self.whole = True
        """Whether nothing was left out in the tree that is looked at."""

    def enter(self) -> bool:
        """Whether one more may be looked into."""
        if self.left <= 0:
            self.whole = False
            return False
        self.left -= 1
        return True

    def below(self, directory: Directory, depth: int) -> list[str]:
        """The cgroups directly below that may be looked into. Raises OSError."""
        # A directory has a link from each one below; a file system that does not count them says 1.
        if os.fstat(directory.fd).st_nlink == 2:
            return []
        names = directory.some(self.left + 1 if depth < _DEPTH else 1)
        if depth >= _DEPTH and names:
            self.whole = False
            return []
        return names


def members(path: str, limit: int, walk: Walk) -> Members:
    """Up to ``limit`` processes of the directory at ``path``, else of the first descendant that has one.

    Raises Exhausted, OSError where it could not look, which is not the same as finding no process.
    """
    walk.whole = True
    found = _members(path, limit, 0, walk)
    return found or Members("", [], whole=walk.whole)


def _members(path: str, limit: int, depth: int, walk: Walk) -> Members | None:
    """Depth-first, so that the first descendant that has a process is enough; None: it has none."""
    procs = f"{path}/cgroup.procs"
    try:
        with Directory(path) as directory:
            data = directory.read_lines("cgroup.procs")
            listed = b"" if isinstance(data, Absent) else data[0]
            pids = parse_pids(listed)[:limit]
            if pids:
                return Members(procs, pids)
            if b"0" in listed.split():
                return Members(procs, [], True)
            names = walk.below(directory, depth)
    except (CgroupGone, PermissionError):
        return None
    for name in names:
        found = _members(f"{path}/{name}", limit, depth + 1, walk) if walk.enter() else None
        if found is not None:
            return found
    return None


def population(where: Directory | str, walk: Walk) -> Population:
    """All processes of a directory (open already, or by its real path) and below it, counted. Raises CgroupGone,
    Exhausted, OSError."""
    walk.whole, walk.listed = True, []
    if isinstance(where, Directory):
        found = _population(where, 0, walk)
    else:
        with Directory(where) as directory:
            found = _population(directory, 0, walk)
    return found._replace(whole=walk.whole, listed=tuple(walk.listed))


def _population(directory: Directory, depth: int, walk: Walk) -> Population:
    data = directory.read_lines("cgroup.procs")
    listed, whole = (b"", True) if isinstance(data, Absent) else data
    walk.whole = walk.whole and whole
    pids = parse_pids(listed)
    walk.listed += pids[: walk.most - len(walk.listed)]
    number, where, some = len(pids), f"{directory.path}/cgroup.procs" if pids else "", pids[:_SOME]
    for name in walk.below(directory, depth):
        if not walk.enter():
            break
        try:
            with Directory(f"{directory.path}/{name}") as below:
                inner = _population(below, depth + 1, walk)
        except CgroupGone:
            continue
        number += inner.number
        if not some:
            where, some = inner.path, inner.pids
    return Population(number, where, some)
