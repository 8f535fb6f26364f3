"""Too many, too large, too slow: the one is refused or cut, the others are answered."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, cast

import pytest
from aiohttp import web

from cgstatd.web import app
from cgstatd.web.server import event_stream
from cgstatd.web.server.gate import MOMENT_SECONDS, STALLED_SECONDS, Gate, Seat
from cgstatd.web.server.limits import KERNEL_BUFFER_BYTES, MAX_UNANSWERED_BYTES, Limits, Stream, Streams
from cgstatd.web.server.peer import address_key, is_private
from fakehost import FakeHost, Hang
from patience import until
from secured import Tokens, bearer, guard
from wire import ALL, STREAM, Connection, Server, agent, serving

FOLLOW = "/api/containers/stats/follow"


@asynccontextmanager
async def from_address(server: Server, address: str, receive: int = 0) -> AsyncIterator[Connection]:
    """A connection from one of the host's many loopback addresses, with a small receive buffer if so wished."""
    sock = socket.socket()
    if receive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    sock.bind((address, 0))
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
    connection = Connection(*await asyncio.open_connection(sock=sock, limit=1024 if receive else 1 << 16))
    try:
        yield connection
    finally:
        connection.writer.transport.abort()


# -- connections


async def test_a_connection_too_many_is_503_and_the_others_go_on(host: FakeHost) -> None:
    async with serving(host.sampler(), limits=Limits(connections=5)) as server, AsyncExitStack() as stack:
        server.gate.clock = lambda: 100.0  # nobody waits for long
        open_ones = [await stack.enter_async_context(server.connection()) for _ in range(5)]
        await until(lambda: server.gate.open == 5)
        answer = await server.ask(ALL)
        assert (answer.status, answer.json) == (503, {"error": "Too many connections"})
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["connection"] == "close"
        for connection in open_ones:
            connection.send(ALL)
            assert (await connection.answer()).status == 200
        await open_ones[0].close()
        await until(lambda: server.gate.open == 4)
        assert (await server.ask(ALL)).status == 200


async def test_one_address_does_not_take_the_place_of_the_others(host: FakeHost) -> None:
    limits = Limits(connections=20, connections_per_address=3)
    async with serving(host.sampler(), limits=limits) as server, AsyncExitStack() as stack:
        for _ in range(30):
            await stack.enter_async_context(server.connection())
        await until(lambda: server.gate.open == 3)
        assert (await server.ask(ALL)).status == 503
        async with from_address(server, "127.0.0.2") as other:
            other.send(ALL)
            assert (await other.answer()).status == 200


async def test_connections_that_are_left_alone_keep_nobody_out_whosever_they_are(host: FakeHost) -> None:
    now = 100.0
    async with serving(host.sampler(), limits=Limits(connections=20)) as server, AsyncExitStack() as stack:
        server.gate.clock = lambda: now
        mine = [await stack.enter_async_context(from_address(server, "127.0.0.99")) for _ in range(2)]
        for each in mine:
            each.send(ALL)
            assert (await each.answer()).status == 200
        for number in range(18):
            await stack.enter_async_context(from_address(server, f"127.0.1.{number}"))
        await until(lambda: server.gate.open == 20)
        async with from_address(server, "127.0.0.99") as another:
            another.send(ALL)
            assert (await another.answer()).status == 503  # they have just come, and may be about to ask
        now += MOMENT_SECONDS
        async with from_address(server, "127.0.0.99") as another:
            another.send(ALL)
            assert (await another.answer()).status == 200
        for each in mine:
            each.send(ALL)
            assert (await each.answer()).status == 200


async def test_those_who_are_refused_are_bounded_too(host: FakeHost) -> None:
    async with serving(host.sampler(), limits=Limits(connections=1)) as server, AsyncExitStack() as stack:
        for _ in range(200):
            await stack.enter_async_context(server.connection())
        await until(lambda: server.gate.refusing == 64)
        await until(lambda: server.gate.refusing == 0)  # nobody asked anything: they are cut


async def test_every_way_a_connection_ends_is_counted_out(host: FakeHost) -> None:
    async with serving(host.sampler(), limits=Limits(request_seconds=60, idle_seconds=0.2)) as server:
        async with server.connection() as gone, server.connection() as reset, server.connection() as bad:
            await until(lambda: server.gate.open == 3)
            reset.writer.transport.abort()
            bad.raw(b"\0\r\n\r\n")
            assert (await bad.answer()).status == 400
            await gone.close()
        async with server.connection() as idle:
            idle.send(ALL)
            assert (await idle.answer()).status == 200 and await idle.closed()
        assert (await server.ask(STREAM)).status == 200
        await until(lambda: server.gate.open == 0)
        assert server.gate._seats._by_client == {}


# -- too slow


