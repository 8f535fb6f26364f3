"""A server that means harm: what it sends ends the connection or is ignored; nothing is given, memory is bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from cgstatd.dockhand import link as link_module
from cgstatd.dockhand import session
from cgstatd.dockhand.messages import MOST_BYTES
from dockhand import Link

from .conftest import Caller

REQUEST = {"type": "request", "requestId": "r", "method": "GET", "path": "/_ping"}


@pytest.mark.parametrize(
    "frame",
    [b"", b"nothing", b"[]", b"7", b"{}", b'{"type":7}', b'{"type":"request"}', b'{"type":"request","requestId":7}',
     json.dumps(REQUEST | {"path": ["/"]}).encode(), json.dumps(REQUEST | {"requestId": ""}).encode(),
     json.dumps(REQUEST | {"requestId": "x" * 129}).encode(), json.dumps(REQUEST | {"streaming": "yes"}).encode(),
     b'{"type":"stream_end"}', b'{"type":"ping","timestamp":{}}', b'{"type":"ping","x":' + b"[" * 200_000,
     b'{"type":"x"', b'\xff{"type":"x"}', b'{"type":"exec_start","execId":7}', b'{"type":"error","message":7}'],
)  # fmt: skip
async def test_what_is_not_the_protocol_ends_it(
    link: Link, caller: Caller, caplog: pytest.LogCaptureFixture, frame: bytes
) -> None:
    assert link.socket._writer is not None
    await link.socket._writer.send_frame(frame, WSMsgType.TEXT)
    await link.closed()
    await caller.time.sleeper(lambda seconds: seconds == 1)
    assert not link.messages["response"] and "Traceback" not in caplog.text
    caller.time.advance(1)
    assert (await (await caller.dockhand.link(2)).ask("/_ping"))["statusCode"] == 200


async def test_a_binary_frame_ends_it(link: Link) -> None:
    await link.socket.send_bytes(json.dumps(REQUEST).encode())
    await link.closed()
    assert not link.messages["response"]


async def test_two_requests_with_one_id_end_it(link: Link) -> None:
    stream = REQUEST | {"path": "/containers/a/stats", "streaming": True}
    await link.send(**stream)
    await link.send(**stream)
    await link.closed()


@pytest.mark.parametrize("fragments", [1, 64])
async def test_a_huge_frame_ends_it(link: Link, caller: Caller, fragments: int) -> None:
    size = 2 * MOST_BYTES // fragments
    writer: Any = link.socket._writer
    for number in range(fragments):
        opcode = WSMsgType.TEXT if number == 0 else WSMsgType.CONTINUATION
        header = bytes([opcode | (0x80 if number == fragments - 1 else 0), 127]) + size.to_bytes(8, "big")
        writer.transport.write(header + b" " * size)
    assert await link.closed() in (1006, 1009)
    await caller.time.sleeper(lambda seconds: seconds == 1)


async def test_a_large_request_is_refused_and_the_connection_stays(link: Link) -> None:
    """A stack that Dockhand wants to deploy, say."""
    found = await link.ask("/_hawser/compose", "POST", body={"files": "x" * (MOST_BYTES // 2)})
    assert found["statusCode"] == 403


async def test_unknown_types_are_ignored_and_told_once(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for number in range(1000):
        await link.send(type=f"future{number}\n\x1b[31m", requestId="x", path=["anything"])
        await link.send(type="welcome")
        await link.send(type="hello", token="x")
        await link.send(type="response", requestId="x")
    assert (await link.ask("/_ping"))["statusCode"] == 200
    said = [record.getMessage() for record in caplog.records if "not known here" in record.getMessage()]
    assert len(said) == 1 and "\x1b" not in said[0] and "\n" not in said[0]


async def test_pongs_that_were_not_asked_for_confirm_nothing(link: Link) -> None:
    for _ in range(100):
        await link.send(type="pong", timestamp=1)
    assert (await link.ask("/_ping"))["statusCode"] == 200


async def test_a_flood_of_pings(link: Link) -> None:
    for number in range(2000):
        await link.send(type="ping", timestamp=number)
    found = await link.got("pong", count=2000)
    assert [each["timestamp"] for each in found] == list(range(2000))


async def test_a_server_that_reads_nothing(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It asks and asks; what waits for it is bounded, and it is hung up on."""
    monkeypatch.setattr(session, "SEND_SECONDS", 0.3)
    done = asyncio.Event()

    async def deaf(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_json({"type": "welcome"})
        number = 0
        try:
            while True:
                number += 1
                await socket.send_json(REQUEST | {"requestId": f"r{number}", "path": "/containers/json?all=1"})
        except ConnectionError:
            done.set()
        return socket

    caller.dockhand.handler = deaf
    await caller.connector.tell(caller.destination)
    await caller.time.sleeper(lambda seconds: seconds == 1)
    assert "the server takes no more" in caplog.text
    await done.wait()


# -- before the welcome


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answering(*messages: Any, close: int = 0) -> Handler:
    """A server that answers the hello with these."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        for each in messages:
            await socket.send_str(each if isinstance(each, str) else json.dumps(each))
        if close:
            await socket.close(code=close)
        async for found in socket:
            assert json.loads(found.data)["type"] != "response"
        return socket

    return handler


async def redirect(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:1/")


async def plain(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="x" * 100_000)


async def long_header(_request: web.Request) -> web.StreamResponse:
    return web.Response(headers={"X": "x" * 100_000})


async def mute(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        pass
    return socket


async def no_answer(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    while not request.transport.is_closing():
        await asyncio.sleep(0.01)
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (redirect, "no WebSocket there: HTTP 302"),
        (plain, "no WebSocket there: HTTP 200"),
        (long_header, ""),
        (mute, "no answer within"),
        (no_answer, "no answer within"),
        (answering(REQUEST), "asks before it has welcomed"),
        (answering("nothing"), "not a message of the protocol"),
        (answering({"type": "error", "error": "no\x1b[31m" + "x" * 5000}), "refused: no"),
        (answering({"type": "error"}), "refused: without a reason"),
        (answering({"type": "error", "retryAfter": "x"}), "not a message of the protocol"),
        (answering(close=1008), "refused: closed by the server (1008)"),
        (answering(close=1011), "closed by the server (1011)"),
        (answering("x" * (MOST_BYTES + 1)), ""),
    ],
    ids=lambda each: each if isinstance(each, str) else getattr(each, "__name__", ""),
)
async def test_a_server_that_does_not_welcome(
    caller: Caller, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, handler: Handler, words: str
) -> None:
    if words == "no answer within":  # the others answer, however long a busy machine takes
        monkeypatch.setattr(link_module, "CONNECT_SECONDS", 0.3)
    caller.dockhand.handler = handler
    await caller.connector.tell(caller.destination)
    await caller.time.sleeper(lambda seconds: seconds in (1, 60))
    said = [record.getMessage() for record in caplog.records if "dockhand not connected" in record.getMessage()]
    assert len(said) == 1 and words in said[0] and len(said[0]) < 400 and "\x1b" not in said[0]
    assert "Traceback" not in caplog.text
