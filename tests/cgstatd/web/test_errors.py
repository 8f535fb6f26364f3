"""Everything that is not 200: the order of checks, hostile ids and requests, methods, versions of HTTP."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from cgstatd.feed import reading_pass
from cgstatd.sampling.container import Container
from fakehost import FakeHost, Hang, container_id
from wire import ALL, STREAM, Answer, Server

INVALID = {"error": "Invalid container ID"}


def path(wanted: str) -> str:
    return f"/api/containers/{wanted}/stats"


def no_stack_trace(answer: Answer) -> None:
    for word in (b"Traceback", b"File ", b".py", b"cgstatd/"):
        assert word not in answer.body, answer.body


# -- 400


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "..",
        "a..b",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "a%2Fb",
        "a%2fb",
        "%2F",
        "..%2F..%2Fetc%2Fpasswd",
        "\\",
        "a\\b",
        "%5C",
        "%5c..",
        "%00",
        "a%00",
        "%00a",
        "%25",
        "a%25b",
        "%252e%252e",
        "%252F",
        "%2500",
        "%25%32%66",
        "100%",
        "a%zzb",
        "a%2",
        "%FF",  # no UTF-8: it stays as it is
        "%C3%28",
        f"{'0' * 64}%2f",
    ],
)
async def test_an_id_with_dots_a_slash_a_backslash_nul_or_a_percent_sign_is_invalid(
    server: Server, hang: Hang, wanted: str
) -> None:
    for env in ("", "?env=1", "?env=999"):  # 400 comes before 404
        answer = await server.ask(path(wanted) + env)
        assert (answer.status, answer.json) == (400, INVALID)
    assert hang.listings == 0  # nothing is looked up


async def test_a_slash_that_is_not_encoded_is_another_path(server: Server) -> None:
    for wanted in ("a/b", "../a", "/", "a/"):
        answer = await server.ask(path(wanted))
        assert answer.status in (400, 404)
        no_stack_trace(answer)


@pytest.mark.parametrize("wanted", [b"\xff\xfe", "ü".encode(), b"a b", b"a\tb", b"\x01", b"\x7f", b"\0", b"a?b#c"])
async def test_bytes_that_have_no_place_in_a_url_are_an_error_and_no_500(server: Server, wanted: bytes) -> None:
    answer = await server.ask(b"/api/containers/" + wanted + b"/stats")
    assert answer.status in (400, 404)
    no_stack_trace(answer)


@pytest.mark.parametrize("wanted", [".", "...a", "%20", "%0A", "%0d%0a", "%1b", "*", "~", "%3F", "%23"])
async def test_other_strange_ids_are_looked_up_and_not_found_or_invalid(server: Server, wanted: str) -> None:
    answer = await server.ask(path(wanted))
    assert answer.status == (400 if ".." in wanted else 404)
    assert answer.json == (INVALID if ".." in wanted else {"error": "Container not found"})


async def test_a_line_break_in_an_id_forges_no_header(server: Server) -> None:
    answer = await server.ask(path("x%0d%0aSet-Cookie:%20a=b"))
    assert answer.status == 404 and "set-cookie" not in answer.headers


# -- 404


@pytest.mark.parametrize("wanted", ["nobody", "0" * 64, "docker:nobody", "podman:a", "A", "f" * 4000])
async def test_an_unknown_container_is_404(server: Server, wanted: str) -> None:
    answer = await server.ask(path(wanted))
    assert (answer.status, answer.json) == (404, {"error": "Container not found"})


@pytest.mark.parametrize(
    "target",
    ["/api", "/api/", "/api/containers/a", "/api/containers/a/stats/", "/api/containers/a/top",
     "//api/containers/stats", "/API/containers/stats", "/api/containers/stats/", "/favicon.ico", "/..", "/%2e%2e/"],
)  # fmt: skip
async def test_any_other_path_is_404_as_json(server: Server, target: str) -> None:
    answer = await server.ask(target)
    assert (answer.status, answer.json) == (404, {"error": "Not found"})


# -- 500


async def test_files_that_cannot_be_read_are_500_in_words(host: FakeHost, server: Server) -> None:
    host.make_unreadable("a", "memory.current")
    answer = await server.ask(path("a"))
    assert answer.status == 500
    assert list(answer.json) == ["error"]
    error = answer.json["error"]
    assert error.startswith("cannot read memory: ") and f"{container_id('a')}.scope/memory.current" in error
    no_stack_trace(answer)


@pytest.mark.parametrize("file", ["cpu.stat", "memory.current", "memory.stat", "memory.max", "io.stat"])
async def test_a_malformed_file_is_500_too(host: FakeHost, server: Server, file: str) -> None:
    host.set("a", file, "\x00garbage without end")
    answer = await server.ask(path("a"))
    assert answer.status == 500 and answer.json["error"].startswith("cannot read ")
    assert (await server.ask(path("b"))).status == 200


async def test_a_container_that_hangs_is_500_after_its_time(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.4)
    hang.names.add("a")
    answer = await server.ask(path("a"))
    assert answer.status == 500 and answer.json["error"].startswith("reading the container takes over")
    assert answer.seconds > 0.3


@pytest.mark.parametrize("target", [path("a"), ALL, "/healthz"])
async def test_a_bug_is_500_without_a_stack_trace_and_is_logged(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret detail")

    for method in ("one", "round", "run"):
        monkeypatch.setattr(server.feed, method, fail)
    answer = await server.ask(target)
    assert (answer.status, answer.json) == (500, {"error": "Internal error"})
    assert "secret detail" in caplog.text
    async with server.connection() as connection:  # and the connection is as good as before
        connection.send(target)
        connection.send("/nothing")
        assert (await connection.answer()).status == 500
        assert (await connection.answer()).status == 404


async def test_a_bug_while_streaming_is_an_error_event_then_done_then_the_end(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("cgstatd.web.routes.stream._stats", fail)
    async with server.connection() as connection:
        connection.send(STREAM)
        answer = await connection.answer()
        assert answer.events == [("error", {"error": "Internal error"}), ("done", {})]
        assert await connection.closed()
    assert "secret detail" in caplog.text


async def test_an_unexpected_error_of_one_reading_is_an_internal_error(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Container, "counters", read)
    answer = await server.ask(path("a"))
    assert (answer.status, answer.json) == (500, {"error": "Internal error"})
    assert "secret detail" in caplog.text


# -- methods and versions


@pytest.mark.parametrize("method", ["BREW", "TRACE", "CONNECT", "get", "G" * 5000])
async def test_unknown_methods_are_refused(server: Server, method: str) -> None:
    answer = await server.ask(ALL, method=method)
    assert answer.status in (400, 404, 405)
    no_stack_trace(answer)


@pytest.mark.parametrize("target", [path("a"), ALL])
async def test_http_1_0_is_answered_and_closed(server: Server, target: str) -> None:
    async with server.connection() as connection:
        connection.send(target, version="1.0")
        answer = await connection.answer()
        assert answer.status == 200 and answer.json
        assert await connection.closed()


async def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    async with server.connection() as connection:
        for target in (path("a"), path("nobody"), ALL, path("a%2f"), "/nothing", path("b")):
            connection.send(target)
        assert [(await connection.answer()).status for _ in range(6)] == [200, 404, 200, 400, 404, 200]


# -- requests that are none


async def test_malformed_requests_do_not_fill_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for raw in (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"):
            async with server.connection() as connection:
                connection.raw(raw)
                assert (await connection.answer()).status == 400
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


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
