"""The response that carries Server-Sent Events: aiohttp-sse's, with the contract's keepalive comment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp_sse import EventSourceResponse

from ...feed.answer_bodies import Body
from ...outputs import sse

KEEPALIVE_SECONDS = 4.8
"""The contract promises a comment every 5 s, the first within 5 s: the rest is for the way to the client."""


class EventStream(EventSourceResponse):
    """Lines end with LF; the comment is ``: keepalive`` (the library's own says ``: ping``)."""

    def __init__(self) -> None:
        super().__init__(sep="\n", send_timeout=None)  # the listener has set the configured one

    async def _opening(self) -> float:
        """Send what may be due soon after the beginning; after how many seconds it was."""
        return 0.0

    async def put(self, *events: bytes) -> None:
        """Write whole events. Raises ConnectionError."""
        await self.write(b"".join(events))

    async def send_all(self, parts: Sequence[bytes]) -> None:
        """Write runs of whole events. Raises ConnectionError."""
        for part in parts:
            await self.write(part)

    async def send_body(self, body: Body) -> None:
        """Write bytes that other responses may have too. Raises ConnectionError."""
        reader = None if self._req is None else self._req.transport
        if reader is None:
            raise ConnectionResetError("the client went away")
        body.readers.add(reader)
        try:
            await self.send_all(body.parts)
        finally:
            body.readers.discard(reader)

    async def _ping(self) -> None:
        pause = KEEPALIVE_SECONDS - await self._opening()
        while True:
            await asyncio.sleep(pause)
            pause = KEEPALIVE_SECONDS
            try:
                await self.put(sse.KEEPALIVE)
            except (ConnectionError, RuntimeError):  # closed by the client, or written to after the end
                return
