"""GET /api/containers/stats/stream: all running containers, once, as Server-Sent Events; then the connection closes.

Each event is one chunk of the response, since clients lose an event whose lines arrive in different ones. What is known
at the same time goes out in as few system calls as fit whole events into a TCP segment each: a call for every event was
a third of a round's cost. The chunks are therefore made here, and shared by all clients of a pass.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterable, Iterator

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from ..outputs import answers, sse
from ..passes import Pass
from .containers import ENVIRONMENT_NOT_FOUND, running
from .context import CONTEXT, Context, knows_environment, restraint_headers
from .event_stream import EventStream

log = logging.getLogger(__name__)
_MOST_BYTES = 1 << 14
"""Of one write, where segments are larger than that (loopback): clients read some 64 KiB at once."""
_ETHERNET_BYTES = 1400
_HEADERS_BYTES = 320
"""The response's headers go out with the first events."""


def chunk(event: bytes) -> bytes:
    """One event as a chunk of its own (RFC 9112, 7.1); an empty one is the last."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def segments(chunks: Iterable[bytes], most: int, size: int = 0) -> Iterator[bytes]:
    """Whole chunks, as many together as ``most`` bytes hold; a longer one stands alone.

    ``size``: what is in the first segment already.
    """
    together: list[bytes] = []
    for each in chunks:
        if together and size + len(each) > most:
            yield b"".join(together)
            together, size = [], 0
        together.append(each)
        size += len(each)
    if together:
        yield b"".join(together)


class _Round(EventStream):
    """A response whose chunks are made here."""

    chunked_here = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Begin the response, and take over its framing."""
        writer = await super().prepare(request)
        if getattr(writer, "chunked", None) is True:  # HTTP/1.1, and the library has not changed
            writer.chunked = False  # type: ignore[union-attr]
            self.chunked_here = True
        return writer

    async def put(self, *events: bytes) -> None:
        """Write events, each a chunk. Raises ConnectionError."""
        await self.write(b"".join(map(chunk, events) if self.chunked_here else events))

    async def end(self, *events: bytes) -> None:
        """Write the last events and the end of the response. Raises ConnectionError."""
        await self.put(*events, *([b""] if self.chunked_here else []))


async def stream(request: web.Request) -> web.StreamResponse:
    """One round: ``stat`` events as they become known, ``error`` if the round as a whole fails, ``done``, the close."""
    context = request.app[CONTEXT]
    response = _Round()
    response.force_close()
    response.headers["Connection"] = "close"
    response.headers.update(restraint_headers(context))
    await response.prepare(request)
    async with response:
        try:
            await _round(request, context, response)
        except ConnectionError:
            pass  # the client went away: there is nobody to tell
        except Exception:  # too late for another answer: the stream has begun
            log.exception("streaming")
            with contextlib.suppress(ConnectionError):
                await response.end(_error("Internal error"), sse.DONE)
    return response


def _error(text: str) -> bytes:
    return sse.event(b"error", answers.encode_failure(text))


async def _round(request: web.Request, context: Context, response: _Round) -> None:
    if not knows_environment(request, context):
        await response.end(_error(ENVIRONMENT_NOT_FOUND), sse.DONE)
        return
    round_ = context.feed.round(encode=running)
    most = _segment_bytes(request)
    async for data in _stats(round_, response.chunked_here, most):
        await response.write(data)
    failed = [] if round_.error is None else [_error(round_.error)]
    await response.end(*failed, sse.DONE)


async def _stats(round_: Pass, chunked: bool, most: int) -> AsyncIterator[bytes]:
    """What is to be written, as it becomes known: made once for all clients that are told of the same containers."""
    async for first, end in round_.batches():
        key = (first, end, chunked, most)
        if key not in round_.shared:
            events = (sse.event(b"stat", data) for data in round_.encoded(running, first, end) if data)
            headers = 0 if first else _HEADERS_BYTES
            round_.shared[key] = list(segments(map(chunk, events) if chunked else events, most, headers))
        for data in round_.shared[key]:
            yield data


def _segment_bytes(request: web.Request) -> int:
    """How much one TCP segment to this client holds."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return _MOST_BYTES
    try:
        size = int(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
    except OSError:
        return _ETHERNET_BYTES
    return max(1, min(size, _MOST_BYTES))