async def test_a_request_that_does_not_arrive_is_cut_and_an_idle_connection_is_closed(host: FakeHost) -> None:
    """A byte now and then does not buy time, nor does a request before."""
    async with (
        serving(host.sampler(), limits=Limits(request_seconds=0.3, idle_seconds=0.6)) as server,
        server.connection() as slow,
        server.connection() as kept,
        server.connection() as idle,
    ):
        for connection in (kept, idle):
            connection.send(ALL)
            assert (await connection.answer()).status == 200
        await asyncio.sleep(0.4)  # idle is not slow
        kept.send(ALL)
        assert (await kept.answer()).status == 200
        for connection, first in ((kept, b"GET "), (slow, b"GET / HTTP/1.1\r\nHost: localhost\r\n")):
            connection.raw(first)
            with suppress(ConnectionError):
                while not connection.reader.at_eof() and connection.reader.exception() is None:
                    connection.raw(b"X: y\r\n" if connection is slow else b"")
                    await asyncio.sleep(0.05)
        assert await idle.closed()


# -- too large


async def test_a_body_is_not_read(server: Server) -> None:
    for how in ("Content-Length: 1000000000", "Transfer-Encoding: chunked"):
        async with server.connection() as connection:
            connection.send(ALL, how)
            assert (await connection.answer()).status == 413
            chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            sent = 0
            with pytest.raises(ConnectionError):
                while sent < 1 << 30:
                    connection.raw(chunk)
                    await connection.writer.drain()
                    sent += len(chunk)
            assert sent < 20 << 20
        await until(lambda: server.gate.open == 0)


