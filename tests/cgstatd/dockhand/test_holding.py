"""The connection over time: refused, silent, cut and back, with events and figures of the host."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import WSCloseCode

from certificates import Pair, authority, issue
from cgstatd.basics.destination import Destination
from cgstatd.dockhand import link as link_module
from cgstatd.dockhand import outbox
from cgstatd.dockhand.link import address_of
from cgstatd.dockhand.session import FIRST_METRICS_SECONDS, METRICS_SECONDS, PING_SECONDS, SILENCE_SECONDS
from cgstatd.host.identity import Identity
from cgstatd.outputs.engine.events import event
from dockhand import TOKEN, Link, Message, dockhand
from fakehost import FakeHost, container_id
from helpers import write_files

from .conftest import Caller, calling

# -- the token


async def test_a_wrong_token_is_told_once_and_tried_again_after_a_minute(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caller.token.write_text("wrong-token")
    await caller.connector.tell(caller.destination)
    await caller.dockhand.refused()
    assert await caller.time.sleeper(lambda seconds: seconds == 60)
    caller.time.advance(59.9)
    assert caller.dockhand.refusals == 1
    caller.time.advance(0.2)
    await caller.dockhand.refused(2)
    await caller.time.sleeper(lambda seconds: seconds == 60)
    assert [record.getMessage() for record in caplog.records if "refused" in record.getMessage()] == [
        f"dockhand not connected url={caller.destination.url}: refused: Invalid token"
    ]
    caller.token.write_text(TOKEN)
    caller.connector.try_now()
    assert (await caller.dockhand.link()).hello["token"] == TOKEN
    assert "wrong-token" not in caplog.text and TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("", "expected one token"), ("a b", "expected one token"), ("\xff", "expected one token"),
     ("x" * 513, "expected one token"), ("a\nb", "expected one token")],
)  # fmt: skip
async def test_a_token_that_cannot_be_used(
    caller: Caller, caplog: pytest.LogCaptureFixture, content: str | None, words: str
) -> None:
    if content is None:
        caller.token.unlink()
    else:
        caller.token.write_text(content, encoding="latin-1")
    await caller.connector.tell(caller.destination)
    await caller.time.sleeper(lambda seconds: seconds == 1)
    assert words in caplog.text and not caller.dockhand.links
    caller.token.write_text(f"  {TOKEN}\n")
    caller.time.advance(1)
    await caller.dockhand.link()


async def test_the_server_says_when_it_wants_it_again(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiohttp import web

    async def throttle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_json({"type": "error", "message": "Reconnection throttled.", "retryAfter": 120})
        return socket

    caller.dockhand.handler = throttle
    await caller.connector.tell(caller.destination)
    assert await caller.time.sleeper(lambda seconds: seconds > 60) == 120


# -- silence


async def test_silence_ends_it(link: Link, caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    link.answer_pings = False
    await caller.time.sleeper(lambda seconds: seconds == SILENCE_SECONDS)
    caller.time.advance(SILENCE_SECONDS - 1)
    await link.got("ping")
    assert link.close_code is None
    caller.time.advance(1)
    await link.closed()
    assert "nothing heard for 90 s" in caplog.text
    await caller.time.sleeper(lambda seconds: seconds == 1)
    caller.time.advance(1)
    await caller.dockhand.link(2)


@pytest.mark.parametrize("kind", ["ping", "unknown", "frame"])
async def test_any_sign_of_life_counts(link: Link, caller: Caller, kind: str) -> None:
    link.answer_pings = False
    await caller.time.sleeper(lambda seconds: seconds == SILENCE_SECONDS)
    caller.time.advance(SILENCE_SECONDS - 1)
    if kind == "frame":
        await link.socket.ping(b"x")
    else:
        await link.send(type=kind, timestamp=7)
    await link.ask("/_ping")
    caller.time.advance(SILENCE_SECONDS - 1)
    await link.ask("/_ping")
    if kind == "ping":
        assert (await link.got("pong"))[0]["timestamp"] == 7


async def test_a_sign_of_life_goes_out_every_half_minute(link: Link, caller: Caller) -> None:
    for number in range(1, 4):
        await caller.time.sleeper(lambda seconds: seconds == PING_SECONDS)
        caller.time.advance(PING_SECONDS)
        await link.got("ping", count=number)


# -- cut and back


async def test_cut_and_back(caller: Caller) -> None:
    await caller.connector.tell(caller.destination)
    for number in range(1, 5):
        link = await caller.dockhand.link(number)
        assert (await link.ask("/_ping"))["statusCode"] == 200
        assert caller.connector.connected
        await link.send(type="request", requestId="s", method="GET", path="/containers/a/stats", streaming=True)
        await link.got("stream")
        link.cut()
        wait = 2.0 ** (number - 1)
        await caller.time.sleeper(partial(eq, wait))
        assert (caller.connector.connected, caller.streams) == (False, 0)
        caller.time.advance(wait)


async def test_a_connection_that_held_is_made_again_soon(caller: Caller) -> None:
    await caller.connector.tell(caller.destination)
    (await caller.dockhand.link(1)).cut()
    await caller.time.sleeper(lambda seconds: seconds == 1)
    caller.time.advance(1)
    link = await caller.dockhand.link(2)
    await link.ask("/_ping")
    caller.time.advance(60)
    await link.ask("/_ping")
    link.cut()
    await caller.time.sleeper(lambda seconds: seconds == 1)


async def test_hanging_up_is_told_to_the_server(link: Link, caller: Caller) -> None:
    await caller.connector.stop()
    assert await link.closed() == WSCloseCode.GOING_AWAY


async def test_another_server(link: Link, caller: Caller) -> None:
    await caller.connector.tell(caller.destination)
    async with dockhand() as (second, url):
        await caller.connector.tell(Destination(url, str(caller.token)))
        await link.closed()
        assert len(caller.dockhand.links) == 1
        await second.link()
        await caller.connector.tell(Destination())
        assert await second.links[0].closed() == WSCloseCode.GOING_AWAY
    assert not caller.connector.connected


# -- events


def actions(found: list[Message]) -> list[tuple[str, str]]:
    return [(each["event"]["containerName"], each["event"]["action"]) for each in found]


async def test_events_arrive(link: Link, caller: Caller, host: FakeHost) -> None:
    await listening(caller)
    host.add("new")
    found = (await link.got("container_event", lambda each: each["event"]["action"] == "start"))[0]["event"]
    assert (found["containerId"], found["containerName"], found["image"]) == (
        container_id("new"),
        "new",
        "lab/busybox:1",
    )
    assert found["actorAttributes"]["cgstatd.runtime"] == "docker" and found["timestamp"].endswith("Z")


async def listening(caller: Caller) -> None:
    """Wait until what happens now becomes an event."""
    source = caller.connector._parts.engine.events
    while source._before is None or not source._listeners:
        await asyncio.sleep(0.005)


async def test_what_happens_while_there_is_no_link_arrives_later(link: Link, caller: Caller, host: FakeHost) -> None:
    await listening(caller)
    link.cut()
    await caller.time.sleeper(lambda seconds: seconds == 1)
    heard = caller.connector._parts.engine.events
    host.add("new")
    while not any(each.action == "start" for each in heard._told._kept):
        await asyncio.sleep(0.005)
    caller.time.advance(1)
    again = await caller.dockhand.link(2)
    await again.got("container_event", lambda each: each["event"]["action"] == "start")
    assert actions(again.messages["container_event"]) == [("new", "create"), ("new", "start")]
    await again.got("ping")
    again.cut()
    await caller.time.sleeper(lambda seconds: seconds == 2)
    caller.time.advance(2)
    third = await caller.dockhand.link(3)
    await third.ask("/_ping")
    assert not third.messages["container_event"]  # the server has confirmed them


def tell(caller: Caller, name: str, action: str) -> None:
    """Something happens to a container that is none of the host's."""
    identity = Identity(container_id(name), name, "docker", 0, None)
    caller.connector._parts.engine.events._tell(event(action, identity, 1))


