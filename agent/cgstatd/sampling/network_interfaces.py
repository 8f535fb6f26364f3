"""The interfaces of a container with all their counters, and the sums: what the figures of a pass are made of."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NamedTuple

from cgroupfs import Absent, CgroupGone, ParseError, Population, Root
from cgroupfs.pseudofs import Pieces, release

from ..host.procfs.net_dev import LIMIT, Listed, list_net_dev
from ..host.procfs.process import Process
from .network import PAGE, SHORT, Namespaces
from .process_finder import ProcessFinder

_REASONS = {errno.EACCES: Absent.PERMISSION, errno.EPERM: Absent.PERMISSION}


class Interfaces(NamedTuple):
    """``lo`` is left out, as in the sums. None: see ``reason``."""

    listed: Listed | None
    reason: Absent | None
    source: str
    """The file that was read (host path)."""
    namespace: int | None


def read_interfaces(
    root: Root,
    populated: Callable[[], Population],
    namespaces: Namespaces,
    finder: ProcessFinder | None = None,
    listed: Collection[int] = (),
) -> Interfaces:
    """The interfaces in the network namespace of one of a cgroup's processes: first of the one that ``finder`` holds.

    ``populated`` lists the processes; asked only where that one does not answer. ``listed``: see
    :meth:`ProcessFinder.ask`. Raises Exhausted, and what ``populated`` raises.
    """
    if finder is not None:
        held = finder.ask(lambda process: _of(root, process, namespaces), namespaces, listed)
        if held is not None and held.reason in (None, Absent.HOST_NETWORK):
            return held
    population = populated()
    reason = Absent.NO_NETWORK if population.pids else Absent.NO_PROCESS if population.whole else Absent.TOO_MANY
    failed = Interfaces(None, reason, population.path or "cgroup.procs", None)
    for pid in population.pids:
        with suppress(CgroupGone):  # it has ended, or its pid was another process's by then
            try:
                found = _read(root, pid, population.path, namespaces)
            except OSError as error:
                reason = _REASONS.get(error.errno or 0, Absent.READ_FAILED)
                failed = Interfaces(None, reason, f"/proc/{pid}/net/dev", None)
            else:
                if found.reason is None or found.reason is Absent.HOST_NETWORK:
                    return found
                failed = found
    return failed


def _read(root: Root, pid: int, procs: str, namespaces: Namespaces) -> Interfaces:
    """Raises CgroupGone where the process is not in its cgroup before and after; Exhausted, OSError."""
    process = Process(root, pid, procs)
    try:
        found = _of(root, process, namespaces)
        if not process.stayed():
            raise CgroupGone(process.path)
        return found
    finally:
        process.close()


def _of(root: Root, process: Process, namespaces: Namespaces) -> Interfaces:
    """Raises CgroupGone, Exhausted, OSError."""
    fd = process.open_net_dev()  # not kept open: it would hold the namespace
    try:
        return _parsed(root, fd, process, namespaces)
    finally:
        release(fd)


def _parsed(root: Root, fd: int, process: Process, namespaces: Namespaces) -> Interfaces:
    """Parsed only if the text changed: most containers' network is silent most of the time."""
    path = process.net_dev
    inode = root.identity(path, fd).inode
    if namespaces.is_host(inode):
        return Interfaces(None, Absent.HOST_NETWORK, path, inode)
    found = namespaces.listed.get(inode)
    if found is None:
        try:
            data = os.read(fd, PAGE)
            text, found = process.interfaces_seen
            if found is None or data != text:
                whole = len(data) <= SHORT
                found = list_net_dev(data if whole else Pieces(fd, data, LIMIT))
                process.interfaces_seen = (data, found) if whole else (b"", None)
        except ParseError as error:
            return Interfaces(None, error.reason, path, inode)
        namespaces.listed[inode] = found
    return Interfaces(found, None, path, inode)
