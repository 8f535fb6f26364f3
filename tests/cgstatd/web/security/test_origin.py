"""A web page can neither read a loopback agent nor rebind its way to it, unless its origin is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cgstatd.web.security.origin import Hosts
from fakehost import FakeHost
from secured import Tokens, bearer, guard
from wire import ALL, STREAM, Answer, Server, serving

DASH = "https://dash.example.org"
PREFLIGHT = ("Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
TARGETS = (ALL, STREAM, "/api/containers/nobody/stats", "/nothing")


async def with_host(server: Server, *lines: str) -> Answer:
    async with server.connection() as connection:
        connection.raw("\r\n".join([f"GET {ALL} HTTP/1.1", *lines, "Connection: close", "", ""]).encode())
        return await connection.answer()


@pytest.fixture
async def dashed(host: FakeHost, quick: None) -> AsyncIterator[Server]:
    async with serving(host.sampler(), guard=guard(origins=[DASH], hosts=["Stats.example.org"])) as server:
        yield server


# -- DNS rebinding


async def test_a_loopback_agent_answers_to_names_of_its_own_and_to_no_other(server: Server) -> None:
    for name in ("localhost", "LocalHost", "localhost:9713", "127.0.0.1", "127.0.0.1:80", "127.8.8.8:1", "[::1]",
                 "[::1]:1"):  # fmt: skip
        assert (await with_host(server, f"Host: {name}")).status == 200, name
    for name in (
        "evil.example", "evil.example:9713", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:1",
        "localhost:x", "", ":80", "[::1", "[::1]x", "localhost.", "127.1", "2130706433", "0.0.0.0",
    ):  # fmt: skip
        answer = await with_host(server, f"Host: {name}")
        assert (answer.status, answer.json["error"]) == (403, "Host not allowed"), name
        assert "allowed_hosts" in answer.json["message"] and "evil" not in answer.body.decode()
    assert (await with_host(server, "Host: evil.example", "Host: localhost")).status in (400, 403)


async def test_a_client_that_is_no_browser_may_leave_the_host_out(server: Server) -> None:
    async with server.connection() as connection:
        connection.raw(f"GET {ALL} HTTP/1.0\r\n\r\n".encode())
        assert (await connection.answer()).status == 200


async def test_a_configured_name_or_address_is_answered_to(dashed: Server) -> None:
    assert (await with_host(dashed, "Host: stats.example.ORG:443")).status == 200
    assert (await with_host(dashed, "Host: x.stats.example.org")).status == 403
    assert Hosts(["[2001:db8::1]"]).allow("[2001:db8::1]:80")


# -- CORS


async def test_by_default_no_page_may_read_anything(server: Server) -> None:
    for target in TARGETS:
        answer = await server.ask(target, f"Origin: {DASH}")
        assert not [name for name in answer.headers if name.startswith("access-control")], target
    answer = await server.ask(ALL, f"Origin: {DASH}", *PREFLIGHT, method="OPTIONS")
    assert (answer.status, answer.json["error"]) == (403, "Origin not allowed")


async def test_an_allowed_page_may_read_answers_errors_and_streams(dashed: Server) -> None:
    for target in TARGETS:
        answer = await dashed.ask(target, f"Origin: {DASH}")
        assert answer.headers["access-control-allow-origin"] == DASH, target
        assert answer.headers["vary"].split(", ")[-1] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers


async def test_an_origin_is_compared_exactly(dashed: Server) -> None:
    for origin in ("http://dash.example.org", f"{DASH}:8443", f"{DASH}.evil.example", f"{DASH}/", "null", "", "*"):
        answer = await dashed.ask(ALL, f"Origin: {origin}")
        assert "access-control-allow-origin" not in answer.headers, origin
        assert answer.headers["vary"].split(", ")[-1] == "Origin"
        assert (await dashed.ask(ALL, f"Origin: {origin}", *PREFLIGHT, method="OPTIONS")).status == 403, origin


async def test_an_allowed_preflight_needs_no_token_and_gives_nothing_away(host: FakeHost, tokens: Tokens) -> None:
    secret = tokens.new()
    async with serving(host.sampler(), guard=guard(tokens, origins=[DASH])) as server:
        answer = await server.ask(ALL, f"Origin: {DASH}", *PREFLIGHT, "Connection: close", method="OPTIONS")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == DASH
        assert answer.headers["access-control-allow-methods"] == "GET"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        refused = await server.ask(ALL, f"Origin: {DASH}")
        assert refused.status == 401
        assert refused.headers["access-control-allow-origin"] == DASH  # the page may know why
        assert (await server.ask(ALL, f"Origin: {DASH}", bearer(secret))).status == 200


# -- what another site's page sends is refused before it costs anything

FETCH = ("Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")
LINK = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
FRAME = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
IMAGE = ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")


async def test_a_page_of_another_site_is_refused_on_every_kind_of_route(dashed: Server) -> None:
    for target in (ALL, STREAM, "/containers/json", "/v1.45/events", "/metrics", "/", "/healthz"):
        for how in (FETCH, FRAME, IMAGE, ()):
            for more in (("cross-site",), ("same-site",), ("cross-site", "Origin: https://evil.example")):
                answer = await dashed.ask(target, f"Sec-Fetch-Site: {more[0]}", *how, *more[1:])
                assert answer.status == 403 and b"Origin not allowed" in answer.body, (target, how, more)


async def test_what_may_go_on(dashed: Server) -> None:
    """The agent's own page, an address that is typed, a link that is followed, and a page of an allowed origin."""
    for target in (ALL, "/containers/json", "/"):
        for headers in (
            ("Sec-Fetch-Site: same-origin", *FETCH), ("Sec-Fetch-Site: none", *LINK),
            ("Sec-Fetch-Site: cross-site", *LINK), ("Sec-Fetch-Site: same-site", *LINK),
            ("Sec-Fetch-Site: cross-site", *FETCH, f"Origin: {DASH}"), (),
        ):  # fmt: skip
            assert (await dashed.ask(target, *headers)).status == 200, (target, headers)
    sent = (f"Origin: {DASH}", "Sec-Fetch-Site: cross-site", *FETCH, *PREFLIGHT)
    assert (await dashed.ask(ALL, *sent, method="OPTIONS")).status == 204, "an allowed page still asks first"
