"""A listening socket of ours: every connection is counted from accept to close, TLS handshakes included.

asyncio's own server counts nothing, gives a handshake a minute, and holds on to the certificate it was started with.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import cast

from aiohttp import web

from ...basics.once_in_a_while import OnceInAWhile
from .gate import Gate, Seat
from .handler import Handler
from .limits import KERNEL_BUFFER_BYTES, MAX_REFUSALS
from .lobby import Lobby
from .peer import address_key, is_loopback
from .refusal import TOO_MANY, Refusal
from .segments import SegmentSocket
from .tls import Certificates

log = logging.getLogger(__name__)
BACKLOG = 4096
_ACCEPTS = 64
"""At one go: the event loop has other things to do."""
_SHUTDOWN_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts on one socket until closed. To aiohttp's sites it is a server: they use ``close`` and ``sockets``."""

    def __init__(self, server: web.Server, sock: socket.socket, gate: Gate, tls: Certificates | None) -> None:
        self.sockets = [sock]
        self._server, self._sock, self._gate, self._tls = server, sock, gate, tls
        self._loop = asyncio.get_running_loop()
        self._loopback = is_loopback(sock.getsockname())
        self._once_in_a_while = OnceInAWhile()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[Lobby] = set()
        """The connections whose clients have not said anything yet."""
        self._resume_timer: asyncio.TimerHandle | None = None
        self._open()

    def _open(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more. Open connections stay open."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock.fileno())
        if self._resume_timer is not None:
            self._resume_timer.cancel()
        for task in self._tasks:
            task.cancel()
        for each in list(self._waiting):
            each.close()
        self._sock.close()
        self.sockets = []

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, where = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                if self._once_in_a_while.due("exhausted"):
                    log.error("cannot accept a connection: %s", error.strerror)
                self._loop.remove_reader(self._sock.fileno())
                self._resume_timer = self._loop.call_later(_PAUSE_SECONDS, self._open)
                return
            key = address_key(where, sock)
            self._gate.account.charged(key, self._welcome, SegmentSocket(sock), key)

    def _welcome(self, sock: SegmentSocket, key: str) -> None:
        sock.setblocking(False)
        gate = self._gate
        seat = gate.admit(key)
        if seat is not None:
            seconds, go_on = gate.limits.request_seconds, partial(self._serve, sock, seat, key)
            wait = partial(gate.account.wait_seconds, key)
            self._waiting.add(Lobby(self._loop, sock, seat, seconds, go_on, self._waiting.discard, wait))
            return
        if self._once_in_a_while.due(key):
            log.warning("address=%s too many connections: open=%d", key, gate.open)
        if gate.refusing >= MAX_REFUSALS:
            with suppress(OSError):  # no waiting for it to ask; most clients will read this all the same
                if self._tls is None:
                    sock.send(TOO_MANY)
            sock.close()
            return
        gate.refusing += 1
        self._begin(sock, Refusal(self._loop, gate), key)

    def _serve(self, sock: SegmentSocket, seat: Seat, key: str, until: float) -> None:
        gate = self._gate
        handler = Handler(
            self._server, self._loop, gate.limits, seat, gate.account, self._loopback, until, sock, self._tls
        )
        seat.cut = self._begin(sock, handler, key).cancel  # while its handshake goes on

    def _begin(self, sock: SegmentSocket, protocol: Handler | Refusal, key: str) -> asyncio.Task[None]:
        task = self._loop.create_task(self._attach(sock, protocol, key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _attach(self, sock: socket.socket, protocol: Handler | Refusal, key: str) -> None:
        made = False
        self._gate.account.charge_to(key)
        try:
            self._tune(sock)
            context = None if self._tls is None else self._tls.context()
            timeouts = {} if context is None else {
                "ssl_handshake_timeout": self._gate.limits.request_seconds, "ssl_shutdown_timeout": _SHUTDOWN_SECONDS,
            }  # fmt: skip
            await self._loop.connect_accepted_socket(lambda: protocol, sock, ssl=context, **timeouts)
            made = True
        except (OSError, TimeoutError) as error:
            if self._once_in_a_while.due(f"{key} {type(error).__name__}"):
                reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
                log.info("address=%s no connection: %s", key, reason or type(error).__name__)
        finally:
            if not made:
                protocol.count_out()  # the protocol may never have heard of the connection

    def _tune(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # The kernel gives up on a peer that is gone, or that is there and takes no bytes.
            milliseconds = int(self._gate.limits.send_seconds * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


class Listener(web.BaseSite):
    """A site of aiohttp's that accepts through an Acceptor. The socket is bound already, or passed in by systemd."""

    def __init__(self, runner: web.AppRunner, sock: socket.socket, gate: Gate, tls: Certificates | None = None) -> None:
        super().__init__(runner, backlog=BACKLOG)
        self._sock, self._gate, self._tls = sock, gate, tls

    @property
    def name(self) -> str:
        """Where it listens."""
        if self._sock.family == socket.AF_UNIX:
            return f"unix:{self._sock.getsockname()}"
        host, port = self._sock.getsockname()[:2]
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    async def start(self) -> None:
        """Accept from now on."""
        await super().start()
        server = cast(web.Server, self._runner.server)  # super() has looked that there is one
        self._sock.setblocking(False)
        self._sock.listen(self._backlog)
        acceptor = Acceptor(server, self._sock, self._gate, self._tls)
        self._server = cast(asyncio.AbstractServer, acceptor)


def bind(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of a host name. Raises OSError."""
    bound: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            bound.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(where)
    except OSError:
        for sock in bound:
            with suppress(OSError):
                sock.close()
        raise
    return bound


class UnixSocket(socket.socket):
    """A unix socket that is bound, and takes its path with it when it is closed: where the path stays, clients find a
    socket that nobody answers. Raises OSError."""

    def __init__(self, path: str) -> None:
        super().__init__(socket.AF_UNIX)
        self._path = path
        self._made: tuple[int, int] | None = None
        try:
            self.bind(path)
            self._made = _identity(path)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Remove the path, unless it is somebody else's by now. While this is open, no other file has its inode."""
        with suppress(OSError):
            if self._made is not None and self._made == _identity(self._path):
                os.unlink(self._path)
        self._made = None
        super().close()


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino
