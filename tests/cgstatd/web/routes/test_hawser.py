"""A Dockhand server registers the host as a standard agent: the token's own header, health and info."""

from __future__ import annotations

import shutil
from http import HTTPStatus

import pytest

from cgstatd import __version__
from cgstatd.outputs.engine.system import READ_ONLY, VERSION
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES, REFUSALS, ROUTES, Route
from fakehost import ENGINE_FILES, FakeHost
from helpers import write_files
from secured import METRICS, Tokens, bearer
from wire import Server

MACHINE_ID = "0f" * 16
INFO = "/_hawser/info"


@pytest.fixture(autouse=True)
def host_files(host: FakeHost, tokens: Tokens) -> None:
    """What these routes read of the host."""
    write_files(
        str(host.path),
        ENGINE_FILES
        | {
            "etc/machine-id": f"{MACHINE_ID}\n",
            "proc/uptime": "90061.23 1.00\n",
        },
    )


def sent(secret: str) -> str:
    """The token as Dockhand sends it."""
    return f"X-Hawser-Token: {secret}"


def path_of(route: Route) -> str:
    parts = {"{version}": "v1.45", "{container}": "a", "{name}": "a", "{id}": "a", "{env}": "1", "{rest}": "x"}
    path = route.path
    for part, value in parts.items():
        path = path.replace(part, value)
    return f"{path}?stream=0&since=0&until=1"


async def test_a_dockhand_server_registers_the_host(secured: Server, tokens: Tokens) -> None:
    """Its test of a connection: /info, then who the agent is."""
    secret = tokens.new()
    info = await secured.ask("/info", sent(secret), "Content-Type: application/json")
    assert info.status == 200 and (info.json["Name"], info.json["ServerVersion"]) == ("web1", VERSION)
    found = (await secured.ask(INFO, sent(secret))).json
    assert len(found.pop("agentId")) == 36
    assert found == {
        "agentName": "web1", "dockerVersion": __version__, "hawserVersion": __version__, "mode": "standard",
        "uptime": 90061,
    }  # fmt: skip
    for target in ("/_ping", "/containers/json?all=true", "/containers/a/stats?stream=false", "/containers/a/json"):
        assert (await secured.ask(target, sent(secret))).status == 200, target


async def test_the_id_stays_and_the_machines_own_is_not_shown(server: Server, host: FakeHost) -> None:
    first = await server.ask(INFO)
    assert MACHINE_ID not in first.body.decode().replace("-", "")
    assert (await server.ask(INFO)).json["agentId"] == first.json["agentId"]


@pytest.mark.parametrize("wrong", ["", "uninitialized\n", "\xff\xfe", "0f" * 40])
async def test_a_host_without_an_id_of_its_own(server: Server, host: FakeHost, wrong: str) -> None:
    known = (await server.ask(INFO)).json["agentId"]
    write_files(str(host.path), {"etc/machine-id": wrong.encode("latin-1"), "proc/uptime": wrong.encode("latin-1")})
    server.parts.engine.host.forget()
    fresh = (await server.ask(INFO)).json
    assert len(fresh["agentId"]) == 36 and fresh["agentId"] != known and "uptime" not in fresh


# -- health


@pytest.mark.parametrize("headers", [(), (sent("wrong"),)])
async def test_health_is_open(secured: Server, tokens: Tokens, headers: tuple[str, ...]) -> None:
    tokens.new()
    answer = await secured.ask("/_hawser/health", *headers)
    assert answer.status == 200 and answer.json == {"status": "healthy"}


async def test_without_a_token_trouble_has_no_reason(secured: Server, tokens: Tokens, host: FakeHost) -> None:
    tokens.new()
    shutil.rmtree(host.path / "sys/fs/cgroup")
    answer = await secured.ask("/_hawser/health")
    assert answer.status == 503 and answer.json == {"message": "unhealthy"}


# -- the header


@pytest.mark.parametrize("route", [*ENGINE_ROUTES, *REFUSALS, HAWSER_ROUTES[1]], ids=lambda r: f"{r.method} {r.path}")
async def test_the_header_is_a_token_on_the_engines_routes(secured: Server, tokens: Tokens, route: Route) -> None:
    secret, method = tokens.new(), "POST" if route.method == "*" else route.method
    assert (await secured.ask(path_of(route), sent("wrong"), method=method)).status == 401
    seen = (await secured.ask(path_of(route), sent(secret), method=method)).status
    assert seen == 403 if route in REFUSALS else seen in (200, 404), seen


@pytest.mark.parametrize("route", [r for r in ROUTES if not r.open], ids=lambda r: r.path)
async def test_the_header_is_nothing_anywhere_else(secured: Server, tokens: Tokens, route: Route) -> None:
    answer = await secured.ask(path_of(route), sent(tokens.new(allow=("containers:view", METRICS))))
    assert answer.status == HTTPStatus.UNAUTHORIZED


async def test_the_same_rules_as_for_every_token(secured: Server, tokens: Tokens) -> None:
    good, other = tokens.new(), tokens.new("other", env=(2,))
    only = tokens.new("scraper", allow=(METRICS,))
    assert (await secured.ask(INFO, sent(other))).status == 403
    assert (await secured.ask(INFO, sent(only))).status == 403
    assert (await secured.ask(INFO, sent(good))).status == 200
    for wrong in ("", good[:-1], f"{good}x", f"Bearer {good}", f"{good},{good}", "\xff", "x" * 4000):
        answer = await secured.ask(INFO, sent(wrong))
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer", wrong


async def test_authorization_counts_where_both_are_sent(secured: Server, tokens: Tokens) -> None:
    good = tokens.new()
    assert (await secured.ask(INFO, sent("wrong"), bearer(good))).status == 200
    assert (await secured.ask(INFO, sent(good), bearer("wrong"))).status == 401


async def test_guessing_in_the_header_is_slowed_down_and_a_good_token_counts(secured: Server, tokens: Tokens) -> None:
    good = tokens.new()
    seen = [(await secured.ask(INFO, sent(f"guess{n}"))).status for n in range(17)]
    assert seen == [401] * 15 + [429] * 2
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
    for method, target in (("POST", "/_hawser/compose"), ("GET", "/_hawser/x"), ("GET", "/_hawser"),
                           ("POST", INFO), ("DELETE", "/_hawser/health"), ("GET", f"/v1.45{INFO}")):  # fmt: skip
        answer = await server.ask(target, method=method)
        assert answer.status == 403 and answer.json == {"message": READ_ONLY}, (method, target)
