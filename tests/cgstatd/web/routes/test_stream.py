"""GET /api/containers/stats/stream, byte by byte as a real front end sees it."""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cgstatd.feed import reading_pass
from cgstatd.feed.reading_pass import Pass
from cgstatd.sampling import pass_work, registry
from cgstatd.web.routes import stream
from cgstatd.web.server import event_stream
from cgstatd.web.server.segments import SegmentSocket
from fakehost import FakeHost, Hang
from patience import until
from wire import ALL, KEEPALIVE, PADDING, STREAM, Answer, Connection, Server, agent, serving

DONE = b"event: done\ndata: {}\n\n"
HEADERS = {
    "content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no", "connection": "close",
    "transfer-encoding": "chunked",
}  # fmt: skip
"""Those of the contract."""


FRESH_SECONDS = 0.1


async def baselines(server: Server, hang: Hang) -> None:
    """Read everything once, so that the next round, which is another, needs no second readings."""
    server.fresh_for(FRESH_SECONDS)
    await server.ask(ALL)
    await asyncio.sleep(FRESH_SECONDS + 0.02)
    hang.reads.clear()


# -- the answer's shape


async def test_every_running_container_comes_once_then_done_then_the_end(server: Server) -> None:
    """Their figures: test_stats_of_all.py."""
    answer = await server.ask(STREAM)
    assert answer.status == 200
    headers = {name: answer.headers[name] for name in HEADERS}
    assert headers == HEADERS
    assert "content-encoding" not in answer.headers and "content-length" not in answer.headers
    assert [name for name, _ in answer.events] == ["stat"] * 3 + ["done"]
    assert set(answer.stats) == {"a", "b", "c"}  # neither the paused one nor the stopped one
    assert answer.chunks[-1] == DONE and answer.body.count(b"event: done") == 1
    assert b"\r" not in answer.body
    for chunk in answer.chunks:
        assert re.fullmatch(rb"event: [a-z]+\ndata: \{[^\n]*\}\n\n", chunk), chunk
        assert b":  " not in chunk.split(b"{")[0]


async def test_the_server_closes_the_connection_after_done_whatever_it_is_asked(server: Server) -> None:
    """Even to keep it; what was pipelined behind a stream gets no answer, and one before it does."""
    for asked in ("Connection: keep-alive", "Connection: Keep-Alive\r\nKeep-Alive: timeout=60", "X: y"):
        async with server.connection() as connection:
            for target in (ALL, STREAM, ALL):
                connection.send(target, asked)
            assert (await connection.answer()).status == 200
            assert (await connection.answer()).chunks[-1] == DONE
            assert await connection.closed(), asked
    answer = await server.ask(STREAM, version="1.0")
    assert answer.status == 200 and "transfer-encoding" not in answer.headers
    events = answer.body.split(b"\n\n")
    assert answer.body.endswith(DONE) and len(events) == 5 and events[-1] == b"", "the bare events, and the close"
    assert all(re.fullmatch(rb"event: (stat|done)\ndata: \{.*\}", event) for event in events[:-1])


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("segment", [65483, 8948, 1448, 1208, 536])
async def test_each_write_and_each_4_kib_end_at_the_end_of_an_event(
    host: FakeHost, server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch, segment: int, version: str
) -> None:
    """A client gets an event whole whatever it reads at once, headers included."""
    for number in range(60):
        host.add(f"more-{number}" + "x" * number)
    monkeypatch.setattr(stream, "segment_bytes", lambda _: segment)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3600.0)
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 0.25)
    hang.names.add("b")
    writes: list[bytes] = []
    original = SegmentSocket.send

    def send(self: SegmentSocket, data: Any, flags: int = 0) -> int:
        assert self.apart == socket.MSG_EOR
        sent = original(self, data, flags)
        writes.append(bytes(data[:sent]))
        return sent

    several = SegmentSocket.sendmsg

    def sendmsg(self: SegmentSocket, buffers: Iterable[Any], *more: Any) -> int:
        assert self.apart == socket.MSG_EOR
        buffers = list(buffers)
        sent = several(self, buffers, *more)
        writes.append(b"".join(buffers)[:sent])
        return sent

    monkeypatch.setattr(SegmentSocket, "send", send)
    monkeypatch.setattr(SegmentSocket, "sendmsg", sendmsg)  # asyncio's way from Python 3.12 on
    asking = asyncio.create_task(server.ask(STREAM, version=version))
    await until(lambda: (sent := b"".join(writes)).count(b"event: stat") == 62 and KEEPALIVE in sent)
    assert server.feed.last_pass is not None
    server.feed.last_pass.stop()
    answer = await asking
    hang.release()
    assert answer.body.count(b"event: stat") == 62 and KEEPALIVE in answer.body
    whole, ends = b"".join(writes), [*itertools.accumulate(map(len, writes))]
    assert all(len(data) <= max(512, min(segment, 16384)) for data in writes)
    for stop in {*ends[:-1], *range(4096, len(whole), 4096)}:
        before = whole[:stop]
        assert before.endswith(b"\n\n" if version == "1.0" else b"\n\n\r\n"), (stop, before[-400:])
    assert ends[0] > whole.index(b"\r\n\r\n") + 4, "the headers go out with something"
    assert len(ends) < 62 or segment == 536


