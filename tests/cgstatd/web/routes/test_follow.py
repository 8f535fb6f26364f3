"""GET /api/containers/stats/follow, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cgroupfs import Descriptors, detect
from cgstatd import __version__
from cgstatd.feed.follow import follower as module
from cgstatd.feed.follow.sent_events import CHANGES, FORGOTTEN, UNKNOWN
from cgstatd.host import runtimes
from cgstatd.host.discovery import Discovery
from cgstatd.host.identity import Names
from cgstatd.host.state_changes import StateWatch
from cgstatd.outputs.pressure_types import FollowPressure, PressureWait
from cgstatd.sampling.rates import CpuWindow
from cgstatd.sampling.reading_failed import ReadingFailed
from cgstatd.sampling.registry import Registry
from cgstatd.sampling.round import Round
from cgstatd.sampling.sampler import Sampler
from cgstatd.web.server import event_stream
from documented import conforms
from fakehost import FakeHost, Hang, HostClock, container_id, net_dev, share_network, unreadable
from patience import until
from wire import ALL, Connection, Server, serving

FOLLOW = "/api/containers/stats/follow"
EVENT = re.compile(rb"event: ([a-z]+)\n(?:id: ([0-9a-f]+-\d+)\n)?data: (\{[^\r\n]*\})\n\n")


class Follower:
    """A client that parses what it gets, chunk by chunk: whole events only."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.events: list[tuple[str, str, Any]] = []
        """(event, id, data)"""
        self.keepalives = 0

    async def begin(self, query: str = "", *headers: str) -> None:
        self.connection.send(f"{FOLLOW}{query}", *headers)
        self.answer = await self.connection.head()

    async def chunk(self) -> bytes:
        chunk = await self.connection.chunk(self.answer)
        rest = chunk.replace(b": keepalive\n\n", b"")
        self.keepalives += len(rest) != len(chunk)
        found = list(EVENT.finditer(rest))
        assert b"".join(match[0] for match in found) == rest, chunk
        self.events += [(m[1].decode(), (m[2] or b"").decode(), json.loads(m[3])) for m in found]
        return chunk

    async def until(self, name: str, times: int = 1) -> Any:
        """Receive until an event of that name was there that often; the last one's data."""
        while len(found := self.of(name)) < times:
            assert await self.chunk()
        return found[-1]

    async def until_stat(self, name: str) -> Any:
        """Receive until a round has had that container; its latest figures."""
        while not (found := [data for data in self.of("stat") if data["name"] == name]):
            assert await self.chunk()
        return found[-1]

    async def until_kills(self, name: str, total: int) -> None:
        """Receive until a round has had so many OOM kills of a container: on a busy machine a look may come too late
        for its round."""
        while not any(data["name"] == name and data["oomKills"] == total for data in self.of("stat")):
            assert await self.chunk()

    def count_up(self, after: str = "") -> bool:
        """Whether every event but hello has an id that counts up, from the one ``after`` on, in one run."""
        ids = [event_id.partition("-") for _, event_id, _ in self.events[1:]]
        numbers = [int(number) for _, _, number in ids]
        begins = not after or numbers[0] == int(after.partition("-")[2]) + 1
        return len({run for run, _, _ in ids}) == 1 and numbers == sorted(set(numbers)) and begins

    def of(self, name: str) -> list[Any]:
        return [data for event, _, data in self.events if event == name]


@asynccontextmanager
async def following(server: Server, query: str = "?interval=0.25", *headers: str) -> AsyncIterator[Follower]:
    async with server.connection() as connection:
        client = Follower(connection)
        await client.begin(query, *headers)
        yield client


async def test_hello_comes_first_then_a_round_at_once_with_every_container_that_has_a_cgroup(
    server: Server, host: FakeHost
) -> None:
    share_network(host)
    async with following(server, "?interval=60") as client:
        headers = client.answer.headers
        assert (client.answer.status, headers["content-type"]) == (200, "text/event-stream")
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")
        round_ = await client.until("round")
        assert [name for name, _, _ in client.events] == ["hello", "stat", "stat", "stat", "stat", "round"]
        assert client.of("hello") == [
            {"env": 1, "interval": 60.0, "version": __version__, "resumed": False, "missed": None}
        ]
        assert client.events[0][1] == "" and client.count_up()
        assert (round_["round"], round_["containers"], round_["interval"]) == (1, 4, 60.0)
        stats = {data["name"]: data for data in client.of("stat")}
        assert set(stats) == {"a", "b", "c", "paused"}
        assert (stats["a"]["state"], stats["paused"]["state"]) == ("running", "paused")
        assert stats["a"]["id"] == container_id("a") and stats["a"]["runtime"] == "docker"
        assert stats["a"]["pids"] == 1 and stats["a"]["memoryLimited"] is False
        assert stats["a"]["networkRxRate"] is None  # nothing to compare with yet
        networks = {name: data["networkNamespace"] for name, data in stats.items()}
        assert networks["a"] == networks["b"] == net_dev(host, "b").stat().st_ino
        assert networks["c"] not in (None, networks["a"])


