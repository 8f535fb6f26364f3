"""Everything that is not 200: the order of checks, hostile ids and requests, methods, versions of HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from cgstatd.feed import reading_pass
from cgstatd.sampling.container import Container
from fakehost import FakeHost, Hang, container_id
from wire import ALL, STREAM, Answer, Server

INVALID, UNKNOWN, NO_ROUTE = "Invalid container ID", "Container not found", "Not found"
INTERNAL = (500, {"error": "Internal error"})


def path(wanted: str) -> str:
    return f"/api/containers/{wanted}/stats"


def no_stack_trace(answer: Answer) -> None:
    for word in (b"Traceback", b"File ", b".py", b"cgstatd/"):
        assert word not in answer.body, answer.body


async def test_an_id_with_dots_a_slash_a_backslash_nul_or_a_percent_sign_is_invalid(server: Server, hang: Hang) -> None:
    for wanted in (
        "", "..", "a..b", "%2e%2e", "%2E.", ".%2e", "a%2Fb", "a%2fb", "%2F", "..%2F..%2Fetc%2Fpasswd", "\\", "a\\b",
        "%5C", "%5c..", "%00", "a%00", "%00a", "%25", "a%25b", "%252e%252e", "%252F", "%2500", "%25%32%66", "100%",
        "a%zzb", "a%2", "%FF", "%C3%28", f"{'0' * 64}%2f", "...a",
    ):  # fmt: skip
        for env in ("", "?env=1", "?env=999"):  # 400 comes before 404
            answer = await server.ask(path(wanted) + env)
            assert (answer.status, answer.json) == (400, {"error": INVALID}), wanted
    assert hang.listings == 0, "nothing is looked up"


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        pytest.param([path(wanted) for wanted in (
            ".", "%20", "%0A", "%0d%0a", "%1b", "*", "~", "%3F", "%23", "nobody", "0" * 64, "docker:nobody",
            "podman:a", "A", "f" * 4000, "x%0d%0aSet-Cookie:%20a=b",
        )], UNKNOWN, id="containers"),
        pytest.param([
            "/api", "/api/", "/api/containers/a", "/api/containers/a/stats/", "/api/containers/a/top", path("a/b"),
            "//api/containers/stats", "/API/containers/stats", "/api/containers/stats/", "/favicon.ico", "/..",
            "/%2e%2e/", "/index.html", "/page.js", "/static/page.js",
        ], NO_ROUTE, id="paths"),
    ],
)  # fmt: skip
async def test_what_there_is_not_is_404(server: Server, targets: list[str], said: str) -> None:
    for target in targets:
        answer = await server.ask(target)
        assert (answer.status, answer.json) == (404, {"error": said}), target
        assert "set-cookie" not in answer.headers


async def test_bytes_that_have_no_place_in_a_url_are_an_error_and_no_500(server: Server) -> None:
    for wanted in (b"\xff\xfe", "ü".encode(), b"a b", b"a\tb", b"\x01", b"\x7f", b"\0", b"a?b#c", b"../a", b"/", b"a/"):
        answer = await server.ask(b"/api/containers/" + wanted + b"/stats")
        assert answer.status in (400, 404), wanted
        no_stack_trace(answer)
    for method in ("BREW", "TRACE", "CONNECT", "get", "G" * 5000):
        answer = await server.ask(ALL, method=method)
        assert answer.status in (400, 404, 405), method
        no_stack_trace(answer)


# -- 500


async def test_files_that_cannot_be_read_or_are_malformed_are_500_in_words(host: FakeHost, server: Server) -> None:
    host.make_unreadable("a", "memory.current")
    answer = await server.ask(path("a"))
    assert answer.status == 500 and list(answer.json) == ["error"]
    error = answer.json["error"]
    assert error.startswith("cannot read memory: ") and f"{container_id('a')}.scope/memory.current" in error
    no_stack_trace(answer)
    for file in ("cpu.stat", "memory.current", "memory.stat", "memory.max", "io.stat"):
        name = f"broken-{file}"
        host.add(name)
        host.set(name, file, "\x00garbage without end")
        answer = await server.ask(path(name))
        assert answer.status == 500 and answer.json["error"].startswith("cannot read "), file
    assert (await server.ask(path("b"))).status == 200


async def test_a_container_that_hangs_is_500_after_its_time(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.4)
    hang.names.add("a")
    answer = await server.ask(path("a"))
    assert answer.status == 500 and answer.json["error"].startswith("reading the container takes over")
    assert answer.seconds > 0.3


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("secret detail")


@pytest.mark.parametrize("target", [path("a"), ALL, "/healthz"])
async def test_a_bug_is_500_without_a_stack_trace_and_is_logged(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    for method in ("one", "round", "run"):
        monkeypatch.setattr(server.feed, method, fail)
    async with server.connection() as connection:
        connection.send(target)
        connection.send("/nothing")
        answer = await connection.answer()
        assert (answer.status, answer.json) == INTERNAL
        assert (await connection.answer()).status == 404, "the connection is as good as before"
    assert "secret detail" in caplog.text


async def test_a_bug_while_streaming_is_an_error_event_then_done_then_the_end(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cgstatd.web.routes.stream._stats", fail)
    async with server.connection() as connection:
        connection.send(STREAM)
        assert (await connection.answer()).events == [("error", {"error": "Internal error"}), ("done", {})]
        assert await connection.closed()
    assert "secret detail" in caplog.text


async def test_an_unexpected_error_of_one_reading_is_an_internal_error(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Container, "counters", fail)
    answer = await server.ask(path("a"))
    assert (answer.status, answer.json) == INTERNAL
    assert "secret detail" in caplog.text


# -- connections


async def test_pipelined_requests_are_answered_in_order_and_http_1_0_is_closed(server: Server) -> None:
    async with server.connection() as connection:
        for target in (path("a"), path("nobody"), ALL, path("a%2f"), "/nothing", path("b")):
            connection.send(target)
        assert [(await connection.answer()).status for _ in range(6)] == [200, 404, 200, 400, 404, 200]
    for target in (path("a"), ALL):
        async with server.connection() as connection:
            connection.send(target, version="1.0")
            answer = await connection.answer()
            assert answer.status == 200 and answer.json
            assert await connection.closed()


async def test_a_client_that_sends_half_a_request_and_waits_holds_up_nobody(server: Server) -> None:
    async with server.connection() as slow:
        slow.raw(b"GET /api/containers/stats HTTP/1.1\r\nHos")
        assert (await server.ask(ALL)).status == 200
        slow.raw(b"t: localhost\r\n\r\n")
        assert (await slow.answer()).status == 200


async def test_a_body_on_a_get_is_refused(server: Server) -> None:
    async with server.connection() as connection:
        connection.raw(f"GET {ALL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello".encode())
        answer = await connection.answer()
        assert (answer.status, answer.json) == (413, {"error": "Request body not allowed"})
        assert await connection.closed()
