"""Who may ask what: 400, 401, 403 and 404 in that order, and 429 for those who keep guessing."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cgstatd.auth.keyring import Keyring
from cgstatd.cli.main import main
from cgstatd.service.composition import Composition
from cgstatd.web.app import make_app
from cgstatd.web.guard import Guard
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES, ROUTES, TABLE
from cgstatd.web.server.gate import Gate
from cgstatd.web.server.limits import Limits
from documented import conforms
from fakehost import FakeHost
from secured import METRICS, VIEW, Tokens, bearer, guard
from wire import ALL, STREAM, Connection, Server, agent, serving, settings

pytestmark = pytest.mark.usefixtures("credentials_at_once")
ONE, NOBODY = "/api/containers/a/stats", "/api/containers/nobody/stats"
FOLLOW = "/api/containers/stats/follow"
UNAUTHORIZED = {"error": "Unauthorized", "message": "this agent wants a token: Authorization: Bearer …"}
DENIED = {"error": "Permission denied"}


# -- every route


def test_every_route_is_in_the_table(host: FakeHost) -> None:
    sampler = host.sampler()
    agent = Composition(sampler, settings(), Guard(1), Gate(Limits()))
    app = make_app(agent.parts, agent.guard)
    sampler.close()
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    heads = {("HEAD", route.path) for route in (*ROUTES, *ENGINE_ROUTES, *HAWSER_ROUTES) if route.head}
    assert served == set(TABLE) | heads, "decide in web/routes/table.py who may ask these"


async def test_a_route_that_is_not_in_the_table_is_refused_even_with_a_token(
    secured: Server, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(TABLE, ("GET", ALL))
    answer = await secured.ask(ALL, bearer(tokens.new(allow=[VIEW, METRICS])))
    assert (answer.status, answer.json) == (403, DENIED)


async def test_what_does_not_exist_wants_a_token_too_and_any_will_do(secured: Server, tokens: Tokens) -> None:
    secret = tokens.new()
    for headers, method, status in (
        ((), "GET", 401),
        ((bearer(secret),), "GET", 404),
        ((bearer(secret),), "POST", 404),
    ):
        assert (await secured.ask("/nothing/of/the/kind", *headers, method=method)).status == status


# -- 401


async def test_400_comes_before_401_before_403_before_404(secured: Server, tokens: Tokens) -> None:
    """Before a stream starts, too. A token is for its environments; where several are asked for, the first counts."""
    stranger, good = tokens.new("stranger", env=[2, 3]), tokens.new()
    for target in (ALL, ONE, STREAM, NOBODY, f"{ALL}?env=1", f"{ALL}?env=9", f"{ALL}?env=x"):
        answer = await secured.ask(target)
        assert (answer.status, answer.json, answer.headers["www-authenticate"]) == (401, UNAUTHORIZED, "Bearer")
        answer = await secured.ask(target, bearer(stranger))
        assert (answer.status, answer.json["error"]) == (403, "Permission denied"), target
    assert (await secured.ask(ALL, bearer(stranger))).json["message"] == (
        "stranger is for environment 2,3; this is environment 1"
    )
    for query, status in (("?env=2", 404), ("?env=2&env=1", 404), ("?env=1&env=2", 403)):
        assert (await secured.ask(ALL + query, bearer(stranger))).status == status
    for target, headers, status in (
        ("/api/containers/a%2fb/stats", (), 400), ("/api/containers//stats", (bearer(good),), 400),
        (NOBODY, (bearer(good),), 404),
    ):  # fmt: skip
        assert (await secured.ask(target, *headers)).status == status


async def test_anything_but_the_token_as_bearer_is_401(secured: Server, tokens: Tokens) -> None:
    secret = tokens.new()
    for header in (
        "Authorization: Bearer cgs_wrong", "Authorization: Bearer", "Authorization: Bearer ", "Authorization: ",
        "Authorization: Basic {}", "Authorization: {}", "Authorization: Token {}", "X-Api-Key: {}",
        "Cookie: token={}", "Authorization: Bearer {} x", "Authorization: Bearer {},{}", "Authorization: Bearer\t{}",
        "Proxy-Authorization: Bearer {}", "Authorization: Bearer \xff\xfe",
    ):  # fmt: skip
        answer = await secured.ask(ALL, header.replace("{}", secret))
        assert (answer.status, answer.json["error"]) == (401, "Unauthorized"), header
    assert (await secured.ask(f"{ALL}?token={secret}")).status == 401
    assert (await secured.ask(ALL, f"authorization: bEARER  {secret} ")).status == 200, "the scheme, in any case"


async def test_a_token_is_401_once_it_is_revoked_or_rotated_without_a_restart(secured: Server, tokens: Tokens) -> None:
    secret, other = tokens.new(), tokens.new("other")
    assert (await secured.ask(ALL, bearer(secret))).status == 200
    new = tokens.rotate()
    assert (await secured.ask(ALL, bearer(secret))).status == 401
    assert (await secured.ask(ALL, bearer(new))).status == 200
    tokens.revoke()
    assert (await secured.ask(ALL, bearer(new))).status == 401
    assert (await secured.ask(ALL, bearer(other))).status == 200


async def test_a_stream_that_stays_open_ends_with_its_token(secured: Server, tokens: Tokens) -> None:
    secret, other = tokens.new(), tokens.new("other")
    async with secured.connection() as revoked, secured.connection() as goes_on:
        for connection, token in ((revoked, secret), (goes_on, other)):
            connection.send(FOLLOW, bearer(token))
            assert (await connection.head()).status == 200
        tokens.revoke()
        await ended(revoked)
        assert await goes_on.reader.read(10)
    assert (await secured.ask(FOLLOW, bearer(secret))).status == 401


async def ended(connection: Connection) -> None:
    """Wait until the stream is cut."""
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        while True:
            await connection.reader.readuntil(b"\r\n")


async def test_a_stream_without_credentials_ends_when_the_first_token_is_made(
    host: FakeHost, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(host.sampler(), guard=guard(tokens)) as server, server.connection() as anonymous:
        anonymous.send(FOLLOW)
        assert (await anonymous.head()).status == 200
        with caplog.at_level(logging.INFO):
            tokens.new()
            await ended(anonymous)
        assert "client=127.0.0.1 stream cut: it would not be let in any more" in caplog.text


@pytest.mark.parametrize(
    "change",
    [{"env": [2]}, {"allow": [METRICS]}, {"sha256": "0" * 64}],
    ids=["another environment", "another permission", "another value"],
)
async def test_a_stream_ends_when_its_token_is_reduced_and_not_when_it_gets_more(
    secured: Server, tokens: Tokens, change: dict[str, Any]
) -> None:
    secret = tokens.new()
    async with secured.connection() as connection:
        connection.send(f"{FOLLOW}?interval=0.25", bearer(secret))
        answer = await connection.head()
        tokens.edit(allow=[VIEW, METRICS], env="any")
        assert (await secured.ask("/metrics", bearer(secret))).status == 200
        for _ in range(8):
            assert await connection.chunk(answer)
        tokens.edit(**change)
        await ended(connection)


# -- a tokens file that is being written


async def test_a_file_that_is_half_written_is_held_against_nobody(secured: Server, tokens: Tokens) -> None:
    secret = tokens.new()
    assert (await secured.ask(ALL, bearer(secret))).status == 200
    good = Path(tokens.path).read_bytes()
    for part in (0, 1, 40, -3):
        Path(tokens.path).write_bytes(good[:part])
        for _ in range(20):
            answer = await secured.ask(ALL, bearer(secret))
            assert (answer.status, answer.json["error"]) == (503, "Tokens cannot be checked")
            assert answer.headers["retry-after"] == "1"
        conforms(answer, ALL)
        assert (await secured.ask(ALL, bearer("cgs_wrong"))).status == 503
        assert (await secured.ask(ALL)).status == 401
        Path(tokens.path).write_bytes(good)
        assert (await secured.ask(ALL, bearer(secret))).status == 200
        assert (await secured.ask(ALL, bearer("cgs_wrong"))).status == 401  # and not 429


async def test_a_stream_outlives_a_moment_without_a_usable_file_but_not_more(host: FakeHost, tokens: Tokens) -> None:
    secret, now = tokens.new(), [1000.0]
    checks = guard(tokens, required=True)
    checks.callers.keyring = Keyring(tokens.path, lambda: now[0])
    async with serving(host.sampler(), guard=checks) as server, server.connection() as connection:
        connection.send(f"{FOLLOW}?interval=0.25", bearer(secret))
        answer = await connection.head()
        Path(tokens.path).write_bytes(b"{")
        now[0] += 1
        assert (await server.ask(ALL, bearer(secret))).status == 503
        now[0] += 2.9
        for _ in range(8):
            assert await connection.chunk(answer)
        now[0] += 0.2
        await ended(connection)


# -- 429


async def test_fifteen_failures_a_minute_then_429_with_retry_after(secured: Server, tokens: Tokens) -> None:
    good = tokens.new()
    answers = [await secured.ask(ALL, bearer(f"cgs_{n}")) for n in range(17)]
    assert [answer.status for answer in answers] == [401] * 15 + [429] * 2
    assert 50 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json["error"] == "Too many failures"
    # Whoever has a token is not locked out by others behind the same proxy.
    assert (await secured.ask(ALL, bearer(good))).status == 200


async def test_the_log_names_the_token_and_never_its_value(
    secured: Server, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    secret, other = tokens.new(), tokens.new("elsewhere", env=[2])
    with caplog.at_level(logging.DEBUG):
        await secured.ask(ALL, bearer(secret))
        tokens.revoke()
        await secured.ask(ALL, bearer(secret))
        await secured.ask(ALL, bearer(other))
        for _ in range(100):
            await secured.ask(ALL, bearer("cgs_guess"))
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("cgstatd") and r.levelno >= logging.WARNING]
    assert lines[0] == "refused address=127.0.0.1 reason=token=central revoked"
    assert lines[1] == "denied client=elsewhere env=1 wanted=containers:view"
    assert lines[2].startswith("refused address=127.0.0.1 15 times: answering 429 for ")
    assert len(lines) == 3
    assert secret not in caplog.text and other not in caplog.text and "cgs_guess" not in caplog.text


# -- what is open


async def test_healthz_without_a_token_says_its_status_alone_and_is_no_failure(
    secured: Server, tokens: Tokens, host: FakeHost
) -> None:
    for _ in range(40):
        answer = await secured.ask("/healthz")
        assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert (await secured.ask(ALL)).status == 401
    shutil.rmtree(host.path / "sys")
    secured.parts.health._look._fresh = 0.0
    stranger, known = await secured.ask("/healthz"), await secured.ask("/healthz", bearer(tokens.new()))
    assert (stranger.status, stranger.json) == (503, {"error": "Unavailable"})
    assert stranger.headers["retry-after"] == known.headers["retry-after"] == "5"
    assert known.status == 503 and known.json != stranger.json


async def test_without_tokens_a_private_agent_asks_for_none_until_there_are_some(
    host: FakeHost, tokens: Tokens
) -> None:
    async with serving(host.sampler(), guard=guard(tokens)) as server:
        assert (await server.ask(ALL)).status == 200
        assert (await server.ask(ALL, bearer("anything"))).status == 200
        secret = tokens.new()
        assert (await server.ask(ALL)).status == 401
        assert (await server.ask(ALL, bearer(secret))).status == 200
        tokens.revoke()
        assert (await server.ask(ALL)).status == 401


# -- refusing to start


def test_it_refuses_to_start_and_says_how(host: FakeHost, tokens: Tokens, capsys: pytest.CaptureFixture[str]) -> None:
    """A tokens file that was named and is not there is no reason to start without one, nor is a broken one."""

    def refusal(*more: str) -> str:
        options = ["--host-root", str(host.path), "--tokens", tokens.path, "--listen", "127.0.0.1:0"]
        assert main(["serve", *options, *more]) == 2
        return capsys.readouterr().err

    no_file = f"cgstatd: --tokens {tokens.path}: no such file; `cgstatd token --tokens {tokens.path} new"
    assert refusal().startswith(no_file)
    Path(tokens.path).write_text("{")
    assert refusal().startswith(f"cgstatd: {tokens.path}: ")
    Path(tokens.path).unlink()
    tokens.new()
    tokens.revoke()
    for address in ("0.0.0.0:0", "[::]:0"):
        said = refusal("--listen", address)
        assert "refusing to listen on " in said and "cgstatd token new --name central" in said
        assert tokens.path in said and "127.0.0.1 or unix:/PATH" in said


def test_with_a_token_it_serves_the_network_and_warns_that_there_is_no_tls(host: FakeHost, tokens: Tokens) -> None:
    secret = tokens.new()
    with agent("--host-root", str(host.path), "--tokens", tokens.path, "--listen", "0.0.0.0:0") as started:
        assert "http://0.0.0.0:" in started.serving, settings
        ask = urllib.request.Request(f"http://127.0.0.1:{started.port}{ALL}")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(ask)
        ask.add_header("Authorization", f"Bearer {secret}")
        ask.add_header("Host", "host.example.org")  # the host's own name may well be of its loopback address
        with urllib.request.urlopen(ask) as answer:
            assert len(json.loads(answer.read())) == 3


# -- what it costs


def test_ten_thousand_requests_of_one_second_look_at_the_tokens_file_once(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, looked = tokens.new(), []

    def stat(path: str) -> os.stat_result:
        looked.append(path)
        return os.lstat(path)

    keyring = Keyring(tokens.path, clock=lambda: 100.0)
    monkeypatch.setattr("cgstatd.auth.keyring.CHECK_SECONDS", 1.0)
    monkeypatch.setattr("cgstatd.auth.keyring.os", SimpleNamespace(stat=stat))
    assert all(keyring.find(secret) for _ in range(10_000))
    assert looked == [tokens.path]
