"""Logging in: a token for a cookie of the same rights, and no way to more than the token gives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

from certificates import authority, issue
from cgstatd.auth import sessions as sessions_module
from cgstatd.auth import store
from cgstatd.auth.sessions import Sessions, key_of
from cgstatd.auth.tokens import Token, digest
from cgstatd.web.routes import login as login_module
from cgstatd.web.server.tls import Certificates
from documented import conforms
from fakehost import FakeHost
from secured import METRICS, VIEW, Tokens, bearer, guard
from wire import ALL, Answer, Connection, Server, serving

pytestmark = pytest.mark.usefixtures("credentials_at_once")
LOGIN, LOGOUT = "/api/auth/login", "/api/auth/logout"
FOLLOW = "/api/containers/stats/follow"
JSON = "Content-Type: application/json"


async def send(connection: Connection, target: str, body: bytes, *headers: str) -> Answer:
    connection.send(target, f"Content-Length: {len(body)}", *headers, method="POST")
    connection.raw(body)
    return await connection.answer(method="POST")


async def post(server: Server, target: str, body: bytes | dict[str, Any], *headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with server.connection() as connection:
        return await send(connection, target, raw, *(headers or (JSON,)))


async def login(server: Server, secret: str, **more: str) -> Answer:
    return await post(server, LOGIN, {"username": "me", "password": secret, "provider": "local", **more})


def cookie(answer: Answer) -> str:
    """As a client sends it back."""
    return f"Cookie: theme=dark; {answer.headers['set-cookie'].partition(';')[0]}"


# -- what it gives


async def test_a_token_as_the_password_gives_a_cookie_of_its_rights(secured: Server, tokens: Tokens) -> None:
    secret = tokens.new()
    answer = await login(secured, secret, mfaToken="123456")
    conforms(answer, LOGIN)
    assert answer.json == {"success": True, "user": {"username": "central", "isAdmin": False}}
    assert answer.headers["cache-control"] == "no-store"
    pair, *attributes = answer.headers["set-cookie"].split("; ")
    name, _, value = pair.partition("=")
    assert name == "dockhand_session" and len(value) == 43 and value not in secret and secret not in value
    assert set(attributes) == {"Path=/", "Max-Age=86400", "HttpOnly", "SameSite=Strict"}
    assert (await secured.ask(ALL, cookie(answer))).status == 200
    denied = await secured.ask("/metrics", cookie(answer))
    assert (denied.status, denied.json["message"]) == (403, "central does not hold metrics:view")
    assert (await secured.ask(f"{ALL}?env=2", cookie(answer))).status == 403


async def test_the_cookie_is_told_to_be_kept_from_plain_http(host: FakeHost, tokens: Tokens, tmp_path: Path) -> None:
    ca = authority(tmp_path, "authority")
    own = issue(tmp_path, "agent", ca, "127.0.0.1")
    body = json.dumps({"username": "x", "password": tokens.new()}).encode()
    context = ssl.create_default_context(cafile=ca.cert)
    for tls, more in ((Certificates(own.cert, own.key), ()), (None, ("X-Forwarded-Proto: https",))):
        async with serving(host.sampler(), guard=guard(tokens, required=True), tls=tls) as server:
            opened = asyncio.open_connection("127.0.0.1", server.port, ssl=context if tls else None)
            connection = Connection(*await opened)
            answer = await send(connection, LOGIN, body, JSON, *more)
            connection.writer.transport.abort()
        assert answer.headers["set-cookie"].endswith("; Secure")


async def test_without_tokens_any_login_succeeds_and_means_nothing(host: FakeHost, tokens: Tokens) -> None:
    checks = guard(tokens)
    async with serving(host.sampler(), guard=checks) as server:
        answer = await login(server, "anything")
        assert answer.json == {"success": True, "user": {"username": "me", "isAdmin": False}}
        assert len(checks.callers.sessions) == 0
        assert (await server.ask(ALL, cookie(answer))).status == 200
        tokens.new()
        assert (await server.ask(ALL, cookie(answer))).status == 401


# -- what ends it


async def test_a_session_ends_with_its_token_at_once_and_does_not_come_back_with_it(
    secured: Server, tokens: Tokens
) -> None:
    secret = tokens.new()
    one, other = await login(secured, secret), await login(secured, tokens.new("other"))
    content = json.loads(Path(tokens.path).read_text())
    tokens.revoke()
    assert (await secured.ask(ALL, cookie(one))).status == 401
    assert (await secured.ask(ALL, cookie(other))).status == 200
    tokens.rotate("other")
    assert (await secured.ask(ALL, cookie(other))).status == 401
    content["tokens"][0]["created"] = "2030-01-01T00:00:00Z"  # made known again
    Path(tokens.path).write_text(json.dumps(content))
    assert (await secured.ask(ALL, bearer(secret))).status == 200
    assert (await secured.ask(ALL, cookie(one))).status == 401


async def test_a_session_has_the_rights_that_its_token_has_now(secured: Server, tokens: Tokens) -> None:
    answer = await login(secured, tokens.new(allow=[VIEW, METRICS]))
    assert (await secured.ask("/metrics", cookie(answer))).status == 200
    tokens.edit(allow=[VIEW])
    assert (await secured.ask("/metrics", cookie(answer))).status == 403
    assert (await secured.ask(ALL, cookie(answer))).status == 200


async def test_a_logout_ends_the_session_and_its_streams(secured: Server, tokens: Tokens) -> None:
    answer = await login(secured, tokens.new())
    async with secured.connection() as connection:
        connection.send(FOLLOW, cookie(answer))
        assert (await connection.head()).status == 200
        out = await post(secured, LOGOUT, b"", cookie(answer))
        conforms(out, LOGOUT)
        assert out.json == {"success": True}
        assert "dockhand_session=; " in out.headers["set-cookie"] and "Max-Age=0" in out.headers["set-cookie"]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            while True:
                await connection.reader.readuntil(b"\r\n")
    assert (await secured.ask(ALL, cookie(answer))).status == 401
    assert (await post(secured, LOGOUT, b"{}", JSON)).status == 200


async def test_a_half_written_tokens_file_ends_no_session(secured: Server, tokens: Tokens) -> None:
    secret = tokens.new()
    answer, good = await login(secured, secret), Path(tokens.path).read_bytes()
    Path(tokens.path).write_bytes(good[:20])
    assert (await secured.ask(ALL, cookie(answer))).status == 503
    assert (await login(secured, secret)).status == 503
    Path(tokens.path).write_bytes(good)
    assert (await secured.ask(ALL, cookie(answer))).status == 200


# -- what is refused


async def test_a_wrong_password_is_a_failure_like_a_wrong_token(secured: Server, tokens: Tokens) -> None:
    good = tokens.new()
    answers = [await login(secured, f"guess {n}") for n in range(17)]
    assert [each.status for each in answers] == [401] * 15 + [429] * 2
    conforms(answers[0], LOGIN)
    conforms(answers[-1], LOGIN)
    assert "set-cookie" not in answers[0].headers
    assert (await secured.ask(ALL, bearer("cgs_wrong"))).status == 429
    assert (await secured.ask(ALL, f"Cookie: dockhand_session={'0' * 43}")).status == 429
    assert (await login(secured, good)).status == 200


async def test_another_value_is_no_session_nor_taken_over_and_makes_no_bad_token_good(
    secured: Server, tokens: Tokens
) -> None:
    secret, chosen = tokens.new(), "A" * 43
    body = json.dumps({"username": "x", "password": secret}).encode()
    answer = await post(secured, LOGIN, body, JSON, f"Cookie: dockhand_session={chosen}")
    found = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
    assert found != chosen
    for said in (
        "", "x", chosen, "A" * 44, "A" * 4000, secret, digest(found)[:43], "é" * 43, f'"{found}"x', f"{found}="
    ):  # fmt: skip
        assert (await secured.ask(ALL, f"Cookie: dockhand_session={said}")).status in (401, 429), said
    for wrong in (bearer("cgs_wrong"), "Authorization: Basic eDp5"):
        assert (await secured.ask(ALL, wrong, cookie(answer))).status in (401, 429)
    assert (await secured.ask(ALL, f"Cookie: dockhand_session={found} ")).status == 200, "blanks are none of it"


async def test_another_agents_cookie_is_none(secured: Server, host: FakeHost, tokens: Tokens, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    theirs = Tokens(tmp_path / "other")
    secret = theirs.new()
    tokens.new()
    async with serving(host.sampler(), guard=guard(theirs, required=True)) as other:
        answer = await login(other, secret)
        assert (await other.ask(ALL, cookie(answer))).status == 200
    assert (await secured.ask(ALL, cookie(answer))).status == 401


async def test_a_page_of_another_origin_cannot_log_a_browser_in(secured: Server, tokens: Tokens) -> None:
    """Only what a form or a `no-cors` fetch can send is sent without a preflight, and that is refused. (That a page
    which may read cannot use the cookie: security/test_origin.py; without access-control-allow-credentials a browser
    hands nothing over.)"""
    body = {"username": "x", "password": tokens.new()}
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "",
                 "text/plain;application/json"):  # fmt: skip
        answer = await post(secured, LOGIN, body, f"Content-Type: {kind}", "Origin: https://evil.example")
        assert answer.status == 415 and "set-cookie" not in answer.headers, kind
        conforms(answer, LOGIN)
    asking = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
    preflight = await secured.ask(LOGIN, "Origin: https://evil.example", *asking, method="OPTIONS")
    assert preflight.status == 403


async def test_a_body_that_is_no_login_is_400(secured: Server) -> None:
    for body in (
        b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"username":"x"}', b'{"password":"x"}', b"\xff",
        b'{"username":1,"password":"x"}', b'{"username":"x","password":null}', b'{"username":"x","password":["x"]}',
        b"[" * 4000, b'{"x":' + b"[" * 4000, b'{"x":' + b"9" * 4000 + b"}",
        b'{"username":"x","password":"' + b"\xed\xa0\x80" + b'"}',
    ):  # fmt: skip
        answer = await post(secured, LOGIN, body)
        assert (answer.status, answer.json["error"]) == (400, "Invalid login"), body
        conforms(answer, LOGIN)


async def test_a_body_that_is_too_large_is_not_read(secured: Server) -> None:
    for headers in (("Content-Length: 1000000000",), ("Content-Length: 4097",), ("Transfer-Encoding: chunked",)):
        async with secured.connection() as connection:
            connection.send(LOGIN, JSON, *headers, method="POST")
            connection.raw(b"1001\r\n" + b"x" * 4097 + b"\r\n" if "chunked" in headers[0] else b"x" * 100)
            answer = await connection.answer(method="POST")
            assert answer.status == 413
            conforms(answer, LOGIN)


async def test_a_request_that_is_hidden_in_a_body_is_not_answered(secured: Server, tokens: Tokens) -> None:
    hidden = f"GET {ALL} HTTP/1.1\r\nHost: localhost\r\n{bearer(tokens.new())}\r\n\r\n"
    for headers, status in (
        (("Content-Type: text/plain", f"Content-Length: {len(hidden)}"), 415),
        ((JSON, "Content-Length: 9999"), 413), ((JSON, "Content-Length: 4", "Transfer-Encoding: chunked"), 400),
    ):  # fmt: skip
        async with secured.connection() as connection:
            connection.send(LOGIN, *headers, method="POST")
            connection.raw(b"0\r\n\r\n" * (status == 400) + hidden.encode())
            assert (await connection.answer()).status == status
            with contextlib.suppress(ConnectionError):
                assert await connection.closed()


async def test_a_body_that_comes_too_slowly_is_cut(secured: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_module, "BODY_SECONDS", 0.1)
    async with secured.connection() as connection:
        connection.send(LOGIN, JSON, "Content-Length: 100", method="POST")
        connection.raw(b"{")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await connection.answer(method="POST")


async def test_a_login_with_get_is_no_login(secured: Server, tokens: Tokens) -> None:
    secret = tokens.new()
    assert (await secured.ask(f"{LOGIN}?username=x&password={secret}")).status == 401
    assert (await secured.ask(LOGIN, bearer(secret))).status == 405


# -- how many


@pytest.fixture
def known(tokens: Tokens) -> tuple[Token, Token]:
    """Two of the agent's tokens."""
    tokens.new()
    tokens.new("other")
    one, other = store.read(tokens.path)[0].tokens
    return one, other


def test_sessions_end_after_a_day(known: tuple[Token, Token]) -> None:
    now = [1000.0]
    sessions = Sessions(lambda: now[0])
    key = key_of(sessions.open(known[0]))
    now[0] += sessions_module.SECONDS - 1
    assert sessions.find(key)
    now[0] += 1
    assert sessions.find(key) is None
    sessions.open(known[0])
    assert len(sessions) == 1


def test_sessions_are_bounded_and_one_token_does_not_end_anothers(known: tuple[Token, Token]) -> None:
    token, other = known
    sessions = Sessions(lambda: 1000.0)
    kept = key_of(sessions.open(other))
    keys = [key_of(sessions.open(token)) for _ in range(1000)]
    assert sessions.find(kept)
    assert [bool(sessions.find(key)) for key in keys] == [False] * (1000 - 32) + [True] * 32
    assert len(sessions) == 33
    for number in range(sessions_module.MAX_SESSIONS + 1):
        sessions.open(msgspec.structs.replace(token, sha256=f"{number:064x}"))
    assert len(sessions) == sessions_module.MAX_SESSIONS
