"""Every interface of a container with all its counters: what the sums of a pass are made of, for who wants to see it."""

from __future__ import annotations

import os
from typing import NamedTuple

from cgroupfs import Absent, Cgroup, CgroupGone, ParseError, Root

from .network import Namespaces
from .procfs.net_dev import Interface, parse_net_dev
from .procfs.process import Process

_BYTES = 1 << 16
_TRIES = 3


class Interfaces(NamedTuple):
    """``lo`` is left out, as in the sums. None: see ``reason``."""

    interfaces: tuple[Interface, ...] | None
    reason: Absent | None
    source: str
    """The file that was read (host path)."""
    namespace: int | None


def read_interfaces(root: Root, cgroup: Cgroup, namespaces: Namespaces) -> Interfaces:
    """The interfaces in the network namespace of one of the cgroup's processes."""
    members = cgroup.members(_TRIES)
    failed = Interfaces(None, Absent.NO_PROCESS, members.path, None)
    for pid in members.pids:
        try:
            process = Process(root, pid, members.path)
        except (CgroupGone, OSError):
            continue
        try:
            found = _read(root, process, namespaces)
            if process.stayed():
                return found
        except CgroupGone:
            continue
        except ParseError:
            failed = failed._replace(reason=Absent.MALFORMED, source=process.net_dev)
        except PermissionError:
            failed = failed._replace(reason=Absent.PERMISSION, source=process.net_dev)
        except OSError:
            failed = failed._replace(reason=Absent.READ_FAILED, source=process.net_dev)
        finally:
            process.close()
    return failed


def _read(root: Root, process: Process, namespaces: Namespaces) -> Interfaces:
    fd = process.open_net_dev()
    try:
        inode = root.identity(process.net_dev, fd).inode
        if namespaces.is_host(inode):
            return Interfaces(None, Absent.HOST_NETWORK, process.net_dev, inode)
        data = b""
        while chunk := os.read(fd, _BYTES):
            data += chunk
    finally:
        os.close(fd)
    found = tuple(each for each in parse_net_dev(data) if each.name != "lo")
    return Interfaces(found, None, process.net_dev, inode)
