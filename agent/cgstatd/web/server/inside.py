"""A request without a connection: an application answers it as any other, through the same guard and the same route.

What aiohttp keeps for its own connections stands here alone: how its Server makes a request and has it handled.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any, cast

from aiohttp import EMPTY_PAYLOAD, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11, RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .limits import MAX_LINE_BYTES
from .peer import Peer

_NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
_FIRST, _LAST = "\x21", "\x7e"
"""Visible ASCII."""


class BadTarget(ValueError):
    """Not the target of a request; one sentence."""


class Answer(AbstractStreamWriter):
    """Takes the parts of one answer, as the writer of a connection would."""

    def __init__(self) -> None:
        self.cut = False
        """Whether another needed what it holds."""

    @property
    def transport(self) -> Any:
        """Itself: it can be cut."""
        return self

    def abort(self) -> None:
        """Another needs what it holds."""
        self.cut = True

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """A part of the body. Raises ConnectionResetError."""
        if self.cut:
            raise ConnectionResetError("the answer was cut")
        if chunk:
            self.output_size += len(chunk)
            await self.part(chunk)

    async def write_eof(self, chunk: bytes = b"") -> None:
        """The last part."""
        await self.write(chunk)

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """The head of the answer."""
        await self.head(int(status_line.split(" ", 2)[1]), headers)

    async def drain(self) -> None:
        """`part` has waited already."""

    def enable_chunking(self) -> None:
        """Parts are not framed here."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """A request without headers accepts none."""
        raise NotImplementedError

    @abstractmethod
    async def head(self, status: int, headers: CIMultiDict[str]) -> None:
        """Status and headers."""

    @abstractmethod
    async def part(self, chunk: bytes | bytearray | memoryview) -> None:
        """A part of the body, which is not kept."""


class _Line:
    """What a request asks of its connection."""

    ssl_context = peername = sockname = None

    def __init__(self, peer: Peer, transport: Answer) -> None:
        self.peer = peer
        self.transport = transport


def parse_target(target: str) -> URL:
    """As of a request line: a path and a query. Raises BadTarget."""
    if not target.startswith("/"):
        raise BadTarget("expected a path")
    if len(target) > MAX_LINE_BYTES:
        raise BadTarget("the path is too long")
    if min(target) < _FIRST or max(target) > _LAST:
        raise BadTarget("the path has characters that it cannot have")
    path, _, query = target.partition("#")[0].partition("?")
    try:
        return URL.build(path=path, query_string=query, encoded=True)
    except ValueError as error:
        raise BadTarget("not a path") from error


async def begin(
    server: web.Server, method: str, target: str, peer: Peer, answer: Answer
) -> tuple[web.BaseRequest, web.StreamResponse]:
    """Have a request without headers and body handled: itself, and its answer for `finish`. A stream is over then.

    Raises BadTarget, and ConnectionError where the answer was cut.
    """
    message = RawRequestMessage(
        method, target, HttpVersion11, _NO_HEADERS, (), False, None, False, False, parse_target(target)
    )
    task = cast("asyncio.Task[None]", asyncio.current_task())
    request = server.request_factory(message, EMPTY_PAYLOAD, cast(Any, _Line(peer, answer)), answer, task)
    try:
        return request, await server.request_handler(request)
    except web.HTTPException as response:
        return request, response


async def finish(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Write what `begin` did not: of an answer that is no stream everything. Raises ConnectionError."""
    await response.prepare(request)
    await response.write_eof()
