"""GET /api/containers/stats/stream: all running containers, once, as Server-Sent Events; then the connection closes.

Clients lose an event whose lines they do not get from one read. So the chunks are made here, laid out in slots
(outputs/stream_slots.py) for all clients of a pass at once, and written so that each write is a segment
(web/server/segments.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter

from ...feed.answer_bodies import Bodies, Body
from ...feed.reading_pass import Pass
from ...outputs import sse, stats_json
from ...outputs.stream_slots import PERIOD_BYTES, Layout, chunk, step_of, write_of
from ..parts import Parts
from ..server.event_stream import EventStream
from ..server.failure import ENVIRONMENT_NOT_FOUND
from ..server.handler import Handler
from ..server.one_body import NoRoom
from ..server.segments import Window, segment_bytes
from .checks import cpu_budget_headers
from .stats import running

log = logging.getLogger(__name__)
OPENING_SECONDS = 0.2
"""The headers go out with the first events, or after this time with a comment."""
_OPENING = b": \n\n"
_FIRST_WAIT_SECONDS, _LAST_WAIT_SECONDS = 0.001, 0.064
"""Between looks whether the client has room again."""


class _OneWrite(StreamWriter):
    """Writes the headers and what goes with them at once.

    From Python 3.12.9 on the library hands the transport two pieces: over TLS these are two records, and a client's
    read ends with the first one, out of step with the slots from there on.
    """

    __slots__ = ()

    def _writelines(self, chunks: Iterable[Any]) -> None:
        self._write(b"".join(chunks))


class _Round(EventStream):
    """A response whose chunks are made here."""

    _send_headers_immediately = False  # aiohttp's: they would be a segment of their own, which ends anywhere
    chunked = False
    """Whether its parts are chunks, made here."""
    step = longest = PERIOD_BYTES
    position = head = 0
    """Bytes written, and of the headers, which the first write takes along."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Begin the response, and take over its framing."""
        self._sending = asyncio.Lock()
        self._handler: Handler | None = None
        connection = None
        transport = request.transport
        if transport is not None and transport.get_extra_info("ssl_object") is None:
            connection = transport.get_extra_info("socket")
            if isinstance(request.protocol, Handler):
                self._handler = request.protocol
                self._handler.write_segments()
        most = segment_bytes(connection)
        self.step, self.longest, self._window = step_of(most), write_of(most), Window(connection)
        writer = await super().prepare(request)
        if getattr(writer, "chunked", None) is True:  # HTTP/1.1, and the library has not changed
            writer.chunked = False  # type: ignore[union-attr]
            self.chunked = True
        if type(writer) is StreamWriter:
            writer.__class__ = _OneWrite
        self._writer = writer
        version = request.version
        lines = [f"HTTP/{version[0]}.{version[1]} {self.status} {self.reason}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        self.head = len("\r\n".join(lines).encode()) + 4
        return writer

    async def next_layout(self) -> Layout:
        """For what comes next, once what is being written (a keepalive) has been."""
        async with self._sending:
            return self._layout()

    def _layout(self) -> Layout:
        head = 0 if self.position else self.head
        return Layout((self.position or head) % PERIOD_BYTES, head, self.step, self.longest, self.chunked)

    def framed(self, data: bytes) -> bytes:
        """An event as a part of this response."""
        return chunk(data) if self.chunked else data

    def last(self, data: bytes) -> bytes:
        """The last event as the end of this response."""
        return self.framed(data) + (chunk(b"") if self.chunked else b"")

    async def put(self, *events: bytes) -> None:
        """Write events, and fill their slot; nothing while something is being written. Raises ConnectionError."""
        if not self._sending.locked():
            layout = self._layout()
            layout.add(map(self.framed, events))
            layout.fill()
            await self.send_all(layout.writes)

    async def end(self, *events: bytes) -> None:
        """Write the last events and the end of the response. Raises ConnectionError."""
        layout = await self.next_layout()
        layout.add(map(self.framed, events[:-1]))
        layout.finish(self.last(events[-1]))
        await self.send_all(layout.writes)

    async def send_all(self, writes: Sequence[bytes]) -> None:
        """Write whole slots, one segment after the other. Raises ConnectionError."""
        async with self._sending:
            for data in writes:
                await self._send(data)

    async def _send(self, data: bytes) -> None:
        while data:
            head = 0 if self.position else self.head
            size = await self._room(head + len(data), head)
            part, data = data[: size - head], data[size - head :]
            self._window.used(size)
            self.position += size
            await self.write(part)
            if self._writer is not None:
                await self._writer.drain()  # never two writes in the transport: it would join them

    async def _room(self, wanted: int, least: int) -> int:
        """How much of a write, headers included, the client has room for: whole slots. Raises ConnectionError."""
        wait = _FIRST_WAIT_SECONDS
        while (free := self._window.free(wanted)) < wanted:
            size = (self.position + free) // PERIOD_BYTES * PERIOD_BYTES - self.position
            if self.step == PERIOD_BYTES and size > least:
                wanted = size
                break
            transport = None if self._req is None else self._req.transport
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client went away")
            if self._handler is not None:
                self._handler.client_is_full()
            if wait >= _LAST_WAIT_SECONDS:
                self._window.probe()
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LAST_WAIT_SECONDS)
        if wait > _FIRST_WAIT_SECONDS and self._handler is not None:
            self._handler.client_has_room()
        return wanted

    async def _opening(self) -> float:
        await asyncio.sleep(OPENING_SECONDS)
        if not self.position:
            with contextlib.suppress(ConnectionError, RuntimeError):  # the keepalive comes to the same end
                await self.put(_OPENING)
        return OPENING_SECONDS


