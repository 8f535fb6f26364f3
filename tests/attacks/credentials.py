"""Who asks, and from where: tokens that are none, and pages in somebody's browser."""

from __future__ import annotations

import time
from collections import Counter

from attacks.arena import REQUEST, Arena, TreeArena, tally
from cgstatd.auth import store
from wire import ALL, STREAM, run

FOLLOW = "/api/containers/stats/follow"


def no_token(a: Arena) -> str:
    """no token: five routes, one of which does not exist"""
    found = Counter(a.ask(target, None)[0] for target in (ALL, STREAM, FOLLOW, "/api/containers/c1/stats", "/nothing"))
    assert set(found) == {401}
    return tally(found)


def wrong_token(a: Arena) -> str:
    """wrong token: a token of the right form that was never made"""
    status, headers, _ = a.ask(ALL, "cgs_" + "A" * 43)
    assert status == 401 and headers["www-authenticate"] == "Bearer"
    return "401, WWW-Authenticate: Bearer"


def other_environment(a: Arena) -> str:
    """token of another environment: a good token for environment 2 on four routes of environment 1"""
    secret = a.new_token("elsewhere", env=2)
    found = Counter(a.ask(target, secret)[0] for target in (ALL, f"{ALL}?env=1", STREAM, "/api/containers/c1/stats"))
    assert set(found) == {403}
    return tally(found)


def revoked(a: Arena) -> str:
    """revoked token: a token that was good goes on asking after `cgstatd token revoke`"""
    secret = a.new_token("short-lived")
    assert a.ask(ALL, secret)[0] == 200
    store.revoke(a.tokens, "short-lived")
    while a.ask(ALL, secret)[0] == 200:
        time.sleep(0.02)
    assert a.ask(ALL, secret)[0] in (401, 429)
    return "401, no restart"


def replay(a: Arena) -> str:
    """replay after rotation: the old value after `cgstatd token rotate`"""
    old = a.new_token("rotating")
    assert a.ask(ALL, old)[0] == 200
    new = store.rotate(a.tokens, "rotating")
    time.sleep(1.1)
    assert a.ask(ALL, old)[0] in (401, 429) and a.ask(ALL, new)[0] == 200
    return "the old value 401, the new one 200"


def ten_thousand_wrong(a: Arena) -> str:
    """10,000 wrong tokens: guesses, one after the other on one connection"""
    found: Counter[int] = Counter()
    began = time.monotonic()
    with a.connect("127.0.0.50") as sock:
        stream = sock.makefile("rb")
        for number in range(10_000):
            sock.sendall(REQUEST + b"Authorization: Bearer cgs_%d\r\n\r\n" % number)
            found[int(stream.readline().split()[1])] += 1
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            stream.read(length)
    seconds = time.monotonic() - began
    assert found.total() == 10_000 and set(found) == {401, 429} and found[401] <= 15 * (1 + seconds // 60), found
    a.good_client("127.0.0.50")  # a good token from the same address
    return f"{tally(found)}; a good token from that address: 200"


def dns_rebinding(a: Arena) -> str:
    """DNS rebinding: a page's own host name on the loopback agent, with a good token even"""
    found = Counter(
        a.ask(ALL, Host=host)[0] for host in ("evil.example", "evil.example:9713", "127.0.0.1.evil.example")
    )
    assert set(found) == {403}
    return f"{tally(found)}, with a good token even"


def cross_origin(a: Arena) -> str:
    """another origin's page: reads the loopback agent, with a good token even, and sends a preflight"""
    status, headers, _ = a.ask(ALL, Origin="https://evil.example")
    more = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "authorization"}
    preflight, said, _ = a.ask(ALL, None, method="OPTIONS", Origin="https://evil.example", **more)
    assert status == 200 and preflight == 403
    assert not [name for name in {**headers, **said} if name.startswith("access-control")]
    return "no CORS header, so no page can read it; preflight 403"


def no_credentials_on_the_network(a: TreeArena) -> str:
    """no credentials at all: listening on 0.0.0.0 without tokens or client certificates"""
    ran = run("serve", "--host-root", str(a.host.path), "--listen", "0.0.0.0:0")
    assert ran.returncode == 2 and "cgstatd token new" in ran.stderr
    return "refuses to start, says how to make a token"
