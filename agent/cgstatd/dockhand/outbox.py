"""Events on their way to the server: kept until it has confirmed them, across connections.

The protocol confirms nothing. But the server reads in order, so its ``pong`` says that it has read what went out before
the ``ping``. A link that is cut may have swallowed what was sent since: that is sent again on the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..basics.timing import Time
from ..feed.engine_events import EngineEvents, Listener
from ..outputs.engine.hawser import container_event
from ..sampling.container import ReadingFailed
from ..sampling.registry import ListingFailed
from . import messages

MOST_UNCONFIRMED = 512
MOST_UNCONFIRMED_BYTES = 2 << 20
_MOST_PINGS = 64
_AGAIN_SECONDS = 5.0
Send = Callable[[bytes], Awaitable[None]]


class Outbox:
    """Listens while the connection is wanted, whether there is one or not. Used in the event loop."""

    def __init__(self, source: EngineEvents, time: Time) -> None:
        self._source, self._time = source, time
        self._listener: Listener | None = None
        self._taking: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._sent = 0
        """How many of these went out on this connection."""
        self._pings: deque[int] = deque()
        """How many of these the server has read when it answers each ping."""

    def start(self) -> None:
        """Listen from now on."""
        self._room.set()
        self._taking = asyncio.get_running_loop().create_task(self._take())

    def stop(self) -> None:
        """No more."""
        if self._taking is not None:
            self._taking.cancel()
        if self._listener is not None:
            self._source.leave(self._listener)

    async def _take(self) -> None:
        while self._listener is None:
            with suppress(ListingFailed, ReadingFailed):
                self._listener, _ = await self._source.subscribe(past=False)
                break
            await self._time.sleep(_AGAIN_SECONDS)
        async for each in self._listener.events():
            await self._room.wait()  # meanwhile the listener keeps what happens, and drops the oldest
            message = messages.container_event(container_event(each))
            self._kept.append(message)
            self._bytes += len(message)
            self._news.set()
            if self._full():
                self._room.clear()

    def _full(self) -> bool:
        return len(self._kept) >= MOST_UNCONFIRMED or self._bytes >= MOST_UNCONFIRMED_BYTES

    # -- on a connection

    def connected(self) -> None:
        """What the last connection did not confirm goes out again."""
        self._sent = 0
        self._pings.clear()
        self._news.set()

    async def send(self, send: Send, ping: Callable[[], Awaitable[None]]) -> None:
        """Send for as long as the connection lasts; each time there were some, ask for a sign that they were read."""
        while True:
            await self._news.wait()
            self._news.clear()
            before = self._sent
            while self._sent < len(self._kept):
                self._sent += 1
                await send(self._kept[self._sent - 1])
            if self._sent > before:
                await ping()

    def pinged(self) -> bool:
        """A ping is to go out; whether it may: not where so many wait for their answers already."""
        if len(self._pings) >= _MOST_PINGS:
            return False
        self._pings.append(self._sent)
        return True

    def ponged(self) -> None:
        """The oldest ping was answered; an answer without a ping says nothing."""
        read = self._pings.popleft() if self._pings else 0
        if not read:
            return
        for _ in range(read):
            self._bytes -= len(self._kept.popleft())
        self._sent -= read
        self._pings = deque(number - read for number in self._pings)
        if not self._full():
            self._room.set()
