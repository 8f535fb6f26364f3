"""Every interface of a container with all its counters: what the sums of a pass are made of."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from cgroupfs import Absent, ParseError, Population, Root
from cgroupfs.formats import parse_pids

from .network import Namespaces
from .procfs.net_dev import Interface, parse_net_dev

_BYTES = 1 << 16
_GONE = (errno.ENOENT, errno.ESRCH)
_REASONS = {errno.EACCES: Absent.PERMISSION, errno.EPERM: Absent.PERMISSION}


class Interfaces(NamedTuple):
    """``lo`` is left out, as in the sums. None: see ``reason``."""

    interfaces: tuple[Interface, ...] | None
    reason: Absent | None
    source: str
    """The file that was read (host path)."""
    namespace: int | None


def read_interfaces(root: Root, population: Population, namespaces: Namespaces) -> Interfaces:
    """The interfaces in the network namespace of one of a cgroup's processes."""
    failed = Interfaces(None, Absent.NO_PROCESS, population.path or "cgroup.procs", None)
    for pid in population.pids:
        path = f"/proc/{pid}/net/dev"
        try:
            found = _read(root, path, namespaces)
        except ParseError:
            failed = Interfaces(None, Absent.MALFORMED, path, None)
        except OSError as error:
            if error.errno not in _GONE:
                failed = Interfaces(None, _REASONS.get(error.errno or 0, Absent.READ_FAILED), path, None)
        else:
            if _lists(population.path, pid):
                return found
    return failed


def _lists(path: str, pid: int) -> bool:
    """Whether the process is in its cgroup still: else what was read may be that of another with its pid."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        data = b""
        while chunk := os.read(fd, _BYTES):
            data += chunk
    except OSError:
        return False
    finally:
        os.close(fd)
    return pid in parse_pids(data)


def _read(root: Root, path: str, namespaces: Namespaces) -> Interfaces:
    fd = os.open(root.join(path), os.O_RDONLY | os.O_CLOEXEC)  # not kept: it would hold the namespace
    try:
        inode = root.identity(path, fd).inode
        if namespaces.is_host(inode):
            return Interfaces(None, Absent.HOST_NETWORK, path, inode)
        data = b""
        while chunk := os.read(fd, _BYTES):
            data += chunk
    finally:
        os.close(fd)
    found = tuple(each for each in parse_net_dev(data) if each.name != "lo")
    return Interfaces(found, None, path, inode)
