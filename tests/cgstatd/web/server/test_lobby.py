"""A connection costs a handler once its client says something."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any, cast

import pytest

from cgstatd.web.server.limits import Limits
from cgstatd.web.server.lobby import Lobby
from fakehost import FakeHost
from patience import until
from wire import ALL, Server, serving


def handlers(server: Server) -> int:
    assert server.runner.server is not None
    return len(server.runner.server.connections)


async def test_one_that_says_nothing_has_a_place_and_no_handler(server: Server) -> None:
    async with server.connection() as silent:
        await until(lambda: server.gate.open == 1)
        assert handlers(server) == 0
        silent.send(ALL)
        assert (await silent.answer()).status == 200
        assert (server.gate.open, handlers(server)) == (1, 1)


async def test_a_request_that_comes_in_two_pieces_is_whole(server: Server) -> None:
    async with server.connection() as slow:
        slow.raw(b"G")
        await until(lambda: handlers(server) == 1)
        slow.raw(b"ET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % ALL.encode())
        assert (await slow.answer()).status == 200


async def test_what_it_waited_counts_for_how_long_its_request_may_take(host: FakeHost) -> None:
    loop = asyncio.get_running_loop()
    async with serving(host.sampler(), limits=Limits(request_seconds=60)) as server, server.connection() as slow:
        await until(lambda: server.gate.open == 1)
        opened = loop.time()
        await asyncio.sleep(0.05)
        slow.raw(b"G")
        await until(lambda: handlers(server) == 1)
        [handler] = cast(Any, server.runner.server).connections
        await until(lambda: handler._arriving is not None)
        assert handler._arriving.when() <= opened + 60


async def test_one_that_goes_without_a_word_leaves_nothing(server: Server) -> None:
    async with server.connection() as gone, server.connection() as reset:
        await until(lambda: server.gate.open == 2)
        reset.writer.transport.abort()
        await gone.close()
        await until(lambda: server.gate.open == 0)
    assert server.gate._seats._by_client == {}


async def test_one_that_waits_too_long_is_closed(host: FakeHost) -> None:
    async with serving(host.sampler(), limits=Limits(request_seconds=0.1)) as server, server.connection() as silent:
        assert await silent.closed()
        await until(lambda: server.gate.open == 0)


async def test_those_that_wait_end_with_the_agent(host: FakeHost) -> None:
    async with serving(host.sampler()) as server, asyncio.timeout(60):
        connection = server.connection()
        silent = await connection.__aenter__()
        await until(lambda: server.gate.open == 1)
    assert await silent.closed()
    assert server.gate.open == 0
    await connection.__aexit__(None, None, None)


async def test_one_whose_client_has_used_more_than_its_share_waits_without_a_handler(server: Server) -> None:
    """It may have to go."""
    asked, waits = [0], [0.01]

    def wait_seconds(client: str) -> float:
        asked[0] += 1
        return waits[0]

    server.gate.account.wait_seconds = wait_seconds  # type: ignore[method-assign]
    async with server.connection() as flood:
        flood.send(ALL)
        await until(lambda: asked[0] >= 3)
        assert (server.gate.open, handlers(server)) == (1, 0)
        waits[0] = 0.0
        assert (await flood.answer()).status == 200
    await until(lambda: server.gate.open == 0)
    waits[0], asked[0] = 3_600.0, 0
    async with server.connection() as flood:
        flood.send(ALL)
        await until(lambda: asked[0])
        next(iter(server.gate._seats)).cut()
        assert server.gate.open == 0
        with suppress(ConnectionResetError):  # what it had sent was not read
            assert await flood.closed()


async def test_what_the_agent_makes_it_wait_does_not_count_for_how_long_its_request_may_take(host: FakeHost) -> None:
    """It was closed without an answer where that was longer."""
    async with serving(host.sampler(), limits=Limits(request_seconds=60)) as server, AsyncExitStack() as stack:
        waits = [0.0, 100.0]
        server.gate.account.wait_seconds = lambda client: waits.pop()  # type: ignore[method-assign]
        made: list[Lobby] = []
        real = Lobby._look

        def look(lobby: Lobby) -> None:
            made.append(lobby)
            real(lobby)

        stack.enter_context(pytest.MonkeyPatch.context()).setattr(Lobby, "_look", look)
        opened = asyncio.get_running_loop().time()
        flood = await stack.enter_async_context(server.connection())
        flood.send(ALL)
        await until(lambda: len(waits) == 1)
        assert made[0]._timer.when() >= opened + 160.0
