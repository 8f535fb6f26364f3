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
    """Their form: test_every_route.py; what they are of a story: tests/golden."""
    head, line = await first_round(remembering)
    assert (head["truncated"], head["latest"]) == (False, line["cursor"])
    containers = {each["name"]: each for each in line["containers"]}
    assert set(containers) == {"a", "b", "c", "paused"} and containers["paused"]["state"] == "paused"
    assert containers["a"]["cpuUsageNsec"] == 1_000_000_000 and containers["a"]["memoryUsage"] == 2 << 20
    found = (await remembering.ask(of(container_id("a")[:8], "?step=60"))).json
    assert (found["name"], found["step"], found["last"]["networkRx"]) == ("a", 60, 1000)
    assert lines(await remembering.ask(f"{ROUNDS}?cursor={line['cursor']}"))[1:] == []
    agent = (await remembering.ask("/api/host")).json["agent"]
    assert 0 <= agent["historySeconds"] < 600 and agent["historyKeepSeconds"] == 3600
    assert agent["historyDisk"] is None, "without a directory nothing is said of a disk"
    assert b"cgstatd_history" not in (await remembering.ask("/metrics")).body


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


REFUSED = {
    "since": ("since=x", "since=-1", "since=2&until=1", "since=", "since=%D9%A1", "since=" + "9" * 5000),
    "until": ("until=1e3", "until=253402300800000"),
    "step": ("step=0", "step=86401", "step=nan", "step=1_0", "step=inf", "step=", "step=1e999", "step=-1",
             "step=" + "9" * 400),
    "limit": ("limit=0", "limit=1001", "limit=x"),
    "cursor": ("cursor=x", "cursor=0-1%0A", "cursor=" + "0" * 4000),
    "figures": ("figures=", "figures=cpu", "figures=cpuPercent,,", "figures=" + "a," * 2000),
}  # fmt: skip
TIMES = ("since", "until", "step")
ASKED = (
    ("/api/containers/{id}/history", of("a", "?"), TIMES), (HOST, f"{HOST}?", TIMES),
    (WORKLOAD, f"{WORKLOAD}?workload=docker:a&", TIMES), (ROUNDS, f"{ROUNDS}?", ("limit", "cursor")),
    (LINES, f"{LINES}?", ("figures",)),
)  # fmt: skip
"""Each route, how it is asked, and what it takes."""


@pytest.mark.parametrize(("path", "target", "words"), ASKED, ids=[each[0] for each in ASKED])
async def test_what_is_asked_for_badly_is_named(
    remembering: Server, path: str, target: str, words: tuple[str, ...]
) -> None:
    for word in words:
        for query in REFUSED[word]:
            answer = await remembering.ask(target + query)
            assert answer.status == 400 and answer.json["error"].startswith(f"{word}: expected"), answer.body
            conforms(answer, path)


async def test_a_workload_that_there_is_not_is_not_found(remembering: Server) -> None:
    await first_round(remembering)
    for query, status in (
        ("workload=compose:shop/nothing", 404), ("", 400), ("workload=", 400), ("workload=" + "x" * 2049, 400)
    ):  # fmt: skip
        answer = await remembering.ask(f"{WORKLOAD}?{query}")
        assert answer.status == status, query
        conforms(answer, WORKLOAD)


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
    """What is answered then: tests/golden/test_story.py."""
    keeping = Keeping(3600.0, 10.0, str(tmp_path / "history"))
    async with serving(host.sampler(), history=keeping) as server:
        _, line = await first_round(server)
    async with serving(host.sampler(), history=keeping) as server:
        while len(found := lines(await server.ask(f"{ROUNDS}?cursor="))) < 3:
            await asyncio.sleep(0.01)
        assert found[1]["cursor"] == line["cursor"] and found[1]["containers"] == line["containers"]
        assert found[2]["gap"] == WORDS[Gap.STOPPED]
        head, *behind = lines(await server.ask(f"{ROUNDS}?cursor={line['cursor']}"))
        assert (head["truncated"], head["oldest"]) == (False, line["cursor"]) and behind == found[2:]
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
