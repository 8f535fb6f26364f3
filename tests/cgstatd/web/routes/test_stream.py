"""GET /api/containers/stats/stream, byte by byte as a real front end sees it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import signal
import socket
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
from fakehost import FakeHost, Hang, container_id
from helpers import UNIFIED, expected
from patience import until
from recordedhosts import recorded_host
from wire import ALL, KEEPALIVE, PADDING, STREAM, Answer, Server, agent, serving

DONE = b"event: done\ndata: {}\n\n"
FIGURES = (
    "cpuPercent memoryUsage memoryRaw memoryCache memoryLimit memoryPercent networkRx networkTx blockRead blockWrite"
).split()


async def baselines(server: Server, hang: Hang) -> None:
    """Read everything once, so that the next round needs no second readings."""
    await server.ask(ALL)
    await asyncio.sleep(0.55)
    hang.reads.clear()


# -- the answer's shape


async def test_the_headers_are_those_of_the_contract(server: Server) -> None:
    answer = await server.ask(STREAM)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["connection"] == "close"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-encoding" not in answer.headers and "content-length" not in answer.headers


async def test_every_running_container_comes_once_then_done_then_the_end(server: Server) -> None:
    answer = await server.ask(STREAM)
    assert [name for name, _ in answer.events] == ["stat"] * 3 + ["done"]
    assert set(answer.stats) == {"a", "b", "c"}  # neither the paused one nor the stopped one
    assert answer.chunks[-1] == DONE and answer.body.count(b"event: done") == 1


async def test_a_stat_has_the_id_the_name_and_the_ten_figures_and_no_timestamp(server: Server) -> None:
    for name, data in (await server.ask(STREAM)).stats.items():
        assert sorted(data) == sorted([*FIGURES, "id", "name"])
        assert data["id"] == container_id(name) and not name.startswith("/")
        assert all(type(data[key]) is int for key in FIGURES if "Percent" not in key)


async def test_each_event_is_exactly_one_chunk_with_lf_and_one_space(server: Server) -> None:
    answer = await server.ask(STREAM)
    assert b"\r" not in answer.body
    for chunk in answer.chunks:
        assert re.fullmatch(rb"event: [a-z]+\ndata: \{[^\n]*\}\n\n", chunk), chunk
        assert b":  " not in chunk.split(b"{")[0]


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


@pytest.mark.parametrize(
    "asked", ["Connection: keep-alive", "Connection: Keep-Alive\r\nKeep-Alive: timeout=60", "X: y"]
)
async def test_the_server_closes_the_connection_after_done_even_where_it_is_asked_to_keep_it(
    server: Server, asked: str
) -> None:
    async with server.connection() as connection:
        connection.send(STREAM, asked)
        answer = await connection.answer()
        assert answer.chunks[-1] == DONE
        assert await connection.closed()


async def test_a_request_that_was_pipelined_behind_a_stream_gets_no_answer(server: Server) -> None:
    async with server.connection() as connection:
        connection.send(STREAM)
        connection.send(ALL)
        answer = await connection.answer()
        assert answer.events[-1] == ("done", {})
        assert await connection.closed()


async def test_a_stream_may_follow_another_request_on_its_connection(server: Server) -> None:
    async with server.connection() as connection:
        connection.send(ALL)
        connection.send(STREAM)
        assert (await connection.answer()).status == 200
        assert (await connection.answer()).events[-1] == ("done", {})
        assert await connection.closed()


async def test_http_1_0_gets_the_bare_events_and_the_close(server: Server) -> None:
    answer = await server.ask(STREAM, version="1.0")
    assert answer.status == 200 and "transfer-encoding" not in answer.headers
    assert answer.body.endswith(DONE)
    events = answer.body.split(b"\n\n")
    assert len(events) == 5 and events[-1] == b""
    assert all(re.fullmatch(rb"event: (stat|done)\ndata: \{.*\}", event) for event in events[:-1])


async def test_a_host_without_containers_is_done_at_once(tmp_path: Path) -> None:
    async with serving(FakeHost(tmp_path).sampler()) as server:
        answer = await server.ask(STREAM)
        assert answer.chunks == [DONE]


async def test_a_recorded_hosts_running_containers_all_come(recorded_server: Server) -> None:
    answer = await recorded_server.ask(STREAM + "?env=1")
    running = {e["id"]: e["name"] for e in expected(UNIFIED)["containers"] if e["state"] == "running"}
    assert {data["id"]: name for name, data in answer.stats.items()} == running
    assert len(answer.chunks) == len(running) + 1


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


async def test_a_container_that_fails_is_left_out_without_a_word(host: FakeHost, server: Server) -> None:
    host.make_unreadable("a", "memory.stat")
    answer = await server.ask(STREAM)
    assert [name for name, _ in answer.events] == ["stat", "stat", "done"]
    assert set(answer.stats) == {"b", "c"}


# -- time


async def test_what_is_known_comes_at_once_and_a_keepalive_while_another_container_hangs(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3600.0)
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 0.3)
    hang.names.add("b")
    async with server.connection() as connection:
        connection.send(STREAM)
        answer = await connection.head()
        while set(answer.stats) != {"a", "c"} or answer.chunks.count(KEEPALIVE) < 2:
            assert await connection.chunk(answer)
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


async def test_a_client_that_comes_while_another_stream_hangs_is_served(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    await baselines(server, hang)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3600.0)
    hang.names.add("b")
    read = hang.reads.count("b")
    first = asyncio.create_task(server.ask(STREAM))
    await until(lambda: hang.reads.count("b") > read)
    await asyncio.sleep(0.6)  # the next one has a pass of its own
    answer = await server.ask(STREAM)
    assert set(answer.stats) == {"a", "c"}
    assert not first.done()
    hang.release()
    assert {"a", "c"} <= set((await first).stats)


# -- many clients, and clients that go


async def test_fifty_streams_at_once_share_one_pass(server: Server, hang: Hang) -> None:
    server.feed.retime(freshness_seconds=60.0, baseline_seconds=0.0, max_cpu_percent=0.0)  # however busy the machine is
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
    await asyncio.sleep(0.55)
    assert len((await server.ask(ALL)).json) == 3


async def test_no_task_is_left_behind(server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.5)
    before = asyncio.all_tasks()
    hang.names.add("b")
    await asyncio.gather(*(server.ask(STREAM) for _ in range(5)))
    async with server.connection() as connection:
        connection.send(STREAM)
        await connection.head()
    await asyncio.sleep(0.6)
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

_HANGING = """
import sys, threading
from cgstatd.feed import reading_pass
from cgstatd.sampling.container import Container
reading_pass.CONTAINER_SECONDS = 3600.0
original = Container.counters
def read(container, *more):
    if container.identity.name == "burn":
        threading.Event().wait()
    return original(container, *more)
