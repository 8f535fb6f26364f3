"""A Dockhand server registers the host as a standard agent: the token's own header, health and info."""

from __future__ import annotations

import shutil

import pytest

from cgstatd import __version__
from cgstatd.outputs.engine.system import READ_ONLY, VERSION
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES, REFUSALS, ROUTES, Route
from documented import filled, of_each
from fakehost import ENGINE_FILES, FakeHost
from helpers import write_files
from secured import METRICS, Tokens, bearer
from wire import Server

MACHINE_ID = "0f" * 16
INFO = "/_hawser/info"


@pytest.fixture(autouse=True)
def host_files(host: FakeHost) -> None:
    """What these routes read of the host."""
    write_files(str(host.path), ENGINE_FILES | {"etc/machine-id": f"{MACHINE_ID}\n", "proc/uptime": "90061.23 1.00\n"})


def sent(secret: str) -> str:
    """The token as Dockhand sends it."""
    return f"X-Hawser-Token: {secret}"


def target(route: Route) -> str:
    return f"{filled(route.path)}?stream=0&since=0&until=1"


async def test_a_dockhand_server_registers_the_host(secured: Server, tokens: Tokens) -> None:
    """Its test of a connection: /info, then who the agent is."""
    secret = tokens.new()
    info = await secured.ask("/info", sent(secret), "Content-Type: application/json")
    assert info.status == 200 and (info.json["Name"], info.json["ServerVersion"]) == ("web1", VERSION)
    answer = await secured.ask(INFO, sent(secret))
    assert MACHINE_ID not in answer.body.decode().replace("-", "")
    found = answer.json
    agent_id = found.pop("agentId")
    assert len(agent_id) == 36
    assert found == {
        "agentName": "web1", "dockerVersion": __version__, "hawserVersion": __version__, "mode": "standard",
        "uptime": 90061,
    }  # fmt: skip
    assert (await secured.ask(INFO, sent(secret))).json["agentId"] == agent_id, "it stays"


async def test_a_host_without_an_id_of_its_own(server: Server, host: FakeHost) -> None:
    known = (await server.ask(INFO)).json["agentId"]
    for wrong in (b"", b"uninitialized\n", b"\xff\xfe", b"0f" * 40):
        write_files(str(host.path), {"etc/machine-id": wrong, "proc/uptime": wrong})
        server.parts.engine.host.forget()
        fresh = (await server.ask(INFO)).json
        assert len(fresh["agentId"]) == 36 and fresh["agentId"] != known and "uptime" not in fresh


async def test_health_is_open_and_without_a_token_trouble_has_no_reason(
    secured: Server, tokens: Tokens, host: FakeHost
) -> None:
    tokens.new()
    for headers in ((), (sent("wrong"),)):
        answer = await secured.ask("/_hawser/health", *headers)
        assert answer.status == 200 and answer.json == {"status": "healthy"}
    shutil.rmtree(host.path / "sys/fs/cgroup")
    secured.feed.retime(freshness_seconds=0.0, baseline_seconds=0.0, max_cpu_percent=0.0)
    while (answer := await secured.ask("/_hawser/health")).status == 200:
        pass  # the listing before is fresh for a moment
    assert answer.status == 503 and answer.json == {"message": "unhealthy"}


# -- the header


@pytest.mark.usefixtures("credentials_at_once")
async def test_the_header_is_a_token_on_the_engines_routes_and_nothing_anywhere_else(
    secured: Server, tokens: Tokens
) -> None:
    """By the same rules as every token: for its environment and its permission."""
    good, other = tokens.new(), tokens.new("other", env=(2,))
    only, both = tokens.new("scraper", allow=(METRICS,)), tokens.new("both", allow=("containers:view", METRICS))

    async def check(route: Route) -> None:
        method = "POST" if route.method == "*" else route.method
        for secret in (other, only):
            assert (await secured.ask(target(route), sent(secret), method=method)).status == 403
        seen = (await secured.ask(target(route), sent(good), method=method)).status
        assert seen == 403 if route in REFUSALS else seen in (200, 404), seen
        assert (await secured.ask(target(route), sent("wrong"), method=method)).status in (401, 429)

    async def means_nothing(route: Route) -> None:
        assert (await secured.ask(target(route), sent(both))).status in (401, 429)

    await of_each(check, [*ENGINE_ROUTES, *REFUSALS, HAWSER_ROUTES[1]], lambda route: f"{route.method} {route.path}")
    await of_each(means_nothing, [route for route in ROUTES if not route.open], lambda route: route.path)


async def test_anything_but_a_good_token_is_a_failure_and_too_many_are_slowed_down(
    secured: Server, tokens: Tokens
) -> None:
    good = tokens.new()
    for wrong in ("", good[:-1], f"{good}x", f"Bearer {good}", f"{good},{good}", "\xff", "x" * 4000):
        answer = await secured.ask(INFO, sent(wrong))
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer", wrong
    assert (await secured.ask(INFO, sent("wrong"), bearer(good))).status == 200, "where both are sent, Authorization"
    assert (await secured.ask(INFO, sent(good), bearer("wrong"))).status == 401
    seen = [(await secured.ask(INFO, sent(f"guess{n}"))).status for n in range(15)]
    assert set(seen[:6]) == {401} and set(seen[-7:]) == {429}
    assert (await secured.ask("/api/containers", bearer("guess"))).status == 429
    assert (await secured.ask(INFO, sent(good))).status == 200


@pytest.mark.usefixtures("credentials_at_once")
async def test_a_revoked_token_ends_its_stream(secured: Server, tokens: Tokens) -> None:
    good = tokens.new()
    tokens.new("other")
    async with secured.connection() as connection:
        connection.send("/v1.45/events", sent(good))
        assert (await connection.head()).status == 200
        tokens.revoke()
        assert await connection.closed()
    assert (await secured.ask(INFO, sent(good))).status == 401


async def test_what_else_hawser_has_is_refused(server: Server) -> None:
    for method, path in (("POST", "/_hawser/compose"), ("GET", "/_hawser/x"), ("GET", "/_hawser"),
                         ("POST", INFO), ("DELETE", "/_hawser/health"), ("GET", f"/v1.45{INFO}")):  # fmt: skip
        answer = await server.ask(path, method=method)
        assert answer.status == 403 and answer.json == {"message": READ_ONLY}, (method, path)