async def test_where_nothing_is_known_yet_the_headers_come_with_a_comment(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (registry, reading_pass):
        monkeypatch.setattr(module, "LISTING_SECONDS", 3600.0)
    hang.listing = True
    async with server.connection() as connection:
        connection.send(STREAM)
        assert (await connection.head()).status == 200
        size = int(await connection.reader.readline(), 16)
        assert PADDING.match(await connection.reader.readexactly(size))
    hang.release()


async def test_a_host_without_containers_is_done_at_once(tmp_path: Path) -> None:
    async with serving(FakeHost(tmp_path).sampler()) as server:
        answer = await server.ask(STREAM)
        assert answer.chunks == [DONE]


async def test_hostile_names_forge_no_event(host: FakeHost, server: Server) -> None:
    for n, name in enumerate(("x\n\nevent: done\ndata: {}\n\n", "\r\n\r\n", "\u2028\u2029\x85", '"}\n')):
        host.add(f"hostile{n}")
        host.on_disk(f"hostile{n}", running=True, shown=name)
    answer = await server.ask(STREAM)
    assert [name for name, _ in answer.events] == ["stat"] * 7 + ["done"]


# -- errors


async def test_a_listing_that_hangs_is_an_error_event_after_its_time_with_keepalives_meanwhile(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (registry, reading_pass):
        monkeypatch.setattr(module, "LISTING_SECONDS", 2.0)
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 0.1)
    hang.listing = True
    answer = await server.ask(STREAM)
    assert [name for name, _ in answer.events] == ["error", "done"]
    assert answer.events[0][1]["error"].startswith("listing the containers takes over")
    assert answer.chunks[:2] == [KEEPALIVE] * 2
    hang.release()


# -- time


async def test_what_is_known_comes_at_once_and_a_keepalive_while_another_container_hangs(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a client that comes meanwhile, too."""
    await baselines(server, hang)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3600.0)
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 0.1)
    hang.names.add("b")
    async with server.connection() as connection:
        connection.send(STREAM)
        answer = await connection.head()
        while set(answer.stats) != {"a", "c"} or answer.chunks.count(KEEPALIVE) < 2:
            assert await connection.chunk(answer)
        await asyncio.sleep(FRESH_SECONDS)  # the next one has a pass of its own
        assert set((await server.ask(STREAM)).stats) == {"a", "c"}
        hang.release()
        while await connection.chunk(answer):
            pass
    assert answer.chunks[-1] == DONE and answer.chunks.count(DONE) == 1


async def test_what_hangs_is_left_out_after_its_time_and_the_stream_is_done(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert event_stream.KEEPALIVE_SECONDS < 5 and reading_pass.CONTAINER_SECONDS == 8, "those of the contract"
    await baselines(server, hang)
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 0.1)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 1.0)
    hang.names.add("b")
    answer = await server.ask(STREAM)
    assert set(answer.stats) == {"a", "c"} and KEEPALIVE in answer.chunks
    assert answer.chunks[-1] == DONE and answer.times[-1] > 0.7


async def test_where_nothing_hangs_a_stream_waits_for_no_timer_and_reads_each_once(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    await baselines(server, hang)
    hang.seconds.clear()
    monkeypatch.setattr(reading_pass, "_FLUSH_SECONDS", 3600.0)
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 3600.0)
    answer = await server.ask(STREAM)
    assert [name for name, _ in answer.events] == ["stat"] * 3 + ["done"]
    assert sorted(hang.reads) == ["a", "b", "c", "paused"] and hang.seconds == []


# -- many clients, and clients that go


async def test_fifty_streams_at_once_share_one_pass(server: Server, hang: Hang) -> None:
    server.fresh_for(60.0)
    answers = await asyncio.gather(*(server.ask(STREAM) for _ in range(50)))
    assert server.feed.passes == 1 and sorted(hang.reads) == ["a", "b", "c", "paused"]
    for answer in answers:
        assert [name for name, _ in answer.events] == ["stat"] * 3 + ["done"]
        assert sorted(answer.chunks) == sorted(answers[0].chunks)


@pytest.mark.parametrize("abort", [False, True])
async def test_a_client_that_goes_in_the_middle_disturbs_nobody(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, abort: bool
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 1.0)
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 0.1)
    hang.names.add("b")
    other = asyncio.create_task(server.ask(STREAM))
    for _ in range(5):
        async with server.connection() as connection:
            connection.send(STREAM)
            answer = await connection.head()
            await connection.chunk(answer)
            if abort:
                connection.writer.transport.abort()
    assert (await other).events[-1] == ("done", {})
    said = [record.getMessage() for record in caplog.records]
    assert [each for each in said if "left out" not in each and "a reading hangs" not in each] == []
    hang.release()
    server.fresh_for(0.0)
    while len((await server.ask(ALL)).json) < 3:  # the thread that hung goes on in its own time
        await asyncio.sleep(0.02)


async def test_no_task_is_left_behind(server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.1)
    before = asyncio.all_tasks()
    hang.names.add("b")
    await asyncio.gather(*(server.ask(STREAM) for _ in range(5)))
    async with server.connection() as connection:
        connection.send(STREAM)
        await connection.head()
    await until(lambda: asyncio.all_tasks() == before)


async def test_stopping_the_server_ends_open_streams_with_done(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    await baselines(server, hang)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3600.0)
    hang.names.add("b")
    open_streams = [asyncio.create_task(server.ask(STREAM)) for _ in range(5)]
    await until(lambda: server.feed.last_pass is not None and len(server.feed.last_pass.stats) == 3)
    await server.runner.cleanup()
    for answer in await asyncio.gather(*open_streams):
        assert set(answer.stats) == {"a", "c"} and answer.chunks[-1] == DONE


async def test_stopping_before_the_listing_is_known_is_an_error_and_no_empty_round(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang.listing, begin = True, server.feed.round
    begun: list[Pass] = []

    def counted(**how: Any) -> Pass:
        begun.append(begin(**how))
        return begun[-1]

    monkeypatch.setattr(server.feed, "round", counted)
    waiting = asyncio.create_task(server.ask(STREAM))
    array = asyncio.create_task(server.ask(ALL))
    await until(lambda: len(begun) == 2 and hang.listings)
    await server.runner.cleanup()
    assert (await waiting).events == [("error", {"error": "the agent is stopping"}), ("done", {})]
    assert (await array).status == 500
    hang.release()


# -- the process


def hanging(method: str, name: str) -> tuple[str, ...]:
    """The program, in which a method of the container of that name never comes to its end."""
    return (sys.executable, "-c", f"""
import sys, threading
from cgstatd.feed import reading_pass
from cgstatd.sampling.container import Container
reading_pass.CONTAINER_SECONDS = 3600.0
original = Container.{method}
def read(container, *more):
    if container.identity.name == "{name}":
        threading.Event().wait()
    return original(container, *more)
Container.{method} = read
from cgstatd.cli.main import main
sys.exit(main(sys.argv[1:]))
""")  # fmt: skip


@pytest.mark.parametrize(("number", "method"), [(signal.SIGTERM, "read_cpu"), (signal.SIGINT, "counters")])
async def test_a_signal_with_open_streams_and_a_hung_read_ends_cleanly_and_waits_for_no_file(
    host: FakeHost, number: signal.Signals, method: str
) -> None:
    """A file that hangs from the first baseline on keeps nothing from starting either."""
    options = ("--host-root", str(host.path), "--listen", "127.0.0.1:0")
    with agent(*options, command=hanging(method, "b")) as process:
        connections = [Connection(*await asyncio.open_connection("127.0.0.1", process.port)) for _ in range(6)]
        asking = connections[1:]
        answers: list[Answer] = []
        for connection in asking:
            connection.send(STREAM)
            answers.append(await connection.head())
            while not answers[-1].stats:
                await connection.chunk(answers[-1])
        if method == "read_cpu":
            await asyncio.to_thread(process.says, "still hangs")
        process.process.send_signal(number)
        for connection, answer in zip(asking, answers, strict=True):
            while await connection.chunk(answer):
                pass
            assert answer.events[-1] == ("done", {}) and "b" not in answer.stats
        code, err = await asyncio.to_thread(process.end)
        assert code == 0 and "level=info stopping" in err.strip().splitlines() and "Traceback" not in err
        for connection in connections:
            await connection.close()
