"""Traffic of a container: net/dev of one of its live processes, each namespace read once in a pass.

A namespace is known without any right to trace: the inode of /proc/<pid>/net/dev is the same for every process of one
namespace and different between namespaces.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from cgroupfs import Absent, ParseError, Root
from cgroupfs.pseudofs import Pieces, raise_exhausted, release

from ..host.procfs.net_dev import LIMIT, Listed, parse_traffic
from ..host.procfs.process import Process


class Traffic(NamedTuple):
    """Bytes over all interfaces but ``lo``; None with the reason where there is no figure."""

    rx_bytes: int | None
    tx_bytes: int | None
    reason: Absent | None
    namespace: int | None
    """Identity of the network namespace: containers with the same one share the figure."""
    read_ns: int = 0
    """When (monotonic) the figures were read. Of a large file that may have been in an earlier pass."""


PAGE = 4096
SHORT = PAGE - 512
"""Bytes. seq_file hands out whole lines until its page is full: a shorter read is the end of the file, not of the
page."""
_NS_PER_BYTE = 2_000
"""How long the figures of a namespace with many interfaces are kept: 0.5 MB of text a second and namespace, some 2 % of
a core, however many interfaces there are (an ordinary file has 500 bytes: 1 ms)."""
_LONGEST_NS = 10_000_000_000


def absent(reason: Absent, namespace: int | None = None) -> Traffic:
    """No figures, and why."""
    return Traffic(None, None, reason, namespace)


def host_network(traffic: Traffic) -> Traffic:
    """The traffic of a container whose runtime gave it the host's network, or the engine's own."""
    return absent(Absent.HOST_NETWORK, traffic.namespace)


Kept = tuple[int, Traffic]
"""Figures that serve some passes, and until when (monotonic)."""


class Namespaces:
    """The figures of one pass, by namespace; and which namespace is the host's."""

    __slots__ = ("_figures", "_hosts", "_large", "_now", "_root", "host", "listed", "monotonic_ns")

    def __init__(self, root: Root, engines: frozenset[int] = frozenset(), before: int | None = None) -> None:
        """``engines``: namespaces in which an engine itself runs, which count as the host's too; ``before``: the host's
        as it was known earlier, for when it cannot be looked at."""
        self._root = root
        self._now = root.monotonic("")
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
                return absent(Absent.HOST_NETWORK, inode)
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
        data, read_ns = os.read(fd, PAGE), self._now()
        if len(data) > SHORT:
            return self._large_figure(inode, fd, data, read_ns)
        text, figures = process.net_dev_seen
        if data != text:
            figures = parse_traffic(data)
            process.net_dev_seen = data, figures
        return Traffic(*figures, None, inode, read_ns)

    def _large_figure(self, inode: int, fd: int, data: bytes, read_ns: int) -> Traffic:
        """Kept for a time that grows with its size: the containers of that namespace pay for it with older figures, no
        others."""
        pieces = Pieces(fd, data, LIMIT)
        try:
            found = Traffic(*parse_traffic(pieces), None, inode, read_ns)
        except ParseError as error:
            found = absent(error.reason, inode)
        self._large[inode] = self.monotonic_ns + min(pieces.size * _NS_PER_BYTE, _LONGEST_NS), found
        return found
