"""One connection, from the welcome to its end: requests, signs of life, the host's figures, events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType

from ..basics.once_in_a_while import OnceInAWhile
from ..basics.text import printable
from ..basics.timing import Time
from ..feed.host_totals import HostTotals
from ..outputs.engine import hawser
from ..outputs.engine.system import READ_ONLY
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from ..web.parts import EngineParts
from . import messages
from .answering import Answering
from .messages import NotTheProtocol, decode
from .outbox import Outbox

log = logging.getLogger(__name__)
PING_SECONDS = 30.0
SILENCE_SECONDS = 90.0
METRICS_SECONDS = 30.0
FIRST_METRICS_SECONDS = 1.5
SEND_SECONDS = 30.0
"""A server that takes no byte for so long is gone."""
AT_ONCE = 16
"""Requests that are answered at a time; the others wait where they are: in the connection."""


class Ended(Exception):
    """The connection is over; one sentence."""


class _Slot:
    """One of those for requests that are answered; freed once."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots: asyncio.Semaphore | None = slots

    def free(self) -> None:
        """Another may have it."""
        if self._slots is not None:
            self._slots.release()
            self._slots = None


class Session:
    """Used in the event loop."""

    def __init__(
        self,
        socket: ClientWebSocketResponse[Any],
        parts: EngineParts,
        outbox: Outbox,
        totals: HostTotals,
        time: Time,
        once: OnceInAWhile,
    ) -> None:
        self._socket, self._outbox, self._totals, self._time, self._once = socket, outbox, totals, time, once
        self._answering = Answering(parts, self.send, once)
        self._sending = asyncio.Lock()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._heard = time.now()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Until it ends. Raises Ended, NotTheProtocol."""
        works: tuple[Coroutine[Any, Any, None], ...] = (
            self._read(), self._watch(), self._beat(), self._measure(), self._outbox.send(self.send, self._ping),
        )  # fmt: skip
        tasks = [self._failed, *(asyncio.ensure_future(each) for each in works)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except ConnectionError as error:
            raise Ended(str(error) or "the link is cut") from error
        finally:
            every = [*tasks, *self._running.values()]
            for task in every:
                task.cancel()
            await asyncio.gather(*every, return_exceptions=True)

    async def send(self, message: bytes) -> None:
        """Send one message, once those before are on their way. Raises ConnectionError."""
        async with self._sending:
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await self._socket.send_frame(message, WSMsgType.TEXT)
            except TimeoutError as error:
                stalled = ConnectionResetError("the server takes no more")
                self._fail(stalled)  # a stream takes this for a client that went away, and tells no one
                raise stalled from error

    def _fail(self, error: BaseException | None) -> None:
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)

    # -- from the server

    async def _read(self) -> None:
        while True:
            found = await self._socket.receive()
            if found.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                raise Ended(why_closed(found, self._socket.close_code))
            self._heard = self._time.now()
            if found.type is WSMsgType.TEXT:
                await self._take(found.data)
            elif found.type is WSMsgType.PING:
                await self._socket.send_frame(found.data, WSMsgType.PONG)
            elif found.type is WSMsgType.BINARY:
                raise NotTheProtocol("a binary frame")

    async def _take(self, data: bytes) -> None:
        kind = decode(data, messages.Kind).type
        take = self._HANDLERS.get(kind)
        if take is not None:
            await take(self, data)
        elif kind.startswith("exec_"):
            await self._refuse_exec(kind, data)
        elif self._once.due("type"):
            log.info("dockhand sent a message of a type that is not known here: %s", printable(kind, 40))

    async def _request(self, data: bytes) -> None:
        request = decode(data, messages.Request)
        if not request.request_id or len(request.request_id) > messages.MOST_ID:
            raise NotTheProtocol("a request without an id of its own")
        if request.request_id in self._running:
            raise NotTheProtocol("two requests with one id")
        await self._slots.acquire()
        slot = _Slot(self._slots)
        task = self._running[request.request_id] = asyncio.ensure_future(self._answering.answer(request, slot.free))

        def over(_task: asyncio.Task[None]) -> None:  # also where it was cancelled before it began
            slot.free()
            del self._running[request.request_id]
            if not task.cancelled() and task.exception() is not None:
                self._fail(task.exception())

        task.add_done_callback(over)

    async def _end_stream(self, data: bytes) -> None:
        task = self._running.get(decode(data, messages.StreamEnd).request_id)
        if task is not None:
            task.cancel()

    async def _refuse_exec(self, kind: str, data: bytes) -> None:
        if kind == "exec_start":
            found = decode(data, messages.ExecStart)
            await self.send(messages.error(found.exec_id[: messages.MOST_ID], READ_ONLY, "READ_ONLY"))

    async def _pong(self, data: bytes) -> None:
        await self.send(messages.pong(decode(data, messages.Ping).timestamp, self._time.time_ms()))

    async def _ponged(self, _data: bytes) -> None:
        self._outbox.ponged()

    async def _refused(self, data: bytes) -> None:
        found = decode(data, messages.Refusal)
        if self._once.due("error"):
            log.warning("dockhand says: %s", printable(found.message or found.error, 200))

    _HANDLERS: dict[str, Callable[[Session, bytes], Awaitable[None]]] = {  # noqa: RUF012
        "request": _request,
        "stream_end": _end_stream,
        "ping": _pong,
        "pong": _ponged,
        "error": _refused,
    }

    # -- from here

    async def _watch(self) -> None:
        """Raises Ended when the server has been silent for too long."""
        while True:
            left = self._heard + SILENCE_SECONDS - self._time.now()
            if left <= 0:
                raise Ended(f"nothing heard for {SILENCE_SECONDS:g} s")
            await self._time.sleep(left)

    async def _beat(self) -> None:
        while True:
            await self._time.sleep(PING_SECONDS)
            await self._ping()

    async def _ping(self) -> None:
        if self._outbox.pinged():
            await self.send(messages.ping(self._time.time_ms()))

    async def _measure(self) -> None:
        pause = FIRST_METRICS_SECONDS
        while True:
            try:
                await self._totals.begin()
                await self._time.sleep(pause)
                figures = hawser.metrics(*await self._totals.get())
            except (ReadingFailed, ListingFailed) as error:
                log.debug("dockhand: no figures of the host: %s", error)
            else:
                if figures is not None:
                    await self.send(messages.metrics(figures, self._time.time_ms()))
            pause = METRICS_SECONDS


def why_closed(found: WSMessage, code: int | None) -> str:
    """In words, from the last thing that was received."""
    if found.type is WSMsgType.ERROR:
        return printable(str(found.data), 200)
    said = printable(found.extra or "", 100) if isinstance(found.extra, str) else ""
    return f"closed by the server{f' ({code})' if code else ''}{said and ': ' + said}"
