"""GET /api/containers/stats/stream: all running containers, once, as Server-Sent Events; then the connection closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from ..outputs import answers, sse
from .containers import ENVIRONMENT_NOT_FOUND, encoded
from .context import CONTEXT, Context, knows_environment

log = logging.getLogger(__name__)
KEEPALIVE_SECONDS = 4.8
"""A client is promised one every 5 s, the first within 5 s: the rest is for the way to it."""


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
        except Exception:  # too late for another answer: the stream has begun
            log.exception("streaming")
            with contextlib.suppress(ConnectionError):
                await response.write(sse.event(b"error", answers.encode_failure("Internal error")))
                await response.write(sse.DONE)
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