@pytest.mark.parametrize("taken", [True, False])
async def test_what_the_servers_host_has_taken_is_not_sent_again_and_what_a_dead_link_swallowed_is(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """The link is cut between an event and the server's sign that it has read it."""
    if not taken:
        monkeypatch.setattr(link_module.Link, "acknowledged", lambda _: False)
    await caller.connector.tell(caller.destination)
    link = await caller.dockhand.link()
    link.answer_pings = False
    await listening(caller)
    tell(caller, "new", "create")
    tell(caller, "new", "start")
    await link.got("container_event")
    link.cut()
    await caller.time.sleeper(lambda seconds: seconds == 1)
    caller.time.advance(1)
    again = await caller.dockhand.link(2)
    await again.got("container_event", count=1 if taken else 2)
    arrived = link.messages["container_event"] * taken + again.messages["container_event"]
    assert actions(arrived) == [("new", "create"), ("new", "start")]


async def test_over_many_cuts_each_event_comes_once_and_in_order(caller: Caller) -> None:
    await caller.connector.tell(caller.destination)
    arrived: list[tuple[str, str]] = []
    for number in range(1, 6):
        link = await caller.dockhand.link(number)
        link.answer_pings = number % 2 == 0
        await listening(caller)
        for action in ("create", "start", "die"):
            tell(caller, f"new{number}", action)
        # a server that answers pings gets the next one, too; it is not cut while that is on its way
        await link.got("container_event", count=3 * number - len(arrived) if link.answer_pings else 1)
        link.cut()
        await caller.time.sleeper(partial(eq, 2.0 ** (number - 1)))
        arrived += actions(link.messages["container_event"])
        caller.time.advance(2.0 ** (number - 1))
    last = await caller.dockhand.link(6)
    await last.got("container_event", count=15 - len(arrived))
    await last.ask("/_ping")
    arrived += actions(last.messages["container_event"])
    assert arrived == [(f"new{number}", action) for number in range(1, 6) for action in ("create", "start", "die")]


async def test_events_that_no_server_confirms_are_bounded(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_UNCONFIRMED", 3)
    await caller.connector.tell(caller.destination)
    link = await caller.dockhand.link()
    link.answer_pings = False
    await listening(caller)
    for number in range(12):
        tell(caller, f"new{number}", "create")
    [listener] = caller.connector._parts.engine.events._listeners
    while len(listener._waiting) != 12 - 3 - 1:  # one is held by what waits for room
        await asyncio.sleep(0.005)
    await link.ask("/_ping")
    assert len(link.messages["container_event"]) == 1
    for number in range(2, 13):
        await link.send(type="pong", timestamp=1)
        await link.got("container_event", count=number)
    assert actions(link.messages["container_event"]) == [(f"new{number}", "create") for number in range(12)]


async def test_whether_the_servers_host_has_every_byte() -> None:
    """Of a real connection: read, not read, and cut."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        with ours, theirs:
            link = link_module.Link(cast(Any, None), ours)
            ours.sendall(b"x")
            theirs.recv(1)
            assert link.acknowledged()
            ours.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:  # until the server's host takes no more
                    ours.send(b"x" * 65536)
            assert not link.acknowledged()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            with pytest.raises(OSError):
                while True:
                    ours.recv(1)
            assert not link.acknowledged()
    assert not link_module.Link(cast(Any, None), None).acknowledged()


# -- the host's figures


async def test_the_hosts_figures_every_half_minute(link: Link, caller: Caller, host: FakeHost) -> None:
    await caller.time.sleeper(lambda seconds: seconds == FIRST_METRICS_SECONDS)
    await asyncio.sleep(0.25)  # /proc/stat is compared over a fifth of a second of real time at least
    write_files(
        str(host.path),
        {"proc/stat": "cpu  1100 0 1050 7050 500 0 0 500 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\nbtime 1795606461\n"},
    )
    caller.time.advance(FIRST_METRICS_SECONDS)
    [found] = await link.got("metrics")
    assert found["metrics"] == {
        "cpuUsage": 150.0, "cpuCores": 2, "memoryTotal": 4096 << 10, "memoryUsed": 3072 << 10,
        "memoryFree": 1024 << 10, "networkRxBytes": 5, "networkTxBytes": 5, "uptime": 90061,
    }  # fmt: skip
    assert found["timestamp"] > 1_600_000_000_000
    await caller.time.sleeper(lambda seconds: seconds == METRICS_SECONDS)
    caller.time.advance(METRICS_SECONDS)
    await link.got("ping")
    assert len(link.messages["metrics"]) <= 2


async def test_a_host_that_does_not_say_what_the_server_counts_on(caller: Caller, host: FakeHost) -> None:
    (host.path / "proc/meminfo").unlink()
    await caller.connector.tell(caller.destination)
    link = await caller.dockhand.link()
    for _ in range(2):
        await caller.time.sleeper(lambda seconds: seconds == PING_SECONDS)
        caller.time.advance(PING_SECONDS)
        await link.ask("/_ping")
    assert not link.messages["metrics"]


# -- TLS


@pytest.fixture
def ours(tmp_path: Path) -> Pair:
    return authority(tmp_path, "ours")


def context_of(pair: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    return context


@pytest.fixture
async def secret(host: FakeHost, tmp_path: Path, ours: Pair) -> AsyncIterator[Caller]:
    """A server whose certificate is by an authority of its own."""
    context = context_of(issue(tmp_path, "dockhand", ours, "127.0.0.1"))
    async with dockhand(context) as (found, url), calling(host, tmp_path, found, url) as caller:
        yield caller


async def test_a_certificate_of_a_known_authority(secret: Caller, ours: Pair) -> None:
    await secret.connector.tell(Destination(secret.destination.url, str(secret.token), ours.cert))
    assert (await (await secret.dockhand.link()).ask("/_ping"))["statusCode"] == 200


@pytest.mark.parametrize("name", ["127.0.0.1", "dockhand.example.org"])
async def test_a_certificate_of_an_unknown_authority_or_for_another_name(
    host: FakeHost, tmp_path: Path, ours: Pair, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    known = ours.cert if name != "127.0.0.1" else ""
    context = context_of(issue(tmp_path, "dockhand", ours, name))
    async with dockhand(context) as (found, url), calling(host, tmp_path, found, url, known) as caller:
        await caller.connector.tell(caller.destination)
        await caller.time.sleeper(lambda seconds: seconds == 1)
        assert "its certificate is not accepted" in caplog.text and not found.links


async def test_authorities_that_cannot_be_read(
    secret: Caller, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad.crt").write_text("nothing")
    for ca in ("bad.crt", "none.crt"):
        await secret.connector.tell(Destination(secret.destination.url, str(secret.token), str(tmp_path / ca)))
        await secret.time.sleeper(lambda seconds: seconds >= 1)
    assert caplog.text.count("dockhand not connected") == 2


def test_the_path_is_dockhands_where_none_is_named() -> None:
    assert address_of("wss://d.example.org") == "wss://d.example.org/api/hawser/connect"
    assert address_of("wss://d.example.org/") == "wss://d.example.org/api/hawser/connect"
    assert address_of("wss://d.example.org:1/x") == "wss://d.example.org:1/x"
