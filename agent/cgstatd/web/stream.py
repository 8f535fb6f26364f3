"""GET /api/containers/stats/stream: all running containers, once, as Server-Sent Events; then the connection closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from ..outputs import answers, sse
from .containers import ENVIRONMENT_NOT_FOUND, encoded
from .context import CONTEXT, Context, knows_environment

KEEPALIVE_SECONDS = 5.0


class _Stream(EventSourceResponse):
    """aiohttp-sse's response, with the contract's keepalive comment (the library's own says ``: ping``)."""

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            try:
                await self.write(sse.KEEPALIVE)
            except (ConnectionError, RuntimeError):  # closed by the client, or written to after the end
                return


async def stream(request: web.Request) -> web.StreamResponse:
    """One round: ``stat`` events as they become known, ``error`` if the round as a whole fails, ``done``, the close."""
    context = request.app[CONTEXT]
    response = _Stream(sep="\n")
    response.force_close()
    response.headers["Connection"] = "close"
    await response.prepare(request)
    async with response:
        try:
            async for event in _events(request, context):
                await response.write(event)
            await response.write(sse.DONE)
        except ConnectionError:
            pass  # the client went away: there is nobody to tell
    return response


async def _events(request: web.Request, context: Context) -> AsyncIterator[bytes]:
    if not knows_environment(request, context):
        yield sse.event(b"error", answers.encode_failure(ENVIRONMENT_NOT_FOUND))
        return
    round_ = context.feed.round()
    async for first, end in round_.batches():
        for index in range(first, end):
            data = encoded(round_, index)
            if data:
                yield sse.event(b"stat", data)
    if round_.error is not None:
        yield sse.event(b"error", answers.encode_failure(round_.error))
