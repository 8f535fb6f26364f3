"""What a server gets through the connection: what the Engine API answers to GET and HEAD, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from functools import partial
from typing import Any

import pytest

from cgstatd import __version__
from cgstatd.dockhand import answering, session
from cgstatd.dockhand.answering import Answering
from cgstatd.outputs.engine.system import READ_ONLY
from cgstatd.web.routes.table import ENGINE_ROUTES, ROUTES
from dockhand import TOKEN, Link, decoded
from fakehost import FakeHost, container_id

from .conftest import STREAMS, Caller


def of(request: str, each: dict[str, Any]) -> bool:
    """Whether a message belongs to a request."""
    return bool(each["requestId"] == request)


def body(answer: dict[str, Any]) -> Any:
    assert answer["isBinary"] is False
    return json.loads(answer["body"])


async def test_the_hello(link: Link) -> None:
    assert len(link.hello["agentId"]) == 36
    del link.hello["agentId"]
    assert link.hello == {
        "type": "hello", "version": __version__, "protocol": "1.0", "agentName": "web1", "hostname": "web1",
        "token": TOKEN, "tokenHash": hashlib.sha256(TOKEN.encode()).hexdigest(), "dockerVersion": __version__,
        "capabilities": ["metrics", "events"],
    }  # fmt: skip


# -- what is served


AS_OVER_HTTP = (
    "/_ping", "/version", "/v1.45/version", "/containers/json?all=true", "/containers/a/json", "/images/json",
    "/networks", "/volumes", "/system/df", "/_hawser/info", "/_hawser/health",
    '/containers/json?all=1&filters={"name":["^a$"]}', "/containers/nope/json", "/containers/json?limit=x",
    "/v1.99/info", "/containers/json?env=7", "/events?since=0&until=1",
)  # fmt: skip


async def test_the_same_as_over_http(link: Link, caller: Caller) -> None:
    for path in AS_OVER_HTTP:
        expected = await caller.server.ask(path)
        found = await link.ask(path)
        assert (found["statusCode"], found["body"].encode()) == (expected.status, expected.body), path
        assert found["headers"]["Content-Type"] == expected.headers["content-type"]
        assert found["headers"].get("Api-Version") == expected.headers.get("api-version")


async def test_head_has_no_body(link: Link) -> None:
    found = await link.ask("/_ping", method="HEAD")
    assert (found["statusCode"], found["body"]) == (200, "")


async def test_a_containers_figures_as_dockhand_asks_for_them(link: Link) -> None:
    found = body(await link.ask("/containers/a/stats?stream=false"))
    assert found["id"] == container_id("a") and found["cpu_stats"]["cpu_usage"]["total_usage"] == 1_000_000_000


async def test_headers_and_bodies_of_the_server_mean_nothing(link: Link, caller: Caller) -> None:
    headers = {"Authorization": "Bearer x", "Host": "evil", "Origin": "https://evil", "Expect": "100-continue",
               "Accept-Encoding": "gzip", "Cookie": "dockhand_session=x", "Content-Length": "7"}  # fmt: skip
    await link.send(
        type="request", requestId="x", method="GET", path="/_ping", headers=headers, body={"a": 1}, isBinary=True
    )
    [found] = await link.got("response")
    assert (found["requestId"], found["statusCode"], found["body"]) == ("x", 200, "OK")


# -- what is not


METHODS = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "get", "", "GET ", "\0", "GÉT")


async def test_every_other_method_and_the_agents_own_routes_are_refused(link: Link) -> None:
    paths = [route.path.replace("{version}", "v1.45") for route in ENGINE_ROUTES]
    asked = [(method, path) for method in METHODS for path in (*paths, "/_hawser/compose", "/containers/a/exec")]
    asked += [("GET", route.path.replace("{id}", "a").replace("{env}", "1")) for route in ROUTES]
    for method, path in asked:
        found = await link.ask(path.replace("{container}", "a").replace("{name}", "a"), method=method)
        assert (found["statusCode"], body(found)) == (403, {"message": READ_ONLY}), (method, path)


TRICKS = (
    "", "containers/json", "http://127.0.0.1/containers/json", "*", "//evil/containers/json", "/../etc/shadow",
    "/containers/../../etc/shadow/json", "/containers/%2e%2e%2f%2e%2e/json", "/containers/a%00b/json",
    "/containers/a/json HTTP/1.1\r\nX: y", "/containers/a\n/json", "/containers/\u202e/json",
    "/v1.45//containers/json", "/containers/a/json#x", "/%c0%ae%c0%ae/containers/json", "/containers/%zz/json",
    "/" + "a" * 9000,
    "/v1.45/../metrics", "/_hawser/../metrics", "/;/metrics", "/containers/json/../../metrics", "\\metrics",
    "/%2fmetrics",
)  # fmt: skip


async def test_paths_with_tricks(link: Link) -> None:
    for path in TRICKS:
        found = await link.ask(path)
        if found["statusCode"] == 200:  # a fragment is none of the server's business, as over HTTP
            assert path == "/containers/a/json#x"
        else:
            assert found["statusCode"] in (400, 403, 404) and set(body(found)) == {"message"}, path
    assert (await link.ask("/_ping"))["statusCode"] == 200


async def test_a_terminal_is_refused(link: Link) -> None:
    await link.send(type="exec_start", execId="e1", containerId="a", cmd="/bin/sh", user="root", cols=80, rows=24)
    await link.send(type="exec_input", execId="e1", data="aWQK")
    [found] = await link.got("error")
    assert (found["requestId"], found["error"]) == ("e1", READ_ONLY)
    assert (await link.ask("/_ping"))["statusCode"] == 200


# -- streams


async def test_a_stream_until_the_server_ends_it(link: Link, caller: Caller, host: FakeHost) -> None:
    await link.send(type="request", requestId="s", method="GET", path="/containers/a/stats", streaming=True)
    first = json.loads(decoded((await link.got("stream", lambda each: each["requestId"] == "s"))[:1]))
    assert first["name"] == "/a"
    assert caller.streams == 1
    await link.send(type="stream_end", requestId="s", reason="cancelled")
    await link.send(type="stream_end", requestId="nope")
    while caller.streams:
        await asyncio.sleep(0)
    assert (await link.ask("/_ping"))["statusCode"] == 200
    assert not link.messages["stream_end"]


async def test_a_stream_that_ends(link: Link, host: FakeHost) -> None:
    await link.send(type="request", requestId="s", method="GET", path="/events?since=0&until=1", streaming=True)
    [found] = await link.got("stream_end")
    assert (found["requestId"], found["reason"]) == ("s", "completed")
    assert not link.messages["response"]


async def test_a_plain_answer_that_is_asked_for_as_a_stream(link: Link, caller: Caller) -> None:
    await link.send(type="request", requestId="s", method="GET", path="/containers/json?all=1", streaming=True)
    await link.got("stream_end")
    assert json.loads(decoded(link.messages["stream"])) == (await caller.server.ask("/containers/json?all=1")).json


async def test_a_refused_stream_has_an_answer_and_an_end(link: Link) -> None:
    """Some of Dockhand's calls wait for the one, some for the other."""
    for number, (method, path, status) in enumerate(
        [("GET", "/containers/a/logs?follow=1", 403), ("GET", "/containers/nope/stats", 404),
         ("POST", "/images/create", 403), ("GET", "nope", 400)]
    ):  # fmt: skip
        await link.send(type="request", requestId=f"s{number}", method=method, path=path, streaming=True)
        [found] = await link.got("response", partial(of, f"s{number}"))
        assert found["statusCode"] == status
        [end] = await link.got("stream_end", partial(of, f"s{number}"))
        assert end["reason"] == f"status {status}"
    assert not link.messages["stream"]


