"""Traffic of a container: net/dev of one of its live processes, each namespace read once in a pass.

A namespace is known without any right to trace: the inode of /proc/<pid>/net/dev is the same for every process of one
namespace and different between namespaces.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from cgroupfs import Absent, Cgroup, CgroupGone, Descriptors, Members, ParseError, Root
from cgroupfs.pseudofs import raise_exhausted, read_rest, release

from ..host.procfs.net_dev import LIMIT, Listed, parse_traffic
from ..host.procfs.process import DESCRIPTORS, Process

T = TypeVar("T")


class Traffic(NamedTuple):
    """Bytes over all interfaces but ``lo``; None with the reason where there is no figure."""

    rx_bytes: int | None
    tx_bytes: int | None
    reason: Absent | None
    namespace: int | None
    """Identity of the network namespace: containers with the same one share the figure."""
    read_ns: int = 0
    """When (monotonic) the figures were read. Of a large file that may have been in an earlier pass."""


_PAGE = 4096
_SHORT = _PAGE - 512
"""Bytes. seq_file hands out whole lines until its page is full: a shorter read is the end of the file, not of the
page."""
_TRIES = 3
_CHECK_NS = 5_000_000_000
_NS_PER_BYTE = 2_000
"""How long the figures of a namespace with many interfaces are kept: 0.5 MB of text a second and namespace, some 2 % of
a core, however many interfaces there are (an ordinary file has 500 bytes: 1 ms)."""
_LONGEST_NS = 10_000_000_000


def _absent(reason: Absent, namespace: int | None = None) -> Traffic:
    return Traffic(None, None, reason, namespace)


def host_network(traffic: Traffic) -> Traffic:
    """The traffic of a container whose runtime gave it the host's network, or the engine's own."""
    return _absent(Absent.HOST_NETWORK, traffic.namespace)


Kept = tuple[int, Traffic]
"""Figures that serve some passes, and until when (monotonic)."""


class Namespaces:
    """The figures of one pass, by namespace; and which namespace is the host's."""

    __slots__ = ("_figures", "_hosts", "_large", "_root", "host", "listed", "monotonic_ns")

    def __init__(self, root: Root, engines: frozenset[int] = frozenset(), before: int | None = None) -> None:
        """``engines``: namespaces in which an engine itself runs, which count as the host's too; ``before``: the host's
        as it was known earlier, for when it cannot be looked at."""
        self._root = root
        self._large: dict[int, Kept] = {}
        self.monotonic_ns = root.clock().monotonic_ns
        self._figures: dict[int, Traffic] = {}
        self.listed: dict[int, Listed] = {}
        """The interfaces themselves, for readers of the detail."""
        try:
            self.host: int | None = root.identity("/proc/1/net/dev").inode
        except OSError as error:
            raise_exhausted(error, "/proc/1/net/dev")
            self.host = before  # none with hidepid, or in a tree without it: no namespace counts as the host's
        self._hosts = engines if self.host is None else engines | {self.host}

    def is_host(self, inode: int) -> bool:
        """Whether a namespace is the host's, or one that an engine itself runs in."""
        return inode in self._hosts

    def read(self, process: Process, namespace: int | None = None) -> Traffic:
        """The process' traffic. Raises CgroupGone when it died, OSError, ParseError (with the path).

        ``namespace``, where it is known already, is not looked at again.
        """
        fd = process.open_net_dev()
        try:
            inode = self._root.identity(process.net_dev, fd).inode if namespace is None else namespace
            if inode in self._hosts:
                return _absent(Absent.HOST_NETWORK, inode)
            figure = self._figures.get(inode)
            if figure is None:
                kept = process.large
                fresh = kept is not None and self.monotonic_ns < kept[0]
                figure = kept[1] if kept is not None and fresh else self._figure(process, inode, fd)
                self._figures[inode] = figure
            if self._large and inode in self._large:
                process.large = self._large[inode]
            return figure
        except ParseError as error:
            raise ParseError(error.what, process.net_dev, error.line, error.reason) from None
        finally:
            release(fd)

    def _figure(self, process: Process, inode: int, fd: int) -> Traffic:
        """Parsed only if the text changed: most containers' network is silent most seconds."""
        data = os.read(fd, _PAGE)
        if len(data) > _SHORT:
            return self._large_figure(inode, fd, data)
        text, figures = process.net_dev_seen
        if data != text:
            figures = parse_traffic(data)
            process.net_dev_seen = data, figures
        return Traffic(*figures, None, inode, self.monotonic_ns)

    def _large_figure(self, inode: int, fd: int, data: bytes) -> Traffic:
        """Kept for a time that grows with its size: the containers of that namespace pay for it with older figures, no
        others."""
        size = LIMIT
        try:
            data = read_rest(fd, data, LIMIT)
            size = len(data)
            found = Traffic(*parse_traffic(data), None, inode, self.monotonic_ns)
        except ParseError as error:
            found = _absent(error.reason, inode)
        self._large[inode] = self.monotonic_ns + min(size * _NS_PER_BYTE, _LONGEST_NS), found
        return found


