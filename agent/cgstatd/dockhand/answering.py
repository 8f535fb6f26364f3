"""A request of the server's, through the routes of the Engine API: GET and HEAD, nothing else, and without its headers.

Plain answers are written one at a time: there is one copy of a large one, however many are asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from ..outputs.engine import system
from ..web.server import inside
from ..web.server.inside import Answer, BadTarget
from ..web.server.peer import Peer
from . import messages
from .messages import Request

ANSWER_SECONDS = 25.0
"""For a plain answer: Dockhand waits 30 s for it."""
MOST_STREAMED_BYTES = 4 << 20
"""Of a stream that is asked for as a plain answer."""
DOCKHAND = Peer("dockhand", loopback=False)
_METHODS = ("GET", "HEAD")
_LEFT_OUT = frozenset("connection content-length date transfer-encoding".split())
Send = Callable[[bytes], Awaitable[None]]
_encode = msgspec.json.Encoder().encode


class _Answer(Answer):
    """Becomes messages: parts as they come where a stream is wanted and the status is 200, else one whole answer."""

    def __init__(self, request: Request, send: Send, begun: Callable[[], None]) -> None:
        super().__init__()
        self._request, self._send, self._begun = request, send, begun
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.bounded = True
        """Until the handler has returned, what comes is a stream."""
        self.too_long = False

    @property
    def in_parts(self) -> bool:
        """Whether it goes out in parts."""
        return self._request.streaming and self.status == 200

    async def head(self, status: int, headers: CIMultiDict[str]) -> None:
        self.status = status
        self.headers = {name: value for name, value in headers.items() if name.lower() not in _LEFT_OUT}
        if self.in_parts:
            self._begun()

    async def part(self, chunk: bytes | bytearray | memoryview) -> None:
        if self.in_parts:
            await self._send(messages.stream(self._request.request_id, memoryview(chunk)))
        elif self.bounded and len(self.body) + len(chunk) > MOST_STREAMED_BYTES:
            self.too_long = True
            raise ConnectionResetError("a stream that does not end")
        else:
            self.body += chunk


class Answering:
    """Of one connection. Used in the event loop."""

    def __init__(self, server: web.Server, send: Send) -> None:
        self._server, self._send = server, send
        self._one_by_one = asyncio.Lock()

    async def answer(self, request: Request, begun: Callable[[], None]) -> None:
        """Answer one request. ``begun`` is called when a stream is open. Raises what sending raises."""
        if request.method not in _METHODS:
            await self._refuse(request, 403, system.READ_ONLY)
            return
        answer = _Answer(request, self._send, begun)
        try:
            async with asyncio.timeout(None if request.streaming else ANSWER_SECONDS):
                made = await inside.begin(self._server, request.method, request.path, DOCKHAND, answer)
        except BadTarget as error:
            await self._refuse(request, 400, str(error))
            return
        except TimeoutError:
            answer.too_long = True
        if answer.too_long:
            await self._refuse(request, 504, "this answer does not end: ask for it as a stream")
            return
        async with self._one_by_one:
            answer.bounded = False
            try:
                await inside.finish(*made)
            except ConnectionError:
                if not answer.cut:
                    raise
                await self._refuse(request, 503, "too many answers in flight")
                return
            if answer.in_parts:
                await self._send(messages.stream_end(request.request_id, "completed"))
            else:
                await self._whole(request, answer.status, answer.headers, bytes(answer.body))

    async def _refuse(self, request: Request, status: int, sentence: str) -> None:
        headers = {"Content-Type": "application/json", **system.HEADERS}
        await self._whole(request, status, headers, _encode({"message": sentence}))

    async def _whole(self, request: Request, status: int, headers: dict[str, str], body: bytes) -> None:
        await self._send(messages.response(request.request_id, status, headers, body))
        if request.streaming:  # some of Dockhand's calls wait for the end of a stream, and look at nothing else
            await self._send(messages.stream_end(request.request_id, f"status {status}"))