Container.counters = read
from cgstatd.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_with_open_streams_and_a_hung_read_ends_cleanly_and_waits_for_no_file(
    number: signal.Signals,
) -> None:
    import sys

    command = (sys.executable, "-c", _HANGING)
    arguments = ("--host-root", recorded_host(UNIFIED), "--listen", "127.0.0.1:0")
    with agent(*arguments, command=command) as process:
        from wire import Connection

        connections = [Connection(*await asyncio.open_connection("127.0.0.1", process.port)) for _ in range(5)]
        idle = Connection(*await asyncio.open_connection("127.0.0.1", process.port))
        answers: list[Answer] = []
        for connection in connections:
            connection.send(STREAM)
            answers.append(await connection.head())
            await connection.chunk(answers[-1])
        process.process.send_signal(number)
        for connection, answer in zip(connections, answers, strict=True):
            while await connection.chunk(answer):
                pass
            assert answer.events[-1] == ("done", {})
        code, err = await asyncio.to_thread(process.end)
        assert (code, err.strip().splitlines()[-1]) == (0, "level=info stopping")
        assert "Traceback" not in err
        for connection in [*connections, idle]:
            with contextlib.suppress(ConnectionError):
                await connection.close()


_HANGING_FIRST = f"""
import sys, threading
from cgstatd.feed import reading_pass
from cgstatd.sampling.container import Container
reading_pass.CONTAINER_SECONDS = 3600.0
original = Container.read_cpu
def read_cpu(container, *more):
    if container.identity.id == "{container_id("b")}":
        threading.Event().wait()
    return original(container, *more)
Container.read_cpu = read_cpu
from cgstatd.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


async def test_a_file_that_hangs_from_the_first_baseline_on_keeps_nothing_from_starting(host: FakeHost) -> None:
    import sys

    from wire import Connection

    arguments = ("--host-root", str(host.path), "--listen", "127.0.0.1:0")
    with agent(*arguments, command=(sys.executable, "-c", _HANGING_FIRST)) as process:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", process.port))
        connection.send(ALL)
        answer = await connection.answer()
        assert {each["id"] for each in answer.json} == {container_id("a"), container_id("c")}
        await connection.close()
        process.process.terminate()
        code, err = await asyncio.to_thread(process.end)
    assert code == 0 and "still hangs" in err