@pytest.fixture
async def told(host: FakeHost, quick: None) -> AsyncIterator[Server]:
    """A server that inotify tells of its containers."""
    root = host.root()
    hierarchy, names = detect(root), Names(runtimes.system_sources(root), lambda _: [], root=root)
    discovery = Discovery(root, hierarchy, runtimes.match, follow=True)
    states = StateWatch(root, follow=True)
    registry = Registry(root, hierarchy, discovery, names, Descriptors(100), states=states)
    async with serving(Sampler(root, hierarchy, registry, names)) as server:
        yield server


async def test_who_comes_and_goes_between_two_rounds_is_told_at_once(told: Server, host: FakeHost) -> None:
    """Its first process has to be watched while it lives. What another request lists meanwhile is told too."""
    async with following(told, "?interval=60") as client:
        await client.until("round")
        host.add("new")
        assert (await client.until("start"))["name"] == "new"
        host.on_disk("new")
        host.remove("new")
        assert (await client.until("exit"))["name"] == "new"
        host.add("newer")
        assert (await told.ask(ALL)).status == 200
        assert (await client.until("start", 2))["name"] == "newer"
        assert len(client.of("round")) == 1


async def test_rounds_go_on_and_have_rates_over_the_interval(
    host: FakeHost, clock: HostClock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's clock stands still but for a quarter of a second, in which 100 kB come and 0.1 s of CPU are used."""
    monkeypatch.setattr(CpuWindow, "MINIMUM_NS", 0)
    net = net_dev(host, "a")

    def use() -> None:
        net.write_text(net.read_text().replace("   1000 ", " 101000 "))
        host.burn("a", 1_100_000)
        clock.on(0.25)

    async with following(server) as client:
        await client.until("round")
        await server.feed.run(use)  # between two readings
        for number in itertools.count(2):
            assert (await client.until("round", number))["round"] == number
            stat = [data for data in client.of("stat") if data["name"] == "a"][-1]
            if stat["networkRxRate"]:  # the round before may have been read already
                break
        assert (stat["networkTxRate"], stat["blockReadRate"]) == (0, 0)
        assert (stat["networkRxRate"], stat["cpuPercent"]) == (400_000, 40.0)
        assert client.count_up()


async def test_an_interval_out_of_bounds_is_refused_in_words(server: Server) -> None:
    for interval in ("0.2", "61", "0", "-1", "nan", "inf", "soon", "", "1_0", "+1", "%201", "%D9%A1", "1e9", "1e999",
                     "0x1"):  # fmt: skip
        answer = await server.ask(f"{FOLLOW}?interval={interval}")
        assert answer.status == 400, interval
        assert answer.json == {"error": "interval: expected 0.25 to 60 seconds, as in 1"}
        conforms(answer, FOLLOW)


async def test_a_kill_is_told_between_the_rounds_too(server: Server, host: FakeHost) -> None:
    (host.scope("a") / "memory.events").write_text("oom_kill 0\n")
    async with following(server, "?interval=30") as client:
        await client.until("round")
        (host.scope("a") / "memory.events").write_text("oom_kill 1\n")
        kill = await client.until("oom")
        assert (kill["name"], kill["kills"], kill["total"]) == ("a", 1, 1)
        assert len(client.of("round")) == 1


async def test_one_pass_for_all_clients_whatever_their_interval(server: Server) -> None:
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(following(server, f"?interval={interval}"))
            for interval in (0.5, 0.5, 0.5, 1, 1, 1.5)
        ]
        for client in clients:
            await client.until("round")
        before = server.feed.passes
        rounds = len(clients[0].of("round"))
        await clients[0].until("round", rounds + 4)
        assert server.feed.passes - before <= 5  # one each 0.5 s: the others' points are among them
        await clients[1].until("round", rounds + 3)
        bodies = [[e for e in c.events if e[0] != "hello"] for c in clients[:2]]
        common = {e[1] for e in bodies[0]} & {e[1] for e in bodies[1]}
        assert len(common) > 10
        assert [e for e in bodies[0] if e[1] in common] == [e for e in bodies[1] if e[1] in common]


async def test_a_client_that_comes_back_gets_what_it_missed(server: Server, host: FakeHost) -> None:
    async with following(server) as client:
        await client.until("round", 2)
        last = client.events[-1][1]
    host.add("new")
    async with following(server, "?interval=0.25", f"Last-Event-ID: {last}") as client:
        start = await client.until("start")
        assert client.of("hello")[0]["resumed"] is True
        assert start["name"] == "new"
        await client.until("round")
        assert client.count_up(after=last)


