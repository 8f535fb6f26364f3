"""Every route of the table: its status and headers, packed and not, to HEAD, for another environment or container,
while a container hangs, and where the containers cannot be listed. Who may ask: security/test_matrix.py."""

from __future__ import annotations

import asyncio
import functools
import gzip
import shutil
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

import pytest

from cgstatd.feed import reading_pass
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES, ROUTES, TABLE
from documented import conforms, of_each
from fakehost import FakeHost, Hang, container_id
from wire import ALL, STREAM, Answer, Server

GZIP, ONLY_GZIP = "Accept-Encoding: gzip", "Accept-Encoding: gzip, identity;q=0"
FOLLOW = "/api/containers/stats/follow"
JSON, PLAIN, EVENTS = "application/json", "text/plain; charset=utf-8", "text/event-stream"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Row(NamedTuple):
    """What a GET of a route is answered."""

    path: str
    packed: str = ""
    """``gzip``: for a client that takes it; ``small``: for one that takes nothing else."""
    unlisted: int = 500
    """Where the containers cannot be listed."""
    media: str = JSON
    status: int = 200


ROWS = (
    Row("/healthz", "", 503),
    Row(ALL, "small"),
    Row(STREAM, "", 200, EVENTS),
    Row(FOLLOW, "", 200, EVENTS),
    Row("/api/containers/{id}/stats", "small"),
    Row("/api/containers", "gzip"),
    Row("/api/containers/{id}/detail", "gzip"),
    Row("/api/containers/{id}/processes", "small"),
    Row("/api/containers/{id}/history", "gzip"),
    Row("/api/containers/history", "small", 200),
    Row("/api/workloads/history", "gzip", unlisted=200),
    Row("/api/host", "gzip"),
    Row("/api/host/history", "gzip", 200),
    Row("/api/history", "gzip", 200, "application/x-ndjson"),
    Row("/api/environments", "", 200),
    Row("/api/environments/{env}", "", 200),
    Row("/metrics", "gzip", 500, METRICS),
    Row("/api/openapi.json", "gzip", 200),
    Row("/", "", 200, "text/html; charset=utf-8"),
    Row("/_ping", "", 200, PLAIN),
    Row("/version", "", 200),
    Row("/info"),
    Row("/containers/json"),
    Row("/containers/{container}/json"),
    Row("/containers/{container}/stats"),
    Row("/containers/{container}/top"),
    Row("/events"),
    Row("/images/json"),
    Row("/images/{name}/json", status=404),
    Row("/networks"),
    Row("/networks/{name}", status=404),
    Row("/volumes"),
    Row("/volumes/{name}", status=404),
    Row("/plugins/{name}/json", "", 404, status=404),
    Row("/system/df"),
    Row("/_hawser/health", "", 503),
    Row("/_hawser/info", "", 200),
)
OF_ALL = (ALL, STREAM, "/api/containers", "/metrics", "/containers/json")
"""Those that name every container that can be read."""


def target(row: Row, wanted: str = "a", query: str = "") -> str:
    path = row.path
    for part, value in {"{id}": wanted, "{container}": wanted, "{name}": "a", "{env}": "1"}.items():
        path = path.replace(part, value)
    fixed = "workload=docker:a" if "workloads" in path else "stream=0&since=0&until=1" if engine(row) else ""
    return f"{path}?{'&'.join(filter(None, (fixed, query)))}".rstrip("?")


def engine(row: Row) -> bool:
    return TABLE["GET", row.path].engine


async def ask(
    server: Server, row: Row, *headers: str, wanted: str = "a", query: str = "", opens: bool = True
) -> Answer:
    """The answer; of ``follow``, which stays open once it ``opens``, the head."""
    async with server.connection() as connection:
        connection.send(target(row, wanted, query), *headers)
        return await (connection.head() if row.path == FOLLOW and opens else connection.answer())


def said(answer: Answer, row: Row) -> str:
    """The error, in the words of our own routes or of the Engine API's."""
    if row.path == STREAM:
        assert (answer.status, len(answer.events), answer.events[1]) == (200, 2, ("done", {}))
        return str(answer.events[0][1]["error"])
    assert list(answer.json) == ["message" if engine(row) else "error"]
    return str(*answer.json.values())


async def a_round(server: Server) -> None:
    """Until the history has one."""
    while (await server.ask("/api/history")).body.count(b"\n") < 2:
        await asyncio.sleep(0.01)


