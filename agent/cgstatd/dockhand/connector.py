"""Keeps the connection: reads the token, connects, says hello, and tries again, each time after a longer while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket as socket_module
import ssl
import stat
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from .. import __version__
from ..basics.once_in_a_while import OnceInAWhile
from ..basics.text import printable
from ..basics.timing import Backoff, Time
from ..feed.engine import Engine
from ..feed.host_totals import HostTotals
from ..sampling.container import ReadingFailed
from ..sampling.registry import ListingFailed
from . import messages
from .messages import MOST_BYTES, NotTheProtocol, decode
from .outbox import Outbox
from .session import SEND_SECONDS, Ended, Session, why_closed

log = logging.getLogger(__name__)
PATH = "/api/hawser/connect"
CONNECT_SECONDS = 10.0
"""For the connection with TLS, and then for the welcome."""
CLOSE_SECONDS = 1.0
_MOST_TOKEN_BYTES = 512


class Refused(Exception):
    """The server does not welcome the agent; one sentence."""

    def __init__(self, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class BadToken(Exception):
    """The token's file cannot be used; one sentence."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom to call."""

    url: str = ""
    """Empty: no server."""
    token_file: str = ""
    ca: str = ""
    """A file of authorities; empty: the system's."""

    @property
    def address(self) -> str:
        """Where to connect: with Dockhand's path where none is named."""
        parts = urlsplit(self.url)
        return self.url if parts.path not in ("", "/") else parts._replace(path=PATH).geturl()


def read_token(path: str) -> str:
    """Raises BadToken."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadToken(f"{path}: not a regular file")
            text = file.read(_MOST_TOKEN_BYTES + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise BadToken(f"{path}: {error.strerror}") from error
    if not text or len(text) > _MOST_TOKEN_BYTES or not all("\x21" <= each <= "\x7e" for each in text):
        raise BadToken(f"{path}: expected one token, up to {_MOST_TOKEN_BYTES} visible characters")
    return text


class Connector:
    """One per agent; it may have no server to call. Used in the event loop."""

    def __init__(
        self, server: web.Server, engine: Engine, totals: HostTotals, time: Time | None = None,
        backoff: Backoff | None = None,
    ) -> None:  # fmt: skip
        """``server``: of the application that answers (`web.AppRunner.server`)."""
        self._server, self._engine, self._totals = server, engine, totals
        self._time = time or Time()
        self._backoff = backoff or Backoff()
        self._destination = Destination()
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._once = OnceInAWhile()
        self._said = ""
        self.connected = False

    async def call(self, destination: Destination) -> None:
        """Call this server from now on, and no other; nothing happens where it is the same."""
        if destination != self._destination:
            await self.stop()
            self._destination = destination
            if destination.url:
                self._task = asyncio.get_running_loop().create_task(self._run(destination))

    def try_now(self) -> None:
        """Wait no longer where there is no connection: the token may be another now."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def stop(self) -> None:
        """Hang up."""
        task, self._task, self._destination = self._task, None, Destination()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # -- one server

    async def _run(self, destination: Destination) -> None:
        outbox = Outbox(self._engine.events, self._time)
        outbox.start()
        try:
            while True:
                asked = await self._once_connected(destination, outbox)
                wait = self._backoff.seconds(asked)
                log.debug("dockhand: again in %.0f s", wait)
                self._waiting = asyncio.ensure_future(self._time.sleep(wait))
                await asyncio.wait([self._waiting])
                self._waiting = None
        finally:
            if self._waiting is not None:
                self._waiting.cancel()
            outbox.stop()

    async def _once_connected(self, destination: Destination, outbox: Outbox) -> float:
        """One attempt, and the connection for as long as it lasts; for how long the server wants us to stay away."""
        began, asked = self._time.now(), 0.0
        try:
            async with self._connect(destination) as socket:
                began = self._time.now()
                self.connected = True
                self._said = ""
                log.info("dockhand connected url=%s", destination.url)
                await Session(socket, self._server, outbox, self._totals, self._time, self._once).run()
        except Refused as error:
            self._say(destination, f"refused: {error}")
            self._backoff.refused()
            asked = error.retry_after
        except (BadToken, Ended, NotTheProtocol, ReadingFailed, ListingFailed) as error:
            self._say(destination, str(error))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._say(destination, _why(error))
        except Exception:
            log.exception("dockhand url=%s", destination.url)
        finally:
            if self.connected:
                self._backoff.held(self._time.now() - began)
            self.connected = False
        return asked

    def _say(self, destination: Destination, sentence: str) -> None:
        """Once, until it is another or there was a connection."""
        if self._once.due("again") or sentence != self._said:
            log.warning("dockhand not connected url=%s: %s", destination.url, sentence)
        self._said = sentence

    @contextlib.asynccontextmanager
    async def _connect(self, destination: Destination) -> AsyncIterator[aiohttp.ClientWebSocketResponse[Any]]:
        """A connection on which the agent is welcome. Raises much."""
        token = read_token(destination.token_file)
        words = await self._engine.host.get()
        secure = destination.url.startswith("wss:")
        context = await asyncio.to_thread(ssl.create_default_context, cafile=destination.ca or None) if secure else True
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"cgstatd/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[_no_redirects()],
        ) as session:
            async with asyncio.timeout(CONNECT_SECONDS):
                socket = await session.ws_connect(
                    destination.address,
                    ssl=context,
                    autoping=False,  # a ping is a sign of life, too
                    decode_text=False,
                    max_msg_size=MOST_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
            sock = socket.get_extra_info("socket")
            _bound(sock)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await socket.send_frame(messages.hello(words, token), aiohttp.WSMsgType.TEXT)
                    await _welcome(socket)
                yield socket
            finally:
                try:
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
                except TimeoutError:  # a server that reads nothing does not read this either
                    _reset(sock)


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


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"no WebSocket there: HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not accepted: {printable(str(error.certificate_error), 200)}"
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return printable(str(error), 200) or type(error).__name__
