"""How much of the peer's window is free, whatever it acknowledges meanwhile."""

from __future__ import annotations

import fcntl
import socket
import struct

import pytest

from cgstatd.web.server.segments import Window

KIB = 1024


class Connection:
    """A connection as the kernel shows it; the peer acknowledges after each question, and reads nothing."""

    family = socket.AF_INET

    def __init__(self, written: int, window: int) -> None:
        self.queued, self.window = written, window

    def _acknowledged(self) -> None:
        size = min(self.queued, 16 * KIB)
        self.queued, self.window = self.queued - size, self.window - size

    def fileno(self) -> int:
        return -1

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        found = bytes(228) + struct.pack("=I", self.window)
        self._acknowledged()
        return found[:size]

    def ioctl(self, _file: int, request: int, _room: bytes) -> bytes:
        assert request == 0x5411  # linux/sockios.h, SIOCOUTQ
        found = struct.pack("=I", self.queued)
        self._acknowledged()
        return found


def test_what_is_acknowledged_between_two_questions_does_not_count_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it did, a write went over the window's edge, the kernel cut it there, and the client lost an event."""
    connection = Connection(written=48 * KIB, window=51 * KIB)
    monkeypatch.setattr(fcntl, "ioctl", connection.ioctl)
    window = Window(connection)
    assert window.free(4 * KIB) <= 3 * KIB
    while connection.queued:
        assert window.free(4 * KIB) <= 3 * KIB
    assert window.free(4 * KIB) == 3 * KIB
