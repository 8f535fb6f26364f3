"""What is answered before a route has its say, or instead of it: as documented, down to the raw bytes."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from aiohttp import web

from attacks.matrix import ASKED_WITH
from cgstatd.outputs.api_responses import ERRORS
from cgstatd.outputs.openapi import document
from cgstatd.web.routes.table import ROUTES, Route
from cgstatd.web.server.limits import Limits
from documented import conforms, first_method, response
from fakehost import FakeHost
from secured import Tokens, bearer, guard
from wire import ALL, STREAM, Answer, Server, serving

PATHS = [route.path for route in ROUTES]
FOLLOW = "/api/containers/stats/follow"
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b" " * 5000
"""More than any path takes."""
DASH = "https://dash.example.org"


def target(path: str) -> str:
    return path.replace("{id}", "a").replace("{env}", "1") + ASKED_WITH.get(path, "")


def route_of(path: str) -> Route:
    return next(route for route in ROUTES if route.path == path)


async def raw(server: Server, data: bytes, method: str = "GET") -> Answer:
    async with server.connection() as connection:
        connection.raw(data)
        with suppress(ConnectionError):
            return await connection.answer(method=method)
        raise AssertionError("reset before the answer could be read")


# -- what is no request


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
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X%d: y\r\n" % n for n in range(100)) + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 70_000, 431),
        (b"a" * 70_000, 431),
        (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", 400),
        (b"\r\n\r\n\r\nnonsense\r\n\r\n", 400),
    ],
    ids=range(20),
)
async def test_what_is_no_request_is_answered_as_documented(server: Server, data: bytes, status: int) -> None:
    async with server.connection() as connection:
        connection.raw(data)
        answer = await connection.answer()
        assert answer.status == status and b"Traceback" not in answer.body and b".py" not in answer.body
        conforms(answer, "/")
        assert await connection.closed()
    assert (await server.ask(ALL)).status == 200


async def test_a_connection_too_many_is_answered_as_documented(host: FakeHost) -> None:
    async with serving(host.sampler(), limits=Limits(connections=1)) as server, AsyncExitStack() as stack:
        first = await stack.enter_async_context(server.connection())
        first.send("/healthz")
        await first.answer()
        for path in PATHS:
            answer = await server.ask(target(path), method=route_of(path).method)
            assert answer.status == 503
            conforms(answer, path)


# -- every path


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b"Host: evil.example\r\n\r\n", 403),
        (HOST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, 413),
        (HOST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), 413),
        (HOST + b"Expect: something\r\n\r\n", 417),
    ],
    ids=["host", "body", "chunks", "expect"],
)
async def test_what_every_path_refuses(server: Server, path: str, more: bytes, status: int) -> None:
    answer = await raw(server, f"{route_of(path).method} {target(path)} HTTP/1.1\r\n".encode() + JSON + more)
    assert answer.status == status
    conforms(answer, path)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "HEAD", "OPTIONS"])
async def test_the_methods_of_a_path_are_those_that_it_allows(remembering: Server, path: str, method: str) -> None:
    route = route_of(path)
    if method == route.method:
        pytest.skip("what it is there for")
    answer = await remembering.ask(target(path), method=method)
    if method == "HEAD" and route.head:
        assert answer.status == 200
        conforms(answer, path, "head")
        return
    assert answer.status == 405
    assert answer.headers["allow"] == ("GET, HEAD" if route.head else route.method)
    if method != "HEAD":
        conforms(answer, path)


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_is_answered_as_documented(host: FakeHost, path: str) -> None:
    asking = ("Access-Control-Request-Method: GET",)
    async with serving(host.sampler(), guard=guard(origins=[DASH])) as server:
        for origin, status in ((DASH, 204), ("https://evil.example", 403)):
            async with server.connection() as connection:
                connection.send(target(path), f"Origin: {origin}", *asking, "Connection: close", method="OPTIONS")
                answer = await connection.answer()
            assert answer.status == status
            conforms(answer, path, "options")
        answer = await server.ask(target(path), f"Origin: {DASH}", method="OPTIONS")
        assert answer.status == 405
        conforms(answer, path, "options")


@pytest.mark.parametrize("path", PATHS)
async def test_a_bug_outside_the_handlers_is_answered_as_documented(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async def resolve(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(web.UrlDispatcher, "resolve", resolve)
    answer = await server.ask(target(path), "Accept: text/html")
    assert (answer.status, answer.json) == (500, {"error": "Internal error"})
    conforms(answer, path)
    assert "secret detail" in caplog.text


# -- credentials


@pytest.mark.parametrize("path", PATHS)
async def test_refusals_for_credentials_are_answered_as_documented(host: FakeHost, path: str, tokens: Tokens) -> None:
    route = route_of(path)
    elsewhere = tokens.new("elsewhere", env=[2])
    async with serving(host.sampler(), guard=guard(tokens)) as server:
        if route.permission:
            answer = await server.ask(target(path), bearer(elsewhere))
            assert answer.status == 403
            conforms(answer, path)
        statuses = set()
        for _ in range(17):
            async with server.connection() as connection:
                connection.send(target(path), bearer("cgs_wrong"), "Connection: close", method=route.method)
                answer = await connection.head()
            conforms_head(answer, path)
            statuses.add(answer.status)
        login = {415} if path.endswith("/login") else {200}
        assert statuses == (login if route.open else {401, 429})


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


# -- the document has nothing that is never answered


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