async def test_too_many_streams(link: Link) -> None:
    for number in range(STREAMS):
        await link.send(
            type="request", requestId=f"s{number}", method="GET", path="/containers/a/stats", streaming=True
        )
        await link.got("stream", partial(of, f"s{number}"))
    found = await link.ask("/events", streaming=True)
    assert found["statusCode"] == 503 and body(found) == {"message": "Too many streams"}


async def test_a_stream_without_end_is_no_plain_answer(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "ANSWER_SECONDS", 0.1)
    for path in ("/events", "/containers/a/stats"):
        found = await link.ask(path)
        assert found["statusCode"] == 504 and "as a stream" in body(found)["message"]


async def test_a_stream_that_is_too_long_for_a_plain_answer(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST_STREAMED_BYTES", 1000)
    assert (await link.ask("/containers/a/stats"))["statusCode"] == 504
    assert (await link.ask("/containers/json?all=1"))["statusCode"] == 200  # longer, but not a stream


async def test_bytes_that_are_no_text(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    from cgstatd.dockhand import messages

    found = json.loads(messages.response("r", 200, {}, b"\xff\x00"))
    assert found["isBinary"] is True and base64.b64decode(found["body"]) == b"\xff\x00"


# -- many


async def test_a_thousand_requests_at_once(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0
    real = Answering.answer

    async def counted(self: Answering, *arguments: Any) -> None:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        try:
            await real(self, *arguments)
        finally:
            running -= 1

    monkeypatch.setattr(Answering, "answer", counted)
    paths = ("/_ping", "/containers/json?all=true", "/containers/a/json", "/containers/a/stats?stream=false", "/info")
    for number in range(1000):
        await link.send(type="request", requestId=f"q{number}", method="GET", path=paths[number % 5])
    found = await link.got("response", count=1000)
    assert {each["requestId"] for each in found} == {f"q{number}" for number in range(1000)} and len(found) == 1000
    assert {each["statusCode"] for each in found} == {200}
    assert 1 < most <= session.AT_ONCE


async def test_a_request_that_is_taken_back_before_it_began_frees_its_place(link: Link) -> None:
    for number in range(3 * session.AT_ONCE):
        await link.send(
            type="request", requestId=f"q{number}", method="GET", path="/containers/a/stats", streaming=True
        )
        await link.send(type="stream_end", requestId=f"q{number}")
    assert (await link.ask("/_ping"))["statusCode"] == 200