async def test_requests_sent_far_ahead_of_the_answers_are_cut(server: Server) -> None:
    request = f"GET {ALL} HTTP/1.1\r\nHost: localhost\r\nX: {'y' * 4000}\r\n\r\n".encode()
    async with server.connection() as connection:
        connection.raw(request * 5)
        for _ in range(5):
            assert (await connection.answer()).status == 200
        connection.raw(request * (2 * MAX_UNANSWERED_BYTES // len(request)))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            for _ in range(40):
                await connection.answer()
    await until(lambda: server.gate.open == 0)


# -- those who do not read


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> FakeHost:
    """Containers with names so long that their figures are 450 kB: more than the kernel holds for a client. To be read
    only."""
    host = FakeHost(tmp_path_factory.mktemp("crowd"))
    for number in range(350):
        host.add(f"c{number}")
        host.on_disk(f"c{number}", running=True, shown="\N{SPOUTING WHALE}" * 256)
    return host


@pytest.mark.parametrize("target", [STREAM, ALL])
async def test_a_client_that_does_not_read_is_cut_and_its_buffer_is_bounded(crowd: FakeHost, target: str) -> None:
    async with (
        serving(crowd.sampler(), limits=Limits(send_seconds=1.0)) as server,
        from_address(server, "127.0.0.1", receive=4096) as sleeper,
    ):
        sleeper.send(target)
        await until(lambda: len(cast(Any, server.runner.server).connections) == 1)
        [handler] = cast(Any, server.runner.server).connections
        await until(lambda: handler._sending is not None)
        waiting = handler.transport.get_write_buffer_size()
        assert waiting == 0 or target == ALL, "nothing is written that it has no room for"
        kernel = handler.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert kernel <= 2 * KERNEL_BUFFER_BYTES
        assert (await server.ask("/healthz")).status == 200
        await until(lambda: server.gate.open == 0)


async def test_what_is_left_when_it_closes_is_not_waited_for_without_end(crowd: FakeHost) -> None:
    """A small rest in the buffer pauses nothing, and closing would wait for it."""
    async with (
        serving(crowd.sampler(), limits=Limits(send_seconds=0.5, idle_seconds=0.3)) as server,
        from_address(server, "127.0.0.1", receive=4096) as sleeper,
    ):
        for _ in range(3):
            sleeper.send(STREAM)
        await until(lambda: server.gate.open == 0)


async def test_a_slow_reader_that_reads_is_not_cut(crowd: FakeHost) -> None:
    async with (
        serving(crowd.sampler(), limits=Limits(send_seconds=1.0)) as server,
        from_address(server, "127.0.0.1", receive=200_000) as reader,
    ):
        reader.send(STREAM)
        await reader.head()
        got = 0
        while data := await reader.reader.read(16384):
            got += len(data)
            await asyncio.sleep(0.02)
        assert got > 400_000


# -- streams


async def test_a_stream_too_many_is_503_and_the_others_go_on(host: FakeHost) -> None:
    checks = guard(limits=Limits(streams=2, streams_per_client=2))
    async with serving(host.sampler(), guard=checks) as server, AsyncExitStack() as stack:
        for address in ("127.0.0.1", "127.0.0.2"):
            connection = await stack.enter_async_context(from_address(server, address))
            connection.send(FOLLOW)
            assert (await connection.head()).status == 200
        for address in ("127.0.0.1", "127.0.0.3"):  # no client has so many that it would make room
            async with from_address(server, address) as refused:
                refused.send(FOLLOW)
                answer = await refused.answer()
                assert (answer.status, answer.json) == (503, {"error": "Too many streams"})
                assert answer.headers["retry-after"] == "5"
        assert (await server.ask(ALL)).status == 200
    assert len(checks.streams) == 0


async def test_streams_are_counted_by_token_wherever_they_come_from(host: FakeHost, tokens: Tokens) -> None:
    one, two = tokens.new("one"), tokens.new("two")
    checks = guard(tokens, limits=Limits(streams_per_client=1))
    async with serving(host.sampler(), guard=checks) as server, from_address(server, "127.0.0.2") as first:
        first.send(FOLLOW, bearer(one))
        assert (await first.head()).status == 200
        assert (await server.ask(FOLLOW, bearer(one))).status == 503
        async with server.connection() as second:
            second.send(FOLLOW, bearer(two))
            assert (await second.head()).status == 200


async def test_a_stream_whose_client_has_gone_makes_room_at_once(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when there is something to write: until then, a client that reconnects often would lock itself out."""
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 3600.0)
    checks = guard(limits=Limits(streams=1))
    async with serving(host.sampler(), guard=checks) as server:
        hang.names.add("b")  # so that the short stream stays open too
        for target in (f"{FOLLOW}?interval=60", STREAM) * 3:
            async with server.connection() as leaving:
                leaving.send(target)
                assert (await leaving.head()).status == 200
                assert target == STREAM or len(checks.streams) == 1
            await until(lambda: len(checks.streams) == 0)
        hang.release()
        assert (await server.ask(ALL)).status == 200


# -- counting


def test_what_is_counted_as_one_address_and_what_only_this_host_can_reach() -> None:
    for where, key in (
        (("192.0.2.1", 5), "192.0.2.1"), (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::/64"), (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        ("", "unix"), (b"\0x", "unix"), (None, "unix"),
    ):  # fmt: skip
        assert address_key(where) == key
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as loopback, socket.socket() as everywhere:
        loopback.bind(("127.0.0.5", 0))
        everywhere.bind(("0.0.0.0", 0))
        assert is_private(unix) and is_private(loopback) and not is_private(everywhere)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def admitted(gate: Gate, key: str, gone: list[str], name: str = "") -> Seat:
    """A connection that says when it is cut."""
    seat = gate.admit(key)
    assert seat is not None
    seat.cut = lambda: gone.append(name or key)
    return seat


def test_a_gate_forgets_addresses_that_have_left() -> None:
    gate = Gate(Limits(connections=2, connections_per_address=1), Clock())
    a, b = gate.admit("a"), gate.admit("b")
    assert a is not None and b is not None and gate.admit("a") is None and gate.admit("c") is None
    a.leave()
    a.leave()
    c = gate.admit("c")
    assert c is not None and gate.open == 2
    b.leave()
    c.leave()
    assert gate.open == 0 and gate.admitted == 3 and gate._seats._by_client == {}


def test_the_connection_that_has_waited_longest_makes_room_for_one_of_the_same_address() -> None:
    clock, gone = Clock(), list[str]()
    gate = Gate(Limits(connections_per_address=3), clock)
    for name in ("kept alive", "first", "second"):
        seat = admitted(gate, "a", gone, name)
        clock.now += 0.1
        if name == "kept alive":  # it has asked: it goes after those that never did
            seat.asks()
            seat.waits()
    assert gate.admit("a") is None, "each has a moment to ask"
    clock.now += MOMENT_SECONDS
    asking = admitted(gate, "a", gone)
    asking.asks()
    assert gone == ["first"] and gate.open == 3
    clock.now += MOMENT_SECONDS
    admitted(gate, "a", gone).asks()
    admitted(gate, "a", gone).asks()
    assert gone == ["first", "second", "kept alive"]
    clock.now += 60
    assert gate.admit("a") is None, "what is being answered is not cut"
    asking.waits()
    clock.now += MOMENT_SECONDS
    assert gate.admit("a") is not None and gate.open == 3


@pytest.mark.parametrize(
    ("keys", "gone_then"),
    [
        pytest.param(("crowd", "crowd", "crowd", "pair", "pair", "one"), "crowd", id="the one with the most"),
        pytest.param(("busy", "busy", "busy", "idle", "idle", "one"), "idle", id="the next, where that has none idle"),
    ],
)
def test_where_all_places_are_taken_the_address_with_the_most_makes_room(keys: tuple[str, ...], gone_then: str) -> None:
    clock, gone = Clock(), list[str]()
    gate = Gate(Limits(connections=6, connections_per_address=4), clock)
    for key in keys:
        seat = admitted(gate, key, gone)
        if key == "busy":
            seat.asks()
    clock.now += MOMENT_SECONDS
    admitted(gate, "newcomer", gone)
    assert gone == [gone_then]
    admitted(gate, "one", gone).asks()
    assert gone in ([gone_then, "crowd"], [gone_then, "pair"], [gone_then, "idle"]) and gate.open == 6


def test_an_address_with_as_many_as_any_other_takes_no_place_from_one() -> None:
    clock, gone = Clock(), list[str]()
    gate = Gate(Limits(connections=4), clock)
    for key in ("a", "a", "b", "b"):
        seat = admitted(gate, key, gone)
        seat.asks()
        seat.waits()
    clock.now += 60
    assert gate.admit("a") is None and gone == []


def test_a_part_of_the_places_is_kept_for_addresses_that_have_few() -> None:
    gate = Gate(Limits(connections=64, connections_per_address=60), Clock())
    crowd = [gate.admit("crowd") for _ in range(60)]
    assert sum(seat is not None for seat in crowd) == 56, "an eighth of 64 is left"
    others = [gate.admit(f"other {number}") for number in range(10)]
    assert sum(seat is not None for seat in others) == 8 and gate.open == 64
    streams = Streams(Limits(streams=16, streams_per_client=16))
    assert sum(streams.enter("heavy", None, lambda: True) is not None for _ in range(16)) == 14


def test_an_answer_that_is_not_read_makes_room_too() -> None:
    clock, gone = Clock(), list[str]()
    gate = Gate(Limits(connections_per_address=2), clock)
    stalled, reading = admitted(gate, "a", gone, "stalled"), admitted(gate, "a", gone, "reading")
    for seat in (stalled, reading):
        seat.asks()
        seat.stalls()
    clock.now += STALLED_SECONDS
    reading.flows()
    admitted(gate, "a", gone).asks()
    assert gone == ["stalled"] and gate.admit("a") is None


class Wire:
    """A transport that says when it is aborted."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_the_client_with_the_most_streams_makes_room_for_one_with_fewer() -> None:
    streams, wires = Streams(Limits(streams=4, streams_per_client=3)), [Wire() for _ in range(6)]

    def enter(client: str, wire: Wire) -> Stream | None:
        return streams.enter(client, cast(Any, wire), lambda: True)

    heavy = [enter("heavy", wire) for wire in wires[:3]]
    assert all(heavy) and enter("heavy", wires[3]) is None, "no more for one client"
    assert enter("light", wires[3]) and enter("other", wires[4]) and len(streams) == 4
    assert [wire.aborted for wire in wires] == [True, False, False, False, False, False]
    assert enter("light", wires[5]) is None, "it would have as many as the one with the most"
    for stream in heavy:
        assert stream is not None
        streams.leave(stream)  # the first of them for the second time
    assert len(streams) == 2


# -- the program


def test_the_limits_come_from_the_command_line(host: FakeHost) -> None:
    arguments = ("--host-root", str(host.path), "--listen", "127.0.0.1:0", "--max-streams", "1")
    with agent(*arguments, "--max-connections", "2", "--request-timeout", "0.5") as started:
        here = ("127.0.0.1", started.port)
        with socket.create_connection(here), socket.create_connection(here), socket.create_connection(here) as three:
            three.sendall(f"GET {ALL} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert three.recv(100).startswith(b"HTTP/1.1 503 ")
        with socket.create_connection(here) as silent, suppress(ConnectionResetError):
            assert silent.recv(1) == b""
        opened = 0
        while opened < 3:  # the agent notices in its own time that the one before has gone
            with socket.create_connection(here) as client:
                client.sendall(f"GET {FOLLOW}?interval=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                opened += client.recv(15).startswith(b"HTTP/1.1 200 ")
        assert started.process.poll() is None


# -- gone


async def test_a_client_that_is_gone_before_its_answer_is_no_error(
    host: FakeHost, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed between the request and the answer's first byte, as a RST does."""
    gone: list[str] = []

    async def leave(request: web.Request, response: web.StreamResponse) -> None:
        assert request.transport is not None
        request.transport.abort()
        gone.append(request.path)

    monkeypatch.setattr(app, "_common_headers", leave)
    async with serving(host.sampler()) as server:
        for target in (FOLLOW, STREAM, ALL, "/metrics", "/api/containers", "/api/host", "/"):
            async with server.connection() as connection:
                connection.send(target)
                assert await connection.closed()
            assert gone.pop() == target
            await until(lambda: server.gate.open == 0)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
