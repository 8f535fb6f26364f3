"""One connection: aiohttp's own handler, and bounds for what it leaves open.

They are: how long a request may take to arrive, how much a client may send ahead of its answers, and how long an answer
may wait for a client that does not read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, TypeVar, cast

from aiohttp import web

from . import peer as peers
from .account import Account
from .failure import failure, raw_failure
from .gate import Seat
from .limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_LINE_BYTES, MAX_UNANSWERED_BYTES, WRITE_BUFFER_BYTES, Limits
from .peer import Peer
from .pieces import in_pieces
from .segments import SegmentSocket
from .tls import Certificates

log = logging.getLogger(__name__)
T = TypeVar("T")
_LINGER_SECONDS = 1.0
_TOO_LARGE = raw_failure(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Request too large")


class Handler(web.RequestHandler):
    """Has a seat, which it gives back when it is over."""

    peer: Peer
    """The client, once the connection is made."""

    __slots__ = (
        "_account",
        "_answered",
        "_arriving",
        "_leaving",
        "_limits",
        "_loopback",
        "_seat",
        "_sending",
        "_socket",
        "_tls",
        "_unanswered",
        "_until",
        "_wire",
        "peer",
    )

    def __init__(
        self,
        manager: web.Server,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        seat: Seat,
        account: Account,
        loopback: bool,
        until: float,
        sock: SegmentSocket | None = None,
        tls: Certificates | None = None,
    ) -> None:
        """``until``: when its first request has to be there (the loop's time): the connection is older than this."""
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.idle_seconds,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to say: none
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=_LINGER_SECONDS,
            auto_decompress=False,
        )
        self._limits, self._seat, self._account = limits, seat, account
        self._loopback = loopback
        self._tls = tls
        self._until = until
        self._socket = sock
        self._wire: asyncio.Transport | None = None
        """The transport, also between aiohttp dropping it and its close."""
        self._unanswered = 0
        self._answered = 0
        self._arriving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection, its handshake over."""
        admits = () if self._tls is None else (self._tls.admits,)
        self.peer = peers.of_transport(transport, self._loopback, *admits)
        self._wire = cast(asyncio.Transport, transport)
        self._wire.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._seat.cut = self._wire.abort
        self._expect_request(self._until)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is closed."""
        self._wire = self._socket = None
        for timer in (self._arriving, self._sending, self._leaving):
            if timer is not None:
                timer.cancel()
        self.count_out()
        super().connection_lost(exc)

    def count_out(self) -> None:
        """Give the seat back, whether the connection was open or never came to be; safe to call twice."""
        self._seat.leave()

    # -- arriving

    def data_received(self, data: bytes) -> None:
        """A part of a request, or several."""
        self._unanswered += len(data)
        if self._unanswered > MAX_UNANSWERED_BYTES:
            self._flooded()
            return
        before = self._request_count
        self._account.charged(self._seat.key, super().data_received, data)
        if self._request_count != before:
            self._seat.asks()
            if self._arriving is not None:
                self._arriving.cancel()
                self._arriving = None
        elif data and self._arriving is None and self._request_count == self._answered:
            self._expect_request(self._loop.time() + self._limits.request_seconds)

    def _expect_request(self, until: float) -> None:
        self._arriving = self._loop.call_at(until, self._too_slow)

    def _too_slow(self) -> None:
        self._arriving = None
        if self._wire is not None and self._request_count == self._answered:
            self._wire.abort()

    def _flooded(self) -> None:
        wire = self._wire
        if wire is None:
            return
        if self._request_count == self._answered and not wire.is_closing():
            wire.write(_TOO_LARGE)
            self.force_close()
        else:
            wire.abort()

    # -- answering

    async def charged(self, answering: Coroutine[Any, Any, T]) -> T:
        """Answer a request at its client's cost, where its client has used too much in its turn (account.py). Meanwhile
        another may have its place."""
        return await self._account.answered(self._seat.key, answering, self._seat)

    async def start(self) -> None:
        """Answer requests, one after the other. At the end, bytes that the client does not take are given up after a
        time."""
        try:
            await super().start()
        finally:
            if self._wire is not None and self._wire.get_write_buffer_size():
                self._leaving = self._loop.call_later(self._limits.send_seconds, self._wire.abort)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """The end of one answer."""
        if isinstance(resp, web.HTTPException) and resp.status >= 400:  # from before the middlewares: an Expect header
            resp = failure(resp.status, resp.reason.capitalize())
        in_pieces(resp)
        try:
            return await self.charged(super().finish_response(request, resp, start_time))
        finally:
            self._answered += 1
            self._unanswered = 0
            if self._request_count == self._answered:
                self._seat.waits()

    def write_segments(self) -> None:
        """From now on each write is a segment of its own, if its writer waits for the one before."""
        if self._wire is not None and self._socket is not None:
            self._wire.set_write_buffer_limits(high=0)
            self._socket.keep_apart()

    def pause_writing(self) -> None:
        """The client reads more slowly than we answer."""
        super().pause_writing()
        self.client_is_full()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.client_has_room()
        super().resume_writing()

    def client_is_full(self) -> None:
        """From now on it has a certain time to read something."""
        if self._sending is None:
            self._seat.stalls()
            self._sending = self._loop.call_later(self._limits.send_seconds, self._not_reading)

    def client_has_room(self) -> None:
        """It has read something."""
        if self._sending is not None:
            self._seat.flows()
            self._sending.cancel()
            self._sending = None

    def _not_reading(self) -> None:
        if self._wire is not None:
            log.info("address=%s cut: it does not read what it asked for", self._seat.key)
            self._wire.abort()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Errors as JSON. If the request is not HTTP, or too long: without the client's own bytes, without a stack
        trace in the log."""
        if isinstance(exc, ConnectionError):  # the client went away, whatever the agent was doing for it
            log.debug("address=%s gone before its answer", self._seat.key)
            response = failure(500, "Internal error")  # the client does not read it
        elif status >= 500:
            super().handle_error(request, status, exc, message)  # logs it
            response = failure(500, "Internal error")
        else:
            log.debug("address=%s not a request: %s", self._seat.key, type(exc).__name__)
            if request.writer.output_size > 0:
                raise ConnectionError("an answer is on its way already")
            response = failure(status, HTTPStatus(status).phrase.capitalize())
        response.force_close()
        return response
