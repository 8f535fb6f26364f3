"""A request of the server's, answered by the functions of the Engine API: GET and HEAD, nothing else, and without its
headers.

Plain answers are written one at a time: there is one copy of a large one, however many are asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from ..basics.once_in_a_while import OnceInAWhile
from ..feed.answer_bodies import Body
from ..web.parts import EngineParts
from ..web.routes.engine_answer import EngineAnswer, refusal
from ..web.routes.engine_api import BadTarget, ask
from ..web.server.failure import COMMON_HEADERS
from ..web.server.limits import RETRY_SECONDS
from ..web.server.pieces import slices
from . import messages
from .messages import Request

log = logging.getLogger(__name__)
ANSWER_SECONDS = 25.0
"""For a plain answer: Dockhand waits 30 s for it."""
MOST_STREAMED_BYTES = 4 << 20
"""Of a stream that is asked for as a plain answer."""
MOST_STREAMS = 64
"""Streams that the server may have open at a time."""
_ENDLESS = refusal(504, "this answer does not end: ask for it as a stream")
_CUT = refusal(503, "too many answers in flight")
Send = Callable[[bytes], Awaitable[None]]


class _Reader:
    """What an answer goes to."""

    cut = False

    def abort(self) -> None:
        """Others need the bytes that it holds."""
        self.cut = True

    async def of(self, body: Body) -> AsyncGenerator[bytes, None]:
        """The parts of a body, which others may need meanwhile."""
        body.readers.add(self)
        try:
            for part in body.parts:
                yield part
        finally:
            body.readers.discard(self)


class Answering:
    """Of one connection. Used in the event loop."""

    def __init__(self, parts: EngineParts, send: Send, once: OnceInAWhile) -> None:
        self._parts, self._send, self._once = parts, send, once
        self._one_by_one = asyncio.Lock()
        self.streams = 0
        """How many are open."""

    async def answer(self, request: Request, begun: Callable[[], None]) -> None:
        """Answer one request. ``begun`` is called when a stream is open. Raises what sending raises."""
        reader = _Reader()
        try:
            async with asyncio.timeout(None if request.streaming else ANSWER_SECONDS):
                found = await self._ask(request, reader)
        except BadTarget as error:
            found = refusal(400, str(error))
        except TimeoutError:
            found = _ENDLESS
        except Exception:
            log.exception("dockhand path=%r", request.path[:200])
            found = refusal(500, "Internal error")
        if found.stream is not None:
            async with self._opened(found, found.stream) as pieces:
                await self._in_parts(request, reader, pieces, begun)
            return
        async with self._one_by_one:
            if request.streaming and found.status == 200:
                async with aclosing(reader.of(found.body)) as parts:
                    await self._in_parts(request, reader, parts, begun)
            else:
                await self._whole(request, found)

    async def _ask(self, request: Request, reader: _Reader) -> EngineAnswer:
        """The answer; a stream only where one is asked for."""
        found = await ask(self._parts, request.method, request.path, reader)
        if found.stream is None:
            return found
        if self.streams >= MOST_STREAMS:
            found.over()
            if self._once.due("streams"):
                log.warning("dockhand has too many streams: open=%d", self.streams)
            return refusal(503, "Too many streams", Retry_After=str(RETRY_SECONDS))
        if request.streaming:
            return found
        body = bytearray()
        async with self._opened(found, found.stream) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) > MOST_STREAMED_BYTES:
                    return _ENDLESS
        return _CUT if reader.cut else EngineAnswer(Body([bytes(body)]))

    @asynccontextmanager
    async def _opened(
        self, found: EngineAnswer, stream: AsyncGenerator[bytes, None]
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        self.streams += 1
        try:
            async with aclosing(stream):
                yield stream
        finally:
            self.streams -= 1
            found.over()

    async def _in_parts(
        self, request: Request, reader: _Reader, parts: AsyncIterator[bytes], begun: Callable[[], None]
    ) -> None:
        begun()
        async for part in parts:
            for piece in slices(part):
                if reader.cut:
                    await self._whole(request, _CUT)
                    return
                await self._send(messages.stream(request.request_id, piece))
        await self._send(messages.stream_end(request.request_id, "completed"))

    async def _whole(self, request: Request, found: EngineAnswer) -> None:
        headers = {"Content-Type": found.content_type, **COMMON_HEADERS, **found.headers}
        body = b"" if request.method == "HEAD" else b"".join(found.body.parts)
        await self._send(messages.response(request.request_id, found.status, headers, body))
        if request.streaming:  # some of Dockhand's calls wait for the end of a stream, and look at nothing else
            await self._send(messages.stream_end(request.request_id, f"status {found.status}"))
