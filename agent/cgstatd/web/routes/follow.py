"""GET /api/containers/stats/follow: rounds of all containers at an interval, and what happens to them."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from ...feed.follow.interval_grid import steps_of
from ...outputs.follow_types import MAXIMUM_SECONDS, MINIMUM_SECONDS
from ..parts import Parts
from ..server.event_stream import EventStream
from ..server.failure import failure

DEFAULT_SECONDS = 1.0
STALLED_SECONDS = 60.0
"""A client that takes nothing for this long is cut off."""


_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""As JSON has it. float() takes ``1_0`` for ten, and blanks, and digits of other scripts."""


def _interval(text: str | None) -> int | None:
    if text is None:
        return steps_of(DEFAULT_SECONDS)
    return steps_of(float(text)) if _NUMBER.fullmatch(text) else None


async def follow(parts: Parts, request: web.Request) -> web.StreamResponse:
    """``hello``, then ``stat`` events and a ``round`` per interval, ``start``, ``exit`` and ``oom`` as they happen."""
    steps = _interval(request.query.get("interval"))
    if steps is None:
        return failure(400, f"interval: expected {MINIMUM_SECONDS:g} to {MAXIMUM_SECONDS:g} seconds, as in 1")
    response = EventStream()
    await response.prepare(request)
    client = parts.follower.subscribe(steps, request.headers.get("Last-Event-ID", ""))
    try:
        async with response:
            async for events in client.batches():
                async with asyncio.timeout(STALLED_SECONDS):
                    if isinstance(events, bytes):
                        await response.write(events)
                    else:
                        await response.send_body(events)
                del events  # while waiting for the next ones
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the client went away: no answer can reach it
    finally:
        parts.follower.leave(client)
    return response