async def stream(parts: Parts, request: web.Request) -> web.StreamResponse:
    """One round: ``stat`` events as they become known, ``error`` if the round as a whole fails, ``done``, the close."""
    if not parts.bodies.admit(0):
        raise NoRoom
    response = _Round()
    response.force_close()
    response.headers["Connection"] = "close"
    response.headers.update(cpu_budget_headers(parts.feed))
    await response.prepare(request)
    async with response:
        try:
            last = await _round(parts, response)
            if last is not None:  # the client may be slow: from here on it holds these bytes alone, not the pass
                await response.send_body(last)
        except ConnectionError:
            pass  # the client went away: no answer can reach it
        except Exception:  # too late for another answer: the stream has begun
            log.exception("streaming")
            with contextlib.suppress(ConnectionError):
                await response.end(_error("Internal error"), sse.DONE)
    return response


async def elsewhere(request: web.Request) -> web.StreamResponse:
    """The round of an environment that is not the agent's: clients expect a stream with an error in it."""
    response = _Round()
    response.force_close()
    response.headers["Connection"] = "close"
    await response.prepare(request)
    async with response:
        with contextlib.suppress(ConnectionError):
            await response.end(_error(ENVIRONMENT_NOT_FOUND), sse.DONE)
    return response


def _error(text: str) -> bytes:
    return sse.event(b"error", stats_json.encode_failure(text))


async def _round(parts: Parts, response: _Round) -> Body | None:
    """Send the round; what remains to be sent at its end."""
    round_ = parts.feed.round(encode=running, late_will_do=True)
    remaining: Body | None = None
    async for body, last in _stats(round_, response, parts.bodies):
        if last:
            remaining = body
        else:
            await response.send_body(body)
    if remaining is None:
        failed = [] if round_.error is None else [_error(round_.error)]
        await response.end(*failed, sse.DONE)
    return remaining


async def _stats(round_: Pass, response: _Round, bodies: Bodies) -> AsyncIterator[tuple[Body, bool]]:
    """What is to be written, as it becomes known, and whether that is all: made once for all clients whose responses
    are alike so far."""
    async for first, end, last in round_.batches():
        ends = last and round_.error is None
        layout = await response.next_layout()
        key = (first, end, ends, response.chunked, layout.position, response.step, response.longest, response.head)
        if key not in round_.shared:
            events = (sse.event(b"stat", data) for data in round_.encoded(running, first, end) if data)
            layout.add(map(response.framed, events))
            if ends:
                layout.finish(response.last(sse.DONE))
            else:
                layout.fill()
            round_.shared[key] = bodies.hold(*layout.writes)
        yield round_.shared[key], ends