async def last_of_a_client(server: Server, monkeypatch: pytest.MonkeyPatch, kills: int | None = None) -> str:
    """The last id that a client got, once following has paused; ``kills``: of the container a, that it knew."""
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.0)
    async with following(server) as client:
        if kills is not None:
            await client.until_kills("a", kills)
        await client.until("round")
        last = client.events[-1][1]
        task = server.parts.follower._task
        assert task is not None
    await asyncio.wait_for(task, 60)
    return last


def changes(client: Follower) -> list[tuple[str, str]]:
    """(event, name) of what was told beside the figures."""
    return [(name, data["name"]) for name, _, data in client.events if name in ("start", "exit", "oom")]


async def test_a_client_that_comes_back_after_a_pause_is_told_of_it_once_and_a_new_one_is_not(
    server: Server, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.scope("a") / "memory.events").write_text("oom_kill 1\n")
    last = await last_of_a_client(server, monkeypatch, kills=1)
    host.add("new")
    host.remove("b", from_disk=True)
    (host.scope("a") / "memory.events").write_text("oom_kill 3\n")
    seen = []
    async with following(server) as fresh:
        await fresh.until_kills("a", 3)
        await fresh.until("round", 2)
        assert fresh.of("hello")[0]["resumed"] is False and fresh.of("hello")[0]["missed"] is None
        assert changes(fresh) == []
        for _ in range(2):
            async with following(server, "?interval=0.25", f"Last-Event-ID: {last}") as client:
                await client.until("round")
                hello = client.of("hello")[0]
                assert (hello["resumed"], hello["missed"]) == (True, None)
                assert sorted(changes(client)) == [("exit", "b"), ("oom", "a"), ("start", "new")]
                (kill,) = client.of("oom")
                assert (kill["kills"], kill["total"]) == (2, 3)
                seen.append([each for each in client.events if each[0] in ("start", "exit", "oom")])
                last_now = client.events[-1][1]
        assert seen[0] == seen[1], "the same ids too"
        host.remove("new", from_disk=True)
        await fresh.until("exit")
        assert changes(fresh) == [("exit", "new")]
    async with following(server, "?interval=0.25", f"Last-Event-ID: {last_now}") as client:
        await client.until("exit")
        assert changes(client) == [("exit", "new")] and client.of("hello")[0]["missed"] is None


