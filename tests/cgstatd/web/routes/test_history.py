"""GET /api/containers/{id}/history, /api/host/history and /api/history."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cgstatd.feed.history.disk_model import DiskFailed
from cgstatd.feed.history.gaps import SILENT, WORDS, Gap
from cgstatd.feed.history.store import Store
from documented import conforms
from fakehost import FakeHost, container_id
from wire import Answer, Keeping, Server, serving

HOST, ROUNDS, LINES = "/api/host/history", "/api/history", "/api/containers/history"
WORKLOAD = "/api/workloads/history"
METRICS = "metrics:view"


def of(name: str, query: str = "") -> str:
    return f"/api/containers/{name}/history{query}"


async def first_round(server: Server) -> list[dict[str, Any]]:
    """The lines, once there is a round."""
    while len(found := lines(await server.ask(ROUNDS))) < 2:
        await asyncio.sleep(0.01)
    return found


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200 and answer.body.endswith(b"\n"), answer
    return [json.loads(line) for line in answer.body.splitlines()]


async def test_the_answers_are_as_documented(remembering: Server) -> None:
    head, line = await first_round(remembering)
    assert (head["truncated"], head["latest"]) == (False, line["cursor"])
    containers = {each["name"]: each for each in line["containers"]}
    assert set(containers) == {"a", "b", "c", "paused"} and containers["paused"]["state"] == "paused"
    assert containers["a"]["cpuUsageNsec"] == 1_000_000_000 and containers["a"]["memoryUsage"] == 2 << 20
    for path, target in (
        ("/api/containers/{id}/history", of("a")), (HOST, HOST), (ROUNDS, ROUNDS),
        (WORKLOAD, f"{WORKLOAD}?workload=docker:a"),
    ):  # fmt: skip
        answer = await remembering.ask(target)
        assert answer.status == 200, target
        conforms(answer, path)
    found = (await remembering.ask(of(container_id("a")[:8], "?step=60"))).json
    assert (found["name"], found["step"], found["last"]["networkRx"]) == ("a", 60, 1000)
    assert lines(await remembering.ask(f"{ROUNDS}?cursor={line['cursor']}"))[1:] == []


async def test_a_workload_is_asked_for_by_its_name_with_those_that_are_gone(
    remembering: Server, host: FakeHost
) -> None:
    """Each look is one that a client causes."""
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "api"}
    await first_round(remembering)
    async with remembering.connection() as connection:
        connection.send("/api/containers/stats/follow?interval=0.25")
        answer, seen = await connection.head(), b""
        while b"event: round" not in seen:
            seen += await connection.chunk(answer)
        for name in ("old", "new"):
            host.add(name, labels=labels)
            while f'"name":"{name}"'.encode() not in seen:
                seen += await connection.chunk(answer)
            host.remove(name, from_disk=True)
            while seen.count(b"event: exit") < 1 + (name == "new"):
                seen += await connection.chunk(answer)
    found = (await remembering.ask(f"{WORKLOAD}?workload=compose:shop/api")).json
    assert [(each["event"], each["name"]) for each in found["marks"]] == [
        ("start", "old"), ("exit", "old"), ("start", "new"), ("exit", "new")
    ]  # fmt: skip
    assert (found["id"], found["name"]) == (container_id("new"), "new")


@pytest.mark.parametrize(
    ("query", "status"),
    [("workload=compose:shop/nothing", 404), ("", 400), ("workload=", 400), ("workload=" + "x" * 2049, 400)],
)
async def test_a_workload_that_there_is_not_is_not_found(remembering: Server, query: str, status: int) -> None:
    await first_round(remembering)
    answer = await remembering.ask(f"{WORKLOAD}?{query}")
    assert answer.status == status
    conforms(answer, WORKLOAD)


@pytest.mark.parametrize(
    ("query", "word"),
    [("since=x", "since"), ("since=-1", "since"), ("until=1e3", "until"), ("until=253402300800000", "until"),
     ("since=2&until=1", "since"), ("step=0", "step"), ("step=86401", "step"), ("step=nan", "step"),
     ("step=1_0", "step"), ("step=inf", "step"),
     ("step=", "step"), ("since=", "since"), ("step=1e999", "step"), ("step=-1", "step"), ("since=%D9%A1", "since"),
     ("step=" + "9" * 400, "step"), ("since=" + "9" * 5000, "since")],
)  # fmt: skip
async def test_a_bad_parameter_is_named(remembering: Server, query: str, word: str) -> None:
    for path, target in (
        ("/api/containers/{id}/history", of("a")), (HOST, HOST), (WORKLOAD, f"{WORKLOAD}?workload=docker:a&"),
    ):  # fmt: skip
        answer = await remembering.ask(f"{target.rstrip('&')}{'&' if '?' in target else '?'}{query}")
        assert answer.status == 400 and answer.json["error"].startswith(f"{word}: expected"), answer.body
        conforms(answer, path)


@pytest.mark.parametrize(
    ("query", "word"),
    [("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"),
     ("cursor=0-1%0A", "cursor"), ("cursor=" + "0" * 4000, "cursor")],
)  # fmt: skip
async def test_a_bad_cursor_or_limit_is_named(remembering: Server, query: str, word: str) -> None:
    answer = await remembering.ask(f"{ROUNDS}?{query}")
    assert answer.status == 400 and answer.json["error"].startswith(f"{word}: expected"), answer.body
    conforms(answer, ROUNDS)


@pytest.mark.parametrize("query", ["figures=", "figures=cpu", "figures=cpuPercent,,", "figures=" + "a," * 2000])
async def test_a_figure_that_there_is_not_is_named(remembering: Server, query: str) -> None:
    answer = await remembering.ask(f"{LINES}?{query}")
    assert answer.status == 400 and answer.json["error"].startswith("figures: expected"), answer.body
    conforms(answer, LINES)


async def test_the_lines_of_all_containers_come_at_once(remembering: Server) -> None:
    await first_round(remembering)
    answer = await remembering.ask(LINES)
    conforms(answer, LINES)
    found = answer.json
    assert {each["name"] for each in found["containers"]} == {"a", "b", "c", "paused"}
    assert {len(each["figures"]["memoryUsage"]) for each in found["containers"]} == {len(found["timestamps"])}
    assert found["containers"][0]["figures"]["memoryUsage"][-1] == 2 << 20
    some = await remembering.ask(f"{LINES}?figures=blockReadRate&step=10&since=0", "Accept-Encoding: gzip")
    assert some.status == 200 and [*some.json["containers"][0]["figures"]] == ["blockReadRate"]


async def test_names_of_any_kind_break_no_line(host: FakeHost, remembering: Server) -> None:
    name = 'x"\n{"cursor":"0-1"}\r\u2028\x00</script>'
    host.on_disk("a", running=True, shown=name)
    await first_round(remembering)
    for line in (await remembering.ask(ROUNDS)).body.splitlines():
        json.loads(line)
    assert (await remembering.ask(of(quote("x\"\n{'", safe="")))).status in (400, 404)


async def test_without_a_history_the_routes_say_so(server: Server) -> None:
    for path, target in (("/api/containers/{id}/history", of("a")), (HOST, HOST), (ROUNDS, ROUNDS), (LINES, LINES)):
        answer = await server.ask(target)
        assert (answer.status, answer.json["error"]) == (404, "History is off")
        conforms(answer, path)
    assert server.feed.passes == 0


async def test_rounds_outlive_a_restart(host: FakeHost, tmp_path: Path) -> None:
    keeping = Keeping(3600.0, 10.0, str(tmp_path / "history"))
    async with serving(host.sampler(), history=keeping) as server:
        _, line = await first_round(server)
    host.remove("b", from_disk=True)
    async with serving(host.sampler(), history=keeping) as server:
        await first_round(server)
        while len(found := lines(await server.ask(f"{ROUNDS}?cursor="))) < 3:
            await asyncio.sleep(0.01)
        assert found[1]["cursor"] == line["cursor"] and found[1]["containers"] == line["containers"]
        assert found[2]["gap"] == WORDS[Gap.STOPPED]
        head, *behind = lines(await server.ask(f"{ROUNDS}?cursor={line['cursor']}"))
        assert (head["truncated"], head["oldest"]) == (False, line["cursor"]) and behind == found[2:]
        gone = await server.ask(of("b", "?since=0"))
        assert (gone.json["name"], gone.json["last"]["networkRx"]) == ("b", 1000)
        conforms(gone, "/api/containers/{id}/history")
        assert (await server.ask(HOST + "?since=0")).json["since"] <= line["timestamp"] + 10_000
        agent = (await server.ask("/api/host")).json["agent"]["historyDisk"]
        assert (agent["trouble"], agent["setAside"], agent["oldest"]) == (None, 0, line["timestamp"])
        text = (await server.ask("/metrics")).body
        assert b"\ncgstatd_history_disk_ok 1.0\n" in text and b"\ncgstatd_history_files_set_aside_total 0.0\n" in text


async def test_a_directory_that_cannot_be_used_is_said(host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    (tmp_path / "history").chmod(0o777)
    async with serving(host.sampler(), history=Keeping(3600.0, 10.0, str(tmp_path / "history"))) as server:
        await first_round(server)
        while not (trouble := (await server.ask("/api/host")).json["agent"]["historyDisk"]["trouble"]):
            await asyncio.sleep(0.01)
        assert "other users may write" in trouble
        assert b"\ncgstatd_history_disk_ok 0.0\n" in (await server.ask("/metrics")).body
        assert (await server.ask(HOST)).status == 200


async def test_the_host_says_how_far_back_it_goes_and_will(remembering: Server) -> None:
    await first_round(remembering)
    agent = (await remembering.ask("/api/host")).json["agent"]
    assert 0 <= agent["historySeconds"] < 600 and agent["historyKeepSeconds"] == 3600


async def test_without_a_directory_nothing_is_said_of_a_disk(remembering: Server) -> None:
    assert (await remembering.ask("/api/host")).json["agent"]["historyDisk"] is None
    assert b"cgstatd_history" not in (await remembering.ask("/metrics")).body


async def test_a_disk_that_does_not_answer_is_503_where_rounds_would_be_left_out(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = Keeping(3600.0, 10.0, str(tmp_path / "history"))
    async with serving(host.sampler(), history=keeping) as server:
        await first_round(server)

    def fails(*_: object) -> None:
        raise DiskFailed("no answer")

    monkeypatch.setattr(Store, "fetch", fails)
    async with serving(host.sampler(), history=keeping) as server:
        answer = await server.ask(ROUNDS)
        assert (answer.status, answer.json["error"]) == (503, "The history on disk cannot be read")
        conforms(answer, ROUNDS)
        found = await server.ask(HOST + "?since=0")
        assert found.status == 200 and found.json["gaps"][0]["reason"] == SILENT
