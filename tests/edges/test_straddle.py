"""No event is lost, however the client's reads and the agent's writes fall together. At length, and over an Ethernet:
tools/attacks/straddle.py."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from certificates import authority, issue
from cgstatd.web.server.listener import Listener, UnixSocket
from cgstatd.web.server.tls import Certificates
from edges.frontend import READ_BYTES, FrontEnd
from fakehost import FakeHost
from wire import STREAM, serving

CONTAINERS = 400
"""Twice what loses events where writes are only whole."""


class Reader(NamedTuple):
    """Seconds before the first read and between reads."""

    first: float = 0.0
    between: float = 0.0
    size: int = READ_BYTES


READERS = (Reader(), Reader(0.5, 0.003), Reader(0.3, 0, 4096))


def read(connect: Callable[[], socket.socket], reader: Reader) -> FrontEnd:
    """One round of the stream."""
    end = FrontEnd()
    with connect() as sock:
        sock.settimeout(60)
        sock.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(reader.first)
        while data := sock.recv(reader.size):
            end.read(data)
            time.sleep(reader.between)
    return end


@pytest.mark.parametrize("transport", ["loopback", "unix socket", "TLS"])
async def test_a_front_end_loses_no_event(transport: str, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    for number in range(CONTAINERS):
        host.add(f"front-end-{number}", memory=1_234_567_890, rx=12_345_678_901, tx=9_876_543_210)
    ca = authority(tmp_path, "ca")
    pair = issue(tmp_path, "server", ca, "localhost")
    context = ssl.create_default_context(cafile=ca.cert)
    path = f"{tmp_path}/socket"
    certificates = Certificates(pair.cert, pair.key) if transport == "TLS" else None
    async with serving(host.sampler(), freshness=0.05, tls=certificates) as server:

        def connect() -> socket.socket:
            if transport == "unix socket":
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(path)
                return sock
            sock = socket.create_connection(("127.0.0.1", server.port))
            return context.wrap_socket(sock, server_hostname="localhost") if certificates else sock

        if transport == "unix socket":
            await Listener(server.runner, UnixSocket(path), server.gate).start()
        for reader in READERS:
            found = await asyncio.to_thread(read, connect, reader)
            assert (found.handled, found.done) == (CONTAINERS, True), (reader, found.sizes)


def test_this_front_end_loses_what_the_real_one_loses() -> None:
    event = b"26\r\nevent: stat\ndata: {}                \n\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + event * 2 + b"0\r\n\r\n"
    for cut in range(1, len(whole)):
        end = FrontEnd()
        end.read(whole[:cut])
        end.read(whole[cut:])
        inside = (cut - len(head)) % len(event)
        torn = len(head) < cut < len(head) + 2 * len(event) and 4 + 12 <= inside < 4 + 12 + 25
        assert end.ended and end.handled == 2 - torn, cut
