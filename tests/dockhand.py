"""A Dockhand server for tests: aiohttp's own WebSocket server, which follows the protocol unless a test breaks it."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

from cgstatd.basics.timing import Time
from cgstatd.dockhand.link import PATH

TOKEN = "hawser-token-4711"
Message = dict[str, Any]


class ManualTime(Time):
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = 1000.0
        self._sleeping: list[tuple[float, float, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        each = (self.at + seconds, seconds, done)
        self._sleeping.append(each)
        self._changed.set()
        try:
            await done
        finally:
            self._sleeping.remove(each)

    async def sleeper(self, fits: Callable[[float], bool]) -> float:
        """Wait until there is one that sleeps for so long; how long."""
        while True:
            found = [seconds for _, seconds, done in self._sleeping if fits(seconds) and not done.done()]
            if found:
                return found[0]
            self._changed.clear()
            await self._changed.wait()

    def advance(self, seconds: float) -> None:
        """Let time pass: those whose time has come wake."""
        self.at += seconds
        for until, _, done in list(self._sleeping):
            if until <= self.at + 1e-9 and not done.done():
                done.set_result(None)


class Link:
    """One connection of an agent, from its hello on."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, hello: Message) -> None:
        self._request, self.socket, self.hello = request, socket, hello
        self.messages: dict[str, list[Message]] = defaultdict(list)
        """By type."""
        self.close_code: int | None = None
        self.answer_pings = True
        self._news = asyncio.Condition()
        self._number = 0

    async def send(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def got(self, kind: str, fits: Callable[[Message], bool] = lambda _: True, count: int = 1) -> list[Message]:
        """Wait for so many messages of a type."""
        async with self._news:
            while True:
                found = [each for each in self.messages[kind] if fits(each)]
                if len(found) >= count:
                    return found
                assert self.close_code is None, f"closed: {self.close_code}"
                await self._news.wait()

    async def ask(self, path: str, method: str = "GET", **more: Any) -> Message:
        """A request and its whole answer, the body decoded."""
        self._number += 1
        number = f"r{self._number}"
        await self.send(type="request", requestId=number, method=method, path=path, headers={}, **more)
        [found] = await self.got("response", lambda each: each["requestId"] == number)
        return found

    async def closed(self) -> int:
        """Wait until it is closed; the code."""
        async with self._news:
            while self.close_code is None:
                await self._news.wait()
        return self.close_code

    async def read(self) -> None:
        """Until it is closed."""
        async for found in self.socket:
            if found.type is not WSMsgType.TEXT:
                continue
            message = json.loads(found.data)
            if message["type"] == "ping" and self.answer_pings:
                await self.send(type="pong", timestamp=1)
            async with self._news:
                self.messages[message["type"]].append(message)
                self._news.notify_all()
        async with self._news:
            self.close_code = self.socket.close_code or 1006
            self._news.notify_all()

    def cut(self) -> None:
        """The connection is reset."""
        assert self._request.transport is not None
        self._request.transport.abort()


class Dockhand:
    """The server; a test may put its own ``handler`` in place."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.links: list[Link] = []
        self.refusals = 0
        self.handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = self._connect
        self._news = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        return await self.handler(request)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=64 << 20)
        await socket.prepare(request)
        hello = await socket.receive_json()
        assert hello["type"] == "hello"
        if hello["token"] != self.token:
            self.refusals += 1
            await socket.send_json({"type": "error", "message": "Invalid token"})
            await socket.close(code=1008, message=b"Invalid token")
            self._news.set()
            return socket
        link = Link(request, socket, hello)
        await link.send(type="welcome", serverId="dockhand", version="1.0")
        self.links.append(link)
        self._news.set()
        await link.read()
        return socket

    async def link(self, number: int = 1) -> Link:
        """Wait for the nth connection."""
        while len(self.links) < number:
            self._news.clear()
            await self._news.wait()
        return self.links[number - 1]

    async def refused(self, number: int = 1) -> None:
        """Wait until so many agents were refused."""
        while self.refusals < number:
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def dockhand(
    context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[Dockhand, str]]:
    """A server, and its URL without a path."""
    found = Dockhand()
    app = web.Application()
    app.router.add_get(PATH, found.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        yield found, f"{'wss' if context else 'ws'}://{host}:{port}"
    finally:
        await runner.cleanup()


def decoded(parts: list[Message]) -> bytes:
    """The data of a stream's parts."""
    return b"".join(base64.b64decode(each["data"]) for each in parts)