class ProcessFinder:
    """Holds one live process of a cgroup, and finds another when that one ended or moved elsewhere."""

    __slots__ = (
        "_cgroup",
        "_check_ns",
        "_closed",
        "_descriptors",
        "_namespace",
        "_process",
        "_root",
        "_unseen",
        "seen",
    )

    def __init__(self, root: Root, cgroup: Cgroup, descriptors: Descriptors) -> None:
        self._root = root
        self._descriptors = descriptors
        self._cgroup = cgroup
        self._closed = False
        self._process: Process | None = None
        self._check_ns = 0
        """When to check it again; 0: at once."""
        self._namespace: int | None = None
        """Its network namespace, once two looks saw the same."""
        self._unseen = Absent.NO_PROCESS
        self.seen = False
        """Whether the cgroup ever had a process: if it had one and has none any more it is stopping."""

    def traffic(self, namespaces: Namespaces) -> Traffic:
        """The container's traffic; absent with a reason where no process can be asked. Raises Exhausted.

        NO_PROCESS: its cgroup lists none. No other trouble with its network says anything of the container's end.
        """
        if self._closed:
            raise CgroupGone(self._cgroup.path)
        if namespaces.monotonic_ns < self._check_ns and self._descriptors.used < self._descriptors.limit:
            with suppress(CgroupGone, ParseError, OSError):  # the usual way; a failure is looked into below
                return namespaces.read(self._process, self._namespace)  # type: ignore[arg-type]  # held till _check_ns
        traffic = self._look(namespaces)
        if self._process is not None and self._descriptors.used >= self._descriptors.limit:
            self._release()
        return traffic or _absent(self._unseen)

    def ask(self, read: Callable[[Process], T], namespaces: Namespaces) -> T | None:
        """What ``read`` finds of the process that is held; None: none is held, or it is gone or in another cgroup.

        Raises Exhausted.
        """
        if self._process is None and not self._closed and self._descriptors.used < self._descriptors.limit:
            self._find(namespaces, set())
        if self._process is not None:
            with suppress(CgroupGone, OSError):
                found = read(self._process)
                if self._process.stayed():
                    return found
            self._release()
        return None

    def _look(self, namespaces: Namespaces) -> Traffic | None:
        """Ask a few processes, each once; None: :attr:`_unseen` says why none of them answers."""
        asked: set[int] = set()
        for _ in range(_TRIES):
            if self._process is None:
                self._find(namespaces, asked)
            if self._process is None:
                return None
            asked.add(self._process.pid)
            traffic = self._ask(self._process, namespaces)
            if traffic is not None:
                return traffic
            self._release()
        self._unseen = self._why(self._cgroup.members(1), namespaces)
        return None

    def _ask(self, process: Process, namespaces: Namespaces) -> Traffic | None:
        """None: the process ended or moved to another cgroup meanwhile.

        Each reading tells whether it lives. Whether it moved, or changed its network namespace, is checked after the
        first reading and then once in a while.
        """
        try:
            traffic = namespaces.read(process)
        except CgroupGone:
            return None
        except ParseError as error:
            traffic = _absent(error.reason)
        except PermissionError:
            traffic = _absent(Absent.PERMISSION)
        except OSError:
            traffic = _absent(Absent.READ_FAILED)
        if namespaces.monotonic_ns >= self._check_ns:
            if self._check_ns:  # not at once: a service's process is in its cgroup before it leaves the host's network
                self._namespace = traffic.namespace
            self._check_ns = namespaces.monotonic_ns + _CHECK_NS
            return traffic if process.stayed() else None
        return traffic

    def _find(self, namespaces: Namespaces, asked: set[int]) -> None:
        """Hold a process that is in the cgroup before and after it was opened: its pid may be reused in between."""
        members = self._cgroup.members()
        for pid in members.pids:
            self.seen = True
            if pid in asked:
                continue
            with suppress(CgroupGone, OSError):
                self._process = Process(self._root, pid, members.path)
                self._check_ns = 0
                self._descriptors.used += DESCRIPTORS
                return
        if members.pids:  # they may all have ended meanwhile
            members = self._cgroup.members(1)
        self._unseen = self._why(members, namespaces)

    @staticmethod
    def _why(members: Members, namespaces: Namespaces) -> Absent:
        """Why none of a cgroup's processes has told its network."""
        if members.foreign:
            return Absent.FOREIGN
        if members.pids:
            return Absent.HIDDEN if namespaces.host is None else Absent.NO_NETWORK
        return Absent.NO_PROCESS if members.whole else Absent.TOO_MANY

    def close(self) -> None:
        """Release the process, for good."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = self._namespace = None
            self._check_ns = 0
            self._descriptors.used -= DESCRIPTORS
