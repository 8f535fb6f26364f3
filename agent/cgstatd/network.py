"""Traffic of a container: net/dev of one of its live processes, each namespace read once in a pass.

A namespace is known without any right to trace: the inode of /proc/<pid>/net/dev is the same for every process of one
namespace and different between namespaces.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from cgroupfs import Absent, Cgroup, CgroupGone, Descriptors, ParseError, Root

from .procfs.net_dev import parse_traffic
from .procfs.process import DESCRIPTORS, Process


class Traffic(NamedTuple):
    """Bytes over all interfaces but ``lo``; None with the reason where there is no figure."""

    rx_bytes: int | None
    tx_bytes: int | None
    reason: Absent | None
    namespace: int | None
    """Identity of the network namespace: containers with the same one share the figure."""


_NET_DEV_BYTES = 1 << 16
_TRIES = 3


def _absent(reason: Absent, namespace: int | None = None) -> Traffic:
    return Traffic(None, None, reason, namespace)


def host_network(traffic: Traffic) -> Traffic:
    """The traffic of a container that its runtime gave the host's (or the engine's own) network."""
    return _absent(Absent.HOST_NETWORK, traffic.namespace)


class Namespaces:
    """The figures of one pass, by namespace; and which namespace is the host's."""

    __slots__ = ("_figures", "_root", "host")

    def __init__(self, root: Root) -> None:
        self._root = root
        self._figures: dict[int, Traffic] = {}
        try:
            self.host: int | None = root.identity("/proc/1/net/dev").inode
        except OSError:
            self.host = None  # hidepid, or a tree without it: no namespace is taken for the host's

    def read(self, process: Process) -> Traffic:
        """The process' traffic. Raises CgroupGone when it died, OSError, ParseError (with the path)."""
        fd = process.open_net_dev()
        path = f"{process.path}/net/dev"
        try:
            inode = self._root.identity(path, fd).inode
            if inode == self.host:
                return _absent(Absent.HOST_NETWORK, inode)
            figure = self._figures.get(inode)
            if figure is None:
                data = b""
                while chunk := os.read(fd, _NET_DEV_BYTES):
                    data += chunk
                figure = self._figures[inode] = Traffic(*parse_traffic(data), None, inode)
            return figure
        except ParseError as error:
            raise ParseError(error.what, path, error.line) from None
        finally:
            os.close(fd)


class ProcessFinder:
    """Holds one live process of a cgroup, and finds another when it is gone or has moved elsewhere."""

    __slots__ = ("_cgroup", "_descriptors", "_process", "_root", "seen")

    def __init__(self, root: Root, cgroup: Cgroup, descriptors: Descriptors) -> None:
        self._root = root
        self._descriptors = descriptors
        self._cgroup = cgroup
        self._process: Process | None = None
        self.seen = False
        """Whether the cgroup ever had a process: one that had and has none any more is stopping."""

    def traffic(self, namespaces: Namespaces) -> Traffic:
        """The container's traffic; absent with a reason where no process can be asked."""
        traffic = None
        for _ in range(_TRIES):
            process = self._process or self._find()
            if process is None:
                break
            traffic = self._ask(process, namespaces)
            if traffic is not None:
                break
            self.close()
        if self._process is not None and self._descriptors.used >= self._descriptors.limit:
            self.close()
        return traffic or _absent(Absent.NO_PROCESS)

    @staticmethod
    def _ask(process: Process, namespaces: Namespaces) -> Traffic | None:
        """None: the process is gone or has moved to another cgroup meanwhile."""
        try:
            traffic = namespaces.read(process)
        except CgroupGone:
            return None
        except ParseError:
            traffic = _absent(Absent.MALFORMED)
        except PermissionError:
            traffic = _absent(Absent.PERMISSION)
        except OSError:
            traffic = _absent(Absent.READ_FAILED)
        return traffic if process.stayed() else None

    def _find(self) -> Process | None:
        """A process that is in the cgroup both before and after it was opened (its pid may be reused in between)."""
        for pid in self._cgroup.procs():
            self.seen = True
            try:
                process = Process(self._root, pid)
            except (CgroupGone, OSError):
                continue
            if pid in self._cgroup.procs():
                self._process = process
                self._descriptors.used += DESCRIPTORS
                return process
            process.close()
        return None

    def close(self) -> None:
        """Release the process."""
        if self._process is not None:
            self._process.close()
            self._process = None
            self._descriptors.used -= DESCRIPTORS
