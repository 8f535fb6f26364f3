"""GET /api/containers/{id}/history, /api/host/history and /api/history."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import pytest

from documented import conforms
from fakehost import FakeHost, container_id
from secured import Tokens, bearer
from wire import Answer, Server

HOST, ROUNDS = "/api/host/history", "/api/history"
METRICS = "metrics:view"


def of(name: str, query: str = "") -> str:
    return f"/api/containers/{name}/history{query}"


async def first_round(server: Server) -> list[dict[str, object]]:
    """The lines, once there is a round."""
    async with asyncio.timeout(10):
        while len(found := lines(await server.ask(ROUNDS))) < 2:
            await asyncio.sleep(0.01)
    return found


def lines(answer: Answer) -> list[dict[str, object]]:
    assert answer.status == 200 and answer.body.endswith(b"\n"), answer
    return [json.loads(line) for line in answer.body.splitlines()]


async def test_the_answers_are_as_documented(remembering: Server) -> None:
    head, line = await first_round(remembering)
    assert (head["truncated"], head["latest"]) == (False, line["cursor"])
    containers = {each["name"]: each for each in line["containers"]}  # type: ignore[attr-defined]
    assert set(containers) == {"a", "b", "c", "paused"} and containers["paused"]["state"] == "paused"
    assert containers["a"]["cpuUsageNsec"] == 1_000_000_000 and containers["a"]["memoryUsage"] == 2 << 20
    for path, target in (("/api/containers/{id}/history", of("a")), (HOST, HOST), (ROUNDS, ROUNDS)):
        answer = await remembering.ask(target)
        assert answer.status == 200, target
        conforms(answer, path)
    found = (await remembering.ask(of(container_id("a")[:8], "?step=60"))).json
    assert (found["name"], found["step"], found["last"]["networkRx"]) == ("a", 60, 1000)
    assert lines(await remembering.ask(f"{ROUNDS}?cursor={line['cursor']}"))[1:] == []


@pytest.mark.parametrize(
    ("query", "word"),
    [("since=x", "since"), ("since=-1", "since"), ("until=1e3", "until"), ("until=253402300800000", "until"),
     ("since=2&until=1", "since"), ("step=0", "step"), ("step=86401", "step"), ("step=nan", "step"),
     ("step=1_0", "step"), ("step=inf", "step"),
     ("step=", "step"), ("since=", "since"), ("step=1e999", "step"), ("step=-1", "step"), ("since=%D9%A1", "since"),
     ("step=" + "9" * 400, "step"), ("since=" + "9" * 5000, "since")],
)  # fmt: skip
async def test_a_bad_parameter_is_named(remembering: Server, query: str, word: str) -> None:
    for path, target in (("/api/containers/{id}/history", of("a")), (HOST, HOST)):
        answer = await remembering.ask(f"{target}?{query}")
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


async def test_what_is_not_there_is_not_found(remembering: Server) -> None:
    assert (await remembering.ask(of("nothing"))).status == 404
    assert (await remembering.ask(of(".."))).status == 400
    for target in (of("a"), HOST, ROUNDS):
        assert (await remembering.ask(f"{target}?env=9")).json == {"error": "Environment not found"}


async def test_names_of_any_kind_break_no_line(host: FakeHost, remembering: Server) -> None:
    name = 'x"\n{"cursor":"0-1"}\r\u2028\x00</script>'
    host.on_disk("a", running=True, shown=name)
    await first_round(remembering)
    for line in (await remembering.ask(ROUNDS)).body.splitlines():
        json.loads(line)
    assert (await remembering.ask(of(quote("x\"\n{'", safe="")))).status in (400, 404)


async def test_without_a_history_the_routes_say_so(server: Server) -> None:
    for path, target in (("/api/containers/{id}/history", of("a")), (HOST, HOST), (ROUNDS, ROUNDS)):
        answer = await server.ask(target)
        assert (answer.status, answer.json["error"]) == (404, "History is off")
        conforms(answer, path)
    assert server.feed.passes == 0


async def test_who_may_not_see_containers_sees_no_history(secured: Server, tokens: Tokens) -> None:
    viewer, scraper = tokens.new("viewer"), tokens.new("scraper", allow=[METRICS])
    for target in (of("a"), HOST, ROUNDS):
        assert (await secured.ask(target)).status == 401
        assert (await secured.ask(target, bearer(scraper))).status == 403
        assert (await secured.ask(target, bearer(viewer))).status == 404  # it is off