async def test_the_first_client_after_a_pause_may_be_the_one_that_comes_back(
    server: Server, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = await last_of_a_client(server, monkeypatch)
    host.add("new")
    for told in ([("start", "new")], []):
        async with following(server, "?interval=0.25", f"Last-Event-ID: {last}") as client:
            await client.until("round", 2)
            assert changes(client) == told and client.of("hello")[0]["resumed"] is True
            assert client.count_up(after=last)
        last = await last_of_a_client(server, monkeypatch)


async def test_who_is_not_told_everything_since_is_told_why(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    last = await last_of_a_client(server, monkeypatch)
    ring = server.parts.follower._sender.ring
    for _ in range(CHANGES + 1):
        ring.next_id()
        ring.add(0, b"a change")
    for sent, said in ((last, FORGOTTEN), ("0123abcd-7", UNKNOWN), ("", None)):
        headers = [f"Last-Event-ID: {sent}"] if sent else []
        async with following(server, "?interval=0.25", *headers) as client:
            await client.until("round")
            hello = client.of("hello")[0]
            assert (hello["resumed"], hello["missed"]) == (False, said)
            assert changes(client) == []


async def test_following_ends_some_time_after_the_last_client_left_and_lets_go_of_what_was_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = server.parts.follower
    await last_of_a_client(server, monkeypatch)
    ring = follower._sender.ring
    assert not ring._stats and not ring._stats_bytes and not follower._sender._latest
    assert all(known.last is None for known in follower.looks._followed.values())
    async with following(server) as client:
        await client.until("round")


async def test_an_interval_that_nobody_follows_any_more_costs_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.1)
    async with following(server, "?interval=60") as slow:
        await slow.until("round")
        async with following(server, "?interval=0.25") as quick:
            await quick.until("round", 3)
        groups = server.parts.follower._sender.groups
        await until(lambda: len(groups) == 1)
        passes = server.feed.passes
        await asyncio.sleep(0.4)
        assert server.feed.passes == passes


async def test_keepalives_come_between_distant_rounds(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 0.1)
    async with following(server, "?interval=60") as client:
        await client.until("round")
        while client.keepalives < 3:
            await client.chunk()


async def test_a_client_that_does_not_read_drops_rounds_and_nobody_waits_for_it(server: Server, host: FakeHost) -> None:
    for number in range(150):
        host.add(f"more{number}")
    async with following(server) as slow, following(server) as quick:
        await slow.until("round")
        await quick.until("round", 3)
        reader: Any = slow.connection.reader
        reader._transport.pause_reading()
        await quick.until("round", 13)
        reader._transport.resume_reading()
        await slow.until("round", 5)
        rounds = [data["round"] for data in slow.of("round")]
        assert rounds == sorted(set(rounds))


async def test_a_stop_ends_every_stream_with_the_end_of_the_body(host: FakeHost, quick: None) -> None:
    async with serving(host.sampler()) as server, following(server, "?interval=30") as client:
        await client.until("round")
        cleanup = asyncio.create_task(server.runner.cleanup())
        while await client.chunk():
            pass
        await cleanup


async def test_a_hung_container_costs_only_itself_and_is_told_to_be_there(server: Server, hang: Hang) -> None:
    async with following(server, "?interval=0.5") as client:
        assert (await client.until("round"))["late"] == []
        hang.names.add("b")
        late = (await client.until("round", 5))["late"]
        last = [data["name"] for data in client.of("stat")[-3:]]
        assert "b" not in last and "a" in last
        assert late == [container_id("b")]
        hang.release()
        while (round_ := await client.until("round", len(client.of("round")) + 1))["late"]:
            pass
        assert round_["containers"] == 4
        assert not client.of("exit")
        burning = [data for data in client.of("stat") if data["name"] == "b"]
        assert burning[-1]["networkRxRate"] is not None, "compared with its figures before"


async def test_a_container_that_cannot_be_read_is_told_to_be_there(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(server) as client:
        await client.until("round")
        with unreadable(monkeypatch, "b"):
            while not (round_ := await client.until("round", len(client.of("round")) + 1))["late"]:
                pass
        assert round_["late"] == [container_id("b")] and round_["containers"] == 3


async def test_what_a_round_found_that_is_there_too_late_is_told_by_the_next(
    server: Server, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = server.feed.run
    late: list[Round] = []

    async def too_late(work: Callable[[], Any]) -> Any:
        found = await run(work)
        if isinstance(found, Round) and not any(len(each.looks) == 5 for each in late):
            late.append(found)
            raise ReadingFailed("reading the container takes over 8 s")
        return found

    async with following(server) as client:
        await client.until("round")
        monkeypatch.setattr(server.feed, "run", too_late)
        host.add("new")
        start = await client.until("start")
        assert start["name"] == "new" and len(late[-1].looks) == 5
        assert client.of("failed")


async def test_a_listing_that_fails_is_told_and_tried_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    refresh = Discovery.refresh
    async with following(server) as client:
        await client.until("round")

        def broken(_discovery: Discovery) -> Any:
            raise OSError(5, "Input/output error", "/sys/fs/cgroup")

        monkeypatch.setattr(Discovery, "refresh", broken)
        failed = await client.until("failed")
        assert failed["error"] == "cannot list the containers: /sys/fs/cgroup: Input/output error"
        monkeypatch.setattr(Discovery, "refresh", refresh)
        await client.until("round", len(client.of("round")) + 2)


async def test_the_other_endpoints_use_its_passes(server: Server) -> None:
    async with following(server) as client:
        await client.until("round", 2)
        passes = server.feed.passes
        await server.ask(ALL)
        assert server.feed.passes <= passes + 1


def pressure(valid: float) -> FollowPressure:
    none: dict[str, Any] = dict.fromkeys(PressureWait.__struct_fields__)
    said = {"id": "1", "name": "web", "resource": "cpu", "neighbours": [], "text": "web waits for CPU: because"}
    waits = [PressureWait(**none | said)]
    return FollowPressure(resources=["cpu"], seconds=1.5, valid_seconds=valid, waits=waits, more=0, timestamp=1)


async def test_what_waits_is_told_to_all_at_once_and_to_those_that_come_soon(server: Server) -> None:
    follower = server.parts.follower
    async with following(server) as client:
        await client.until("round")
        follower.pressure(pressure(valid=60.0))
        found = await client.until("pressure")
        assert found["waits"][0]["text"] == "web waits for CPU: because" and found["validSeconds"] == 60.0
        last = next(number for event, number, _ in client.events if event == "pressure")
    async with following(server) as later:
        await later.until("pressure")
        assert [event for event, _, _ in later.events][:2] == ["hello", "pressure"]
    async with following(server, "?interval=0.25", f"Last-Event-ID: {last}") as returned:
        await returned.until("pressure")  # behind the rounds that it missed
        await returned.until("round", len(returned.of("round")) + 1)
        assert len(returned.of("pressure")) == 1  # as it is now, not once more as it was
    follower.pressure(pressure(valid=0.0))
    async with following(server) as late:
        await late.until("round")
        assert late.of("pressure") == []
