"""A write that arrives as it was made: one segment, neither joined with the next one nor cut at the window's edge.

MSG_EOR keeps the kernel from adding to data that it has not sent yet. If a write did not fit into the peer's receive
window, the kernel would cut it there as soon as it probes (0.2 s later). So it waits until the peer has room.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

_SIOCOUTQ = 0x5411
"""linux/sockios.h: bytes that the peer has not acknowledged."""
_SND_WND = struct.Struct("=228xI")
"""linux/tcp.h, tcp_info.tcpi_snd_wnd: the window that the peer announced last, in bytes (5.4)."""
UNLIMITED = sys.maxsize
_MOST_BYTES = 1 << 14
_ETHERNET_BYTES = 1400


class SegmentSocket(socket.socket):
    """A socket whose writes may be told to stay apart."""

    __slots__ = ("apart",)

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.apart = 0

    def keep_apart(self) -> None:
        """From now on each write begins a segment."""
        if self.family in (socket.AF_INET, socket.AF_INET6):
            self.apart = socket.MSG_EOR

    def send(self, data: Any, flags: int = 0) -> int:
        """As socket.send."""
        return super().send(data, flags | self.apart)

    def sendmsg(self, buffers: Iterable[Any], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None) -> int:
        """As socket.sendmsg."""
        return super().sendmsg(buffers, ancdata, flags | self.apart, address)


def segment_bytes(connection: Any) -> int:
    """How much one segment to this peer holds; None or a unix socket: a write of any length arrives as it is."""
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return _MOST_BYTES
    try:
        return max(1, int(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)))
    except OSError:
        return _ETHERNET_BYTES


class Window:
    """The peer's receive window. It does not shrink, so it is asked for only when its known free part is used up."""

    def __init__(self, connection: Any) -> None:
        self._socket = connection
        self._known = connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6)
        self._free = 0

    def free(self, wanted: int) -> int:
        """How many bytes may be written now, at least ``wanted`` where that is possible."""
        if not self._known:
            return UNLIMITED
        if self._free < wanted:
            self._free = self._ask()
        return self._free

    def used(self, size: int) -> None:
        """So many bytes were written."""
        self._free -= size

    def _ask(self) -> int:
        try:
            # The other way round, what is acknowledged in between would count as free twice. Now it counts as taken.
            queued = fcntl.ioctl(self._socket.fileno(), _SIOCOUTQ, b"\0\0\0\0")
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SND_WND.size)
            if len(info) == _SND_WND.size:
                return int(_SND_WND.unpack(info)[0]) - int.from_bytes(queued, sys.byteorder)
        except OSError:
            pass  # closed: writing says so
        self._known = False
        return UNLIMITED

    def probe(self) -> None:
        """Have the kernel ask the peer each second, as it does by itself only where something is queued.

        The peer's word that there is room again may be lost.
        """
        with suppress(OSError):
            for level, option, value in (
                (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
                (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            ):
                self._socket.setsockopt(level, option, value)