async def answers(server: Server, row: Row) -> None:
    """Packed and not, and to HEAD."""
    plain = await ask(server, row)
    assert (plain.status, plain.headers["content-type"]) == (row.status, row.media)
    assert plain.headers["server"].startswith("cgstatd/") and plain.headers["x-content-type-options"] == "nosniff"
    assert ("accept-encoding" in plain.headers.get("vary", "").lower()) is bool(row.packed)
    for header, packed in (("", False), (GZIP, row.packed == "gzip"), (ONLY_GZIP, bool(row.packed))):
        answer = await ask(server, row, *filter(None, [header]))
        assert answer.headers.get("content-encoding") == ("gzip" if packed else None), header
        assert all(answer.headers.get(name) == plain.headers.get(name) for name in ("vary", "content-type"))
        if packed:
            assert int(answer.headers["content-length"]) == len(answer.body)
            answer.body = gzip.decompress(answer.body)
        if not engine(row) and row.path != FOLLOW:
            conforms(answer, row.path)
    route = TABLE["GET", row.path]
    async with server.connection() as connection:
        connection.send(target(row), method="HEAD")
        head = await connection.answer(method="HEAD")
        if route.head:
            assert (head.status, head.headers["content-type"]) == (row.status, row.media)
            assert int(head.headers["content-length"]) > 0
        else:
            assert head.status == (403 if route.engine else 405)
            assert route.engine or head.headers["allow"] == "GET"
        connection.send("/nothing")
        assert (await connection.answer()).status == 404  # no byte of a body was in between


async def is_of_this_environment(server: Server, row: Row) -> None:
    """Another is not found, which comes before an unknown container; its own may be left out."""
    if row.path == "/api/environments/{env}":
        for env in ("9", "x"):
            answer = await server.ask(f"/api/environments/{env}")
            assert (answer.status, said(answer, row)) == (404, "Environment not found")
            conforms(answer, row.path)
        return
    for env in ("2", "0", "-1", "x", "1.5", "9" * 5000, "%00", "%31%30", "2&env=1"):
        answer = await ask(server, row, wanted="nobody", query=f"env={env}", opens=False)
        assert (answer.status, said(answer, row)) == (200 if row.path == STREAM else 404, "Environment not found"), env
        if not engine(row):
            conforms(answer, row.path)
    for query in ("env=1", "env=", "env=1&env=2", "x=1", "env=1&x=%ff"):
        assert (await ask(server, row, query=query)).status == row.status, query


async def knows_no_such_container(server: Server, row: Row) -> None:
    """What is no id is 400; what is refused is not packed."""
    for wanted, status, error in (
        ("..", 400, "Invalid container ID"), ("%2e%2e%2fx", 400, "Invalid container ID"),
        ("", 400, "Invalid container ID"), ("nobody", 404, "Container not found"),
    ):  # fmt: skip
        answer = await ask(server, row, ONLY_GZIP, wanted=wanted)
        assert (answer.status, said(answer, row)) == (status, error), wanted
        assert "content-encoding" not in answer.headers
        conforms(answer, row.path)


async def goes_on_without_one_that_hangs(server: Server, row: Row) -> None:
    answer = await ask(server, row)
    assert answer.status == row.status
    assert row.path not in OF_ALL or container_id("a").encode() in answer.body


async def says_that_there_is_no_listing(server: Server, row: Row) -> None:
    answer = await ask(server, row)
    assert answer.status == row.unlisted
    if row.unlisted == 500 or row.path == STREAM:
        assert said(answer, row).startswith("cannot list the containers: ")


async def each(check: Callable[[Server, Row], Awaitable[None]], server: Server, rows: Iterable[Row] = ROWS) -> None:
    await of_each(functools.partial(check, server), rows, lambda row: row.path)


def test_every_route_is_here() -> None:
    asked = {route.path for route in (*ROUTES, *ENGINE_ROUTES, *HAWSER_ROUTES) if route.method == "GET"}
    assert {path for path in asked if "{version}" not in path} == {row.path for row in ROWS}


async def test_what_is_answered_packed_and_not_and_to_head(remembering: Server) -> None:
    await a_round(remembering)
    await each(answers, remembering)


async def test_the_environment_is_this_one_or_left_out(remembering: Server) -> None:
    await each(is_of_this_environment, remembering, [row for row in ROWS if TABLE["GET", row.path].permission])


async def test_a_container_that_there_is_not(remembering: Server) -> None:
    await each(knows_no_such_container, remembering, [row for row in ROWS if "{id}" in row.path])


async def test_a_container_that_hangs_holds_up_nobody(
    remembering: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.5)
    await remembering.ask(ALL)
    hang.names.add("b")
    await each(goes_on_without_one_that_hangs, remembering)
    hang.release()


async def test_where_the_containers_cannot_be_listed_that_is_said(remembering: Server, host: FakeHost) -> None:
    await a_round(remembering)
    shutil.rmtree(host.path / "sys/fs/cgroup")
    remembering.feed.retime(freshness_seconds=0.0, baseline_seconds=0.0, max_cpu_percent=0.0)
    await each(says_that_there_is_no_listing, remembering)
