"""What is answered before a route has its say, or instead of it: as documented, down to the raw bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from aiohttp import web

from attacks.matrix import ASKED_WITH
from cgstatd.outputs.api_responses import ERRORS
from cgstatd.outputs.openapi import document
from cgstatd.web.routes.table import ROUTES, Route
from cgstatd.web.server.limits import Limits
from documented import conforms, first_method, of_each, response
from fakehost import FakeHost
from secured import Tokens, bearer, guard
from wire import ALL, STREAM, Answer, Server, serving

FOLLOW = "/api/containers/stats/follow"
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b" " * 5000
"""More than any path takes."""
DASH = "https://dash.example.org"
GET = b"GET / HTTP/1.1\r\n" + HOST


def target(path: str) -> str:
    return path.replace("{id}", "a").replace("{env}", "1") + ASKED_WITH.get(path, "")


async def every_route(check: Callable[[Route], Awaitable[None]]) -> None:
    await of_each(check, ROUTES, lambda route: route.path)


async def raw(server: Server, data: bytes) -> Answer:
    """What bytes are answered, before the connection is reset."""
    async with server.connection() as connection:
        connection.raw(data)
        with suppress(ConnectionError):
            return await connection.answer()
        raise AssertionError("reset before the answer could be read")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET http://[::1/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (GET + b"X: " + b"a" * 9000 + b"\r\n\r\n", 400),
        (GET + b"".join(b"X%d: y\r\n" % n for n in range(100)) + b"\r\n", 400),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (GET + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (GET + b"X: " + b"a" * 70_000, 431),
        (b"a" * 70_000, 431),
        (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500 + b"\r\n\r\n", 400),
        (GET + b"Content-Length: -1\r\n\r\n", 400),
        (GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (GET + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", 400),
        (b"\r\n\r\n\r\nnonsense\r\n\r\n", 400),
    ],
    ids=range(20),
)
async def test_what_is_no_request_is_answered_as_documented_and_is_no_warning(
    server: Server, caplog: pytest.LogCaptureFixture, data: bytes, status: int
) -> None:
    async with server.connection() as connection:
        connection.raw(data)
        answer = await connection.answer()
        assert answer.status == status and b"Traceback" not in answer.body and b".py" not in answer.body
        conforms(answer, "/")
        assert await connection.closed()
    assert (await server.ask(ALL)).status == 200
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


async def test_a_connection_too_many_is_answered_as_documented(host: FakeHost) -> None:
    async with serving(host.sampler(), limits=Limits(connections=1)) as server, AsyncExitStack() as stack:
        first = await stack.enter_async_context(server.connection())
        first.send("/healthz")
        await first.answer()

        async def check(route: Route) -> None:
            answer = await server.ask(target(route.path), method=route.method)
            assert answer.status == 503
            conforms(answer, route.path)

        await every_route(check)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        pytest.param(b"Host: evil.example\r\n\r\n", 403, id="host"),
        pytest.param(HOST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, 413, id="body"),
        pytest.param(
            HOST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), 413, id="chunks"
        ),
        pytest.param(HOST + b"Expect: something\r\n\r\n", 417, id="expect"),
    ],
)
async def test_what_every_path_refuses(server: Server, more: bytes, status: int) -> None:
    async def check(route: Route) -> None:
        answer = await raw(server, f"{route.method} {target(route.path)} HTTP/1.1\r\n".encode() + JSON + more)
        assert answer.status == status
        conforms(answer, route.path)

    await every_route(check)


async def test_the_methods_of_a_path_are_those_that_it_allows(server: Server) -> None:
    """HEAD where it is one of them: routes/test_every_route.py."""

    async def check(route: Route) -> None:
        for method in {"POST", "PUT", "DELETE", "PATCH", "TRACE", "HEAD", "OPTIONS"} - {route.method}:
            if method == "HEAD" and route.head:
                continue
            answer = await server.ask(target(route.path), method=method)
            assert answer.status == 405, method
            assert answer.headers["allow"] == ("GET, HEAD" if route.head else route.method)
            if method != "HEAD":
                conforms(answer, route.path)

    await every_route(check)


async def test_a_preflight_is_answered_as_documented(host: FakeHost) -> None:
    asking = ("Access-Control-Request-Method: GET", "Connection: close")
    async with serving(host.sampler(), guard=guard(origins=[DASH])) as server:

        async def check(route: Route) -> None:
            for origin, more, status in ((DASH, asking, 204), ("https://evil.example", asking, 403), (DASH, (), 405)):
                answer = await server.ask(target(route.path), f"Origin: {origin}", *more, method="OPTIONS")
                assert answer.status == status
                conforms(answer, route.path, "options")

        await every_route(check)


async def test_a_bug_outside_the_handlers_is_answered_as_documented(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def resolve(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(web.UrlDispatcher, "resolve", resolve)

    async def check(route: Route) -> None:
        caplog.clear()
        answer = await server.ask(target(route.path), "Accept: text/html")
        assert (answer.status, answer.json) == (500, {"error": "Internal error"})
        conforms(answer, route.path)
        assert "secret detail" in caplog.text

    await every_route(check)


# -- credentials


async def test_a_token_of_another_environment_is_refused_as_documented(secured: Server, tokens: Tokens) -> None:
    elsewhere = tokens.new("elsewhere", env=[2])

    async def check(route: Route) -> None:
        if route.permission:
            answer = await secured.ask(target(route.path), bearer(elsewhere))
            assert answer.status == 403
            conforms(answer, route.path)

    await every_route(check)


async def test_wrong_tokens_are_refused_as_documented_and_soon_only_slowly(host: FakeHost, tokens: Tokens) -> None:
    tokens.new()

    async def check(route: Route) -> None:
        statuses = set()
        async with serving(host.sampler(), guard=guard(tokens)) as server:
            for _ in range(17):
                async with server.connection() as connection:
                    connection.send(target(route.path), bearer("cgs_wrong"), "Connection: close", method=route.method)
                    answer = await connection.head()
                conforms_head(answer, route.path)
                statuses.add(answer.status)
        login = {415} if route.path.endswith("/login") else {200}
        assert statuses == (login if route.open else {401, 429})

    await every_route(check)


def conforms_head(answer: Answer, path: str) -> None:
    """Of an answer whose body was not read."""
    for name, reference in response(path, answer.status, first_method(path))["headers"].items():
        required = reference["$ref"].rpartition("/")[2] not in ("Vary", "Access-Control-Allow-Origin")
        assert name.lower() in answer.headers or not required


async def test_a_stream_too_many_is_answered_as_documented(host: FakeHost) -> None:
    checks = guard(limits=Limits(streams=1))
    async with serving(host.sampler(), guard=checks) as server, server.connection() as first:
        first.send(FOLLOW)
        assert (await first.head()).status == 200
        for path in (FOLLOW, STREAM):
            answer = await server.ask(path)
            assert answer.status == 503
            conforms(answer, path)


def test_each_error_that_is_documented_is_one_of_some_path() -> None:
    operations = [each for path in document(ROUTES)["paths"].values() for each in path.values()]
    documented = {int(status) for each in operations for status in each["responses"]}
    assert documented - {200, 204, 304} == set(ERRORS)


async def test_after_an_expectation_that_failed_the_connection_goes_on(server: Server) -> None:
    async with server.connection() as connection:
        connection.send(ALL, "Expect: something")
        answer = await connection.answer()
        assert (answer.status, answer.json) == (417, {"error": "Expectation failed"})
        connection.send(ALL)
        assert (await connection.answer()).status == 200
