"""One link to a Dockhand server: opened, welcomed, and closed for good."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket as socket_module
import struct
import termios
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from .. import __version__
from ..basics.destination import Destination
from ..basics.interim_answers import FewInterim
from ..basics.text import printable
from . import messages
from .messages import MOST_BYTES, NotTheProtocol, decode
from .session import SEND_SECONDS, Ended, why_closed

PATH = "/api/hawser/connect"
CONNECT_SECONDS = 10.0
"""For the connection with TLS, and then for the welcome."""
CLOSE_SECONDS = 1.0
Socket = aiohttp.ClientWebSocketResponse[Any]


class Refused(Exception):
    """The server does not welcome the agent; one sentence."""

    def __init__(self, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


def address_of(url: str) -> str:
    """Where to connect: with Dockhand's path where the URL names none."""
    parts = urlsplit(url)
    return url if parts.path not in ("", "/") else parts._replace(path=PATH).geturl()


class Link:
    """An open connection on which the agent is welcome."""

    def __init__(self, socket: Socket, connection: socket_module.socket | None) -> None:
        """``connection``: the same over TCP, still open when the transport has closed its own descriptor."""
        self.socket, self._connection = socket, connection

    def acknowledged(self) -> bool:
        """Whether the server's host has every byte that was sent (tcp(7), SIOCOUTQ); also once it is cut."""
        if self._connection is None:
            return False
        try:
            unacknowledged = fcntl.ioctl(self._connection, termios.TIOCOUTQ, bytes(4))
        except OSError:
            return False
        return not any(unacknowledged)


@contextlib.asynccontextmanager
async def connect(destination: Destination, hello: bytes) -> AsyncIterator[Link]:
    """Say ``hello``, and wait for the welcome. Raises Refused, Ended, NotTheProtocol, and what aiohttp raises."""
    tls = await destination.tls()
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"cgstatd/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[_no_redirects()],
        response_class=FewInterim,
    ) as session:
        async with asyncio.timeout(CONNECT_SECONDS):
            socket = await session.ws_connect(
                address_of(destination.url),
                ssl=tls,
                autoping=False,  # a ping is a sign of life, too
                decode_text=False,
                max_msg_size=MOST_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
        sock = socket.get_extra_info("socket")
        _bound(sock)
        with _kept_open(sock) as kept:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await socket.send_frame(hello, aiohttp.WSMsgType.TEXT)
                    await _welcome(socket)
                yield Link(socket, kept)
            finally:
                try:
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
                except TimeoutError:  # a server that reads nothing does not read this either
                    _reset(sock)


@contextlib.contextmanager
def _kept_open(sock: socket_module.socket | None) -> Iterator[socket_module.socket | None]:
    """The same connection once more: the transport closes its own descriptor as soon as the link is cut."""
    kept = None
    if sock is not None:
        with contextlib.suppress(OSError):
            kept = sock.dup()
    try:
        yield kept
    finally:
        if kept is not None:
            kept.close()


def _bound(sock: socket_module.socket | None) -> None:
    """The kernel gives up on a server that is gone, or that is there and takes no bytes."""
    if sock is not None and sock.family in (socket_module.AF_INET, socket_module.AF_INET6):
        sock.setsockopt(socket_module.IPPROTO_TCP, socket_module.TCP_USER_TIMEOUT, int(SEND_SECONDS * 1000))


def _reset(sock: socket_module.socket | None) -> None:
    """What is still to be sent is given up: a transport that is closed would wait for it."""
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_LINGER, struct.pack("ii", 1, 0))
            sock.shutdown(socket_module.SHUT_RDWR)


def _no_redirects() -> aiohttp.TraceConfig:
    """The token is for the server that was named, and for no other to which that one points."""

    async def redirected(_session: object, _context: object, found: aiohttp.TraceRequestRedirectParams) -> None:
        found.response.close()
        raise Ended(f"no WebSocket there: HTTP {found.response.status}")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(redirected)
    return trace


async def _welcome(socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
    """Raises Refused, Ended, NotTheProtocol."""
    while True:
        found = await socket.receive()
        if found.type in (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
            continue
        if found.type is not aiohttp.WSMsgType.TEXT:
            sentence = why_closed(found, socket.close_code)
            raise Refused(sentence) if socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION else Ended(sentence)
        kind = decode(found.data, messages.Kind).type
        if kind == "welcome":
            return
        if kind == "error":
            said = decode(found.data, messages.Refusal)
            raise Refused(printable(said.message or said.error, 200) or "without a reason", said.retry_after)
        if kind != "ping":
            raise NotTheProtocol("the server asks before it has welcomed the agent")


def why_failed(error: Exception) -> str:
    """Why there is no connection, in words."""
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"no WebSocket there: HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not accepted: {printable(str(error.certificate_error), 200)}"
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return printable(str(error), 200) or type(error).__name__
