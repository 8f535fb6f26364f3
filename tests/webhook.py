"""A webhook's server for tests: it notes what comes, and answers as a test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def taken(_request: web.Request) -> web.StreamResponse:
    """204."""
    return web.Response(status=204)


def answering(status: int, **headers: str) -> Answer:
    """A status, and headers."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={key.replace("_", "-"): value for key, value in headers.items()})

    return answer


async def silent(_request: web.Request) -> web.StreamResponse:
    """Never."""
    await asyncio.Event().wait()
    raise AssertionError


async def cut(request: web.Request) -> web.StreamResponse:
    """The connection is reset without a word."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    """A 200, and a body that does not end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


class Hook:
    """What came."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        """For the next requests; after them all are taken."""
        self.always: Answer = taken
        self.requests: list[tuple[dict[str, str], Any]] = []
        """Headers (in lower case) and the decoded body of each, whatever was answered."""
        self.others: list[str] = []
        """Paths besides the hook's own that were asked for."""
        self._news = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/hook" or request.method != "POST":
            self.others.append(request.path)
            return web.Response()
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.requests.append((headers, json.loads(await request.read())))
        answer = self.answers.pop(0) if self.answers else self.always
        self._news.set()
        return await answer(request)

    async def got(self, count: int = 1) -> list[tuple[dict[str, str], Any]]:
        """Wait for so many requests."""
        async with asyncio.timeout(60):
            while len(self.requests) < count:
                self._news.clear()
                await self._news.wait()
        return self.requests

    def told(self) -> list[dict[str, Any]]:
        """The notifications of all requests."""
        return [each for _, body in self.requests for each in body["notifications"]]


@asynccontextmanager
async def webhook(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Hook]:
    """A server on a port that the kernel chooses."""
    hook = Hook()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0, ssl_context=tls).start()
        port = runner.addresses[0][1]
        hook.url = f"{'https' if tls else 'http'}://{host}:{port}/hook?key=s3cret"
        yield hook
    finally:
        await runner.cleanup()
