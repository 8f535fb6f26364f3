"""Logging in: guesses, floods, cookies that outlive their token, other sites, and bodies."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from contextlib import closing

from attacks.arena import REQUEST, VIEW, Arena, often, received, tally
from cgstatd.auth import store
from wire import ALL, run


def _logged_in(a: Arena, secret: str, address: str) -> tuple[int, str]:
    """Status and cookie of a login."""
    connection = a.client(address)
    with closing(connection):
        body = json.dumps({"username": "x", "password": secret})
        connection.request("POST", "/api/auth/login", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0]


def guessed_logins(a: Arena) -> str:
    """guesses by login: 1,000 passwords, then 1,000 cookies, then a good login from there"""
    found, began = Counter[int](), time.monotonic()
    for number in range(1000):
        found[_logged_in(a, f"guess {number}", "127.0.0.61")[0]] += 1
    for number in range(1000):
        found[a.ask(ALL, None, "127.0.0.61", Cookie=f"dockhand_session={number:043d}")[0]] += 1
    windows = 1 + (time.monotonic() - began) // 60
    assert found.total() == 2000 and set(found) == {401, 429} and found[401] <= 15 * windows, found
    assert _logged_in(a, a.secret, "127.0.0.61")[0] == 200
    return f"{tally(found)}; a good login from that address: 200"


def sessions_flood(a: Arena) -> str:
    """flood of sessions: 3,000 logins with one token, and a session of another token beside them"""
    secret = a.new_token("many")
    beside = _logged_in(a, a.secret, "127.0.0.62")[1]
    cookies = [_logged_in(a, secret, "127.0.0.62")[1] for _ in range(often(3000))]
    alive = sum(a.ask(ALL, None, "127.0.0.63", Cookie=cookie)[0] == 200 for cookie in cookies[-60:])
    assert alive == 32 and a.ask(ALL, None, "127.0.0.64", Cookie=beside)[0] == 200
    return "the last 32 are good, the other token's session too"


def session_outlives_nothing(a: Arena) -> str:
    """session after revocation: a cookie goes on after its token was revoked, and when it is known again"""
    secret = a.new_token("leaving")
    cookie = _logged_in(a, secret, "127.0.0.65")[1]
    assert a.ask(ALL, None, "127.0.0.65", Cookie=cookie)[0] == 200
    sha256 = next(each.sha256 for each in store.read(a.tokens)[0].tokens if each.name == "leaving")
    time.sleep(1)  # the file says when a token was made to the second
    assert run("token", "--tokens", a.tokens, "revoke", "leaving").returncode == 0
    time.sleep(1.1)
    after = a.ask(ALL, None, "127.0.0.65", Cookie=cookie)[0]
    store.make_known(a.tokens, "leaving", sha256, [1], [VIEW])
    time.sleep(1.1)
    again = a.ask(ALL, None, "127.0.0.65", Cookie=cookie)[0]
    assert (after, again) == (401, 401) and a.ask(ALL, secret)[0] == 200
    return "401, and 401 once the token is known again (the token itself 200)"


def foreign_login(a: Arena) -> str:
    """login across sites: what a form or a no-cors fetch of another origin can send, with a good token even"""
    found: Counter[int] = Counter()
    body = json.dumps({"username": "x", "password": a.secret})
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain;application/json",
    ):
        connection = a.client()
        with closing(connection):
            connection.request(
                "POST", "/api/auth/login", body, {"Content-Type": kind, "Origin": "https://evil.example"}
            )
            answer = connection.getresponse()
            assert answer.getheader("Set-Cookie") is None
            found[answer.status] += 1
    more = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "content-type"}
    found[a.ask("/api/auth/login", None, method="OPTIONS", Origin="https://evil.example", **more)[0]] += 1
    assert found == {415: 4, 403: 1}
    return f"{tally(found)}, no cookie"


def login_bodies(a: Arena) -> str:
    """bodies of logins: 1 GB announced, chunked without end, 30 that come byte by byte, deep JSON"""
    head = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    found: Counter[int] = Counter()
    for more in (
        b"Content-Length: 1000000000\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1001\r\n" + b" " * 4097,
        b"Content-Length: 4096\r\n\r\n" + b"[" * 4096,
    ):
        with a.connect() as sock:
            sock.sendall(head + more)
            found[int(sock.recv(15).split()[1])] += 1
    slow: list[socket.socket] = [a.connect("127.0.0.66") for _ in range(30)]
    for sock in slow:
        sock.sendall(head + b"Content-Length: 1000\r\n\r\n")
    alive = list(slow)
    while alive:
        for sock in list(alive):
            try:
                sock.sendall(b" ")
            except OSError:
                alive.remove(sock)
        time.sleep(0.1)
    for sock in slow:
        assert received(sock) == b""
        sock.close()
    assert found == {413: 2, 400: 1}
    return f"{tally(found)}; the slow ones cut"


def smuggled_logins(a: Arena) -> str:
    """a request hidden in a login's body: Content-Length with Transfer-Encoding, a body that is refused unread"""
    inner = REQUEST + f"Authorization: Bearer {a.secret}\r\n\r\n".encode()
    head = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\n"
    answers = []
    for more in (
        b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(inner),
        b"Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n",
        b"Content-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):
        with a.connect() as sock:
            sock.sendall(head + more + inner)
            data = received(sock)
        assert data.count(b"HTTP/1.1 ") <= 1 or b"HTTP/1.1 200" not in data, data[:300]
        answers.append(int(data.split()[1]) if data else 0)
    return tally(Counter(answers)) + "; what was hidden is not answered"
