"""The attacks. Each plays itself, asserts what must not happen, and says what did."""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import certificates
from attacks.arena import Arena, arena, pushed, received
from cgstatd.auth import store
from wire import ALL, STREAM, run

Attack = Callable[[Arena], str]
VIEW = "containers:view"
FOLLOW = "/api/containers/stats/follow"
REQUEST = b"GET " + ALL.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"


def _tally(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} x {status or 'cut'}" for status, count in sorted(statuses.items()))


def no_token(a: Arena) -> str:
    """no token"""
    found = Counter(a.ask(target, None)[0] for target in (ALL, STREAM, FOLLOW, "/api/containers/c1/stats", "/nothing"))
    assert set(found) == {401}
    return _tally(found)


def wrong_token(a: Arena) -> str:
    """wrong token"""
    status, headers, _ = a.ask(ALL, "cgs_" + "A" * 43)
    assert status == 401 and headers["www-authenticate"] == "Bearer"
    return "401, WWW-Authenticate: Bearer"


def other_environment(a: Arena) -> str:
    """token of another environment"""
    secret = a.new_token("elsewhere", env=2)
    found = Counter(a.ask(target, secret)[0] for target in (ALL, f"{ALL}?env=1", STREAM, "/api/containers/c1/stats"))
    assert set(found) == {403}
    return _tally(found)


def revoked(a: Arena) -> str:
    """revoked token"""
    secret = a.new_token("short-lived")
    assert a.ask(ALL, secret)[0] == 200
    store.revoke(a.tokens, "short-lived")
    began = time.monotonic()
    while a.ask(ALL, secret)[0] == 200:
        assert time.monotonic() - began < 2
        time.sleep(0.02)
    assert a.ask(ALL, secret)[0] in (401, 429)
    return f"401 after {time.monotonic() - began:.1f} s, no restart"


def replay(a: Arena) -> str:
    """replay after rotation"""
    old = a.new_token("rotating")
    assert a.ask(ALL, old)[0] == 200
    new = store.rotate(a.tokens, "rotating")
    time.sleep(1.1)
    assert a.ask(ALL, old)[0] in (401, 429) and a.ask(ALL, new)[0] == 200
    return "the old value 401, the new one 200"


def ten_thousand_wrong(a: Arena) -> str:
    """10,000 wrong tokens"""
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
    assert found == {401: 15, 429: 9985}
    a.good_client("127.0.0.50")  # a good token from the same address
    return f"{_tally(found)} in {seconds:.1f} s; a good token from that address: 200"


TRICKS = (
    "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e", "..", "%2e%2e%2f%2e%2e%2fproc%2f1%2fenviron", "c1%00", "%00", "..;%2f",
    "c1%2f..%2fc2", "..%5c..%5cetc", "%252e%252e%252fetc", "%c0%ae%c0%ae%c0%af", "....%2f%2f", "%2fetc%2fpasswd", "",
    "c1;id", "$(id)", "%0d%0aX: y", "docker:..%2f..%2fetc", "a" * 4000, "*", "%f0%9f%90%b3", "-1", "'%20or%201=1",
    "%7e", "c1%2fstats", "%u2216",
)  # fmt: skip


def path_tricks(a: Arena) -> str:
    """path tricks in id and name"""
    found: Counter[int] = Counter()
    for trick in TRICKS:
        for target in (f"/api/containers/{trick}/stats", f"/api/containers/{trick}/detail"):
            with a.connect() as sock:
                head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode("latin-1")
                sock.sendall(head + f"Authorization: Bearer {a.secret}\r\n\r\n".encode())
                answer = received(sock)
            found[int(answer.split()[1])] += 1
            assert b"root:" not in answer and b"Traceback" not in answer
    for raw in (b"GET /../../etc/passwd", b"GET http://x/../../etc/passwd", b"GET \\..\\etc", b"GET //etc/passwd"):
        with a.connect() as sock:
            sock.sendall(raw + f" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {a.secret}\r\n".encode())
            sock.sendall(b"Connection: close\r\n\r\n")
            found[int(received(sock).split()[1])] += 1
    assert set(found) <= {400, 404}, found
    return _tally(found)


def header_flood(a: Arena) -> str:
    """header floods (one of 100 MB, a million, half a MB of request line)"""
    outcomes, taken = Counter[int](), 0
    for start, chunk in (
        (REQUEST + b"X: ", b"a" * 65536),
        (REQUEST, b"X: y\r\n" * 10_000),
        (b"GET /", b"a" * 65536),
    ):
        with a.connect() as sock:
            sock.sendall(start)
            taken = max(taken, pushed(sock, chunk, 100 << 20))
            answer = received(sock)
            outcomes[int(answer.split()[1]) if answer else 0] += 1
    assert set(outcomes) <= {0, 400, 431} and taken < 16 << 20
    return f"{_tally(outcomes)}; at most {taken >> 10} KiB left the sender"


def body_flood(a: Arena) -> str:
    """body floods (1 GB announced, chunked without end, with and without token)"""
    outcomes, taken = Counter[int](), 0
    for method in (b"GET", b"POST"):
        for how in (b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"):
            for secret in (a.secret, "cgs_wrong"):
                with a.connect() as sock:
                    sock.sendall(method + REQUEST[3:] + how + f"\r\nAuthorization: Bearer {secret}\r\n\r\n".encode())
                    outcomes[int(sock.recv(15).split()[1])] += 1
                    taken = max(taken, pushed(sock, b"10000\r\n" + b"x" * 65536 + b"\r\n", 1 << 30))
    assert set(outcomes) <= {401, 405, 413, 429} and taken < 64 << 20
    return f"{_tally(outcomes)}; at most {taken >> 10} KiB left the sender"


def pipelining(a: Arena) -> str:
    """100,000 requests at once without reading an answer"""
    with a.connect(receive=4096) as sock:
        sock.settimeout(10)
        request = REQUEST + f"Authorization: Bearer {a.secret}\r\n\r\n".encode()
        taken = pushed(sock, request * 100, 100_000 * len(request))
    assert taken < 64 << 20
    return f"cut after {taken >> 10} KiB had left the sender"


def idle_connections(a: Arena) -> str:
    """1,000 idle connections from one address"""
    sockets = [a.connect("127.0.0.51") for _ in range(1000)]
    time.sleep(0.5)
    open_ones = a.descriptors()
    refused, headers, _ = a.ask(ALL, address="127.0.0.51")
    assert refused == 503 and headers["retry-after"]
    seconds = a.good_client()
    began = time.monotonic()
    while a.descriptors() > 20:
        assert time.monotonic() - began < 8
        time.sleep(0.1)
    for sock in sockets:
        sock.close()
    return f"{open_ones} held, the rest closed or 503; others answered in {seconds * 1000:.0f} ms; all cut after 4 s"


def idle_from_everywhere(a: Arena) -> str:
    """1,000 idle connections from ten addresses"""
    sockets = [a.connect(f"127.0.1.{number % 10 + 1}") for number in range(1000)]
    time.sleep(0.5)
    status, headers, _ = a.ask(ALL, address="127.0.0.98")
    assert status == 503 and headers["retry-after"]
    open_ones = a.descriptors()
    assert open_ones < 512 + 64 + 32
    time.sleep(4)
    seconds = a.good_client()
    for sock in sockets:
        sock.close()
    soon = f"{seconds * 1000:.0f} ms"
    return f"{open_ones} held, newcomers 503 with Retry-After; 4 s later all cut and a newcomer answered in {soon}"


def slow_senders(a: Arena) -> str:
    """100 clients that send a request byte by byte"""
    sockets = [a.connect("127.0.0.52") for _ in range(100)]
    began, alive, request = time.monotonic(), list(sockets), REQUEST
    for position in range(len(request)):
        for sock in list(alive):
            try:
                sock.sendall(request[position : position + 1])
            except OSError:
                alive.remove(sock)
        if not alive:
            break
        time.sleep(0.1)
    seconds = time.monotonic() - began
    assert not alive and seconds < 6
    for sock in sockets:
        sock.close()
    return f"all cut within {seconds:.1f} s (request_timeout 4 s)"


def _sleepers(a: Arena, target: str) -> str:
    secrets = [store.add(a.tokens, target[1:].replace("/", ".") + str(number), [1], [VIEW]) for number in range(4)]
    time.sleep(1.1)
    sockets = []
    for number in range(200):
        sock = a.connect(f"127.0.2.{number // 100 + 1}", receive=4096)
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n".encode())
        sock.sendall(f"Authorization: Bearer {secrets[number % 4]}\r\n\r\n".encode())
        sockets.append(sock)
    time.sleep(1.5)
    held, began = a.descriptors(), time.monotonic()
    seconds, peak = a.good_client(), a.memory()
    while a.descriptors() > 20:
        assert time.monotonic() - began < 15
        time.sleep(0.1)
    for sock in sockets:
        sock.close()
    assert held > 190
    cut = time.monotonic() - began + 1.5
    return f"{held} held, {peak:.0f} MiB at most, others answered in {seconds:.1f} s; all cut after {cut:.0f} s"


def sleeping_readers(a: Arena) -> str:
    """200 SSE readers that never read (600 kB each)"""
    return _sleepers(a, STREAM)


def sleeping_array_readers(a: Arena) -> str:
    """200 clients that never read the array (600 kB each)"""
    return _sleepers(a, ALL)


def too_many_streams(a: Arena) -> str:
    """200 streams with one token"""
    found: Counter[int] = Counter()
    sockets = []
    for number in range(200):
        sock = a.connect(f"127.0.3.{number // 100 + 1}")
        sock.sendall(b"GET " + FOLLOW.encode() + b" HTTP/1.1\r\nHost: localhost\r\n")
        sock.sendall(f"Authorization: Bearer {a.secret}\r\n\r\n".encode())
        sockets.append(sock)
    for sock in sockets:
        found[int(sock.recv(15).split()[1])] += 1
    assert found == {200: 128, 503: 72}
    seconds = a.good_client()
    for sock in sockets:
        sock.close()
    return f"{_tally(found)}; its other requests answered in {seconds * 1000:.0f} ms"


def dns_rebinding(a: Arena) -> str:
    """DNS rebinding (a page's own host name on the loopback agent)"""
    found = Counter(
        a.ask(ALL, Host=host)[0] for host in ("evil.example", "evil.example:9713", "127.0.0.1.evil.example")
    )
    assert set(found) == {403}
    return f"{_tally(found)}, with a good token even"


def cross_origin(a: Arena) -> str:
    """another origin's page reads the loopback agent"""
    status, headers, _ = a.ask(ALL, Origin="https://evil.example")
    more = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "authorization"}
    preflight, said, _ = a.ask(ALL, None, method="OPTIONS", Origin="https://evil.example", **more)
    assert status == 200 and preflight == 403
    assert not [name for name in {**headers, **said} if name.startswith("access-control")]
    return "no CORS header, so no page can read it; preflight 403"


def no_credentials_on_the_network(a: Arena) -> str:
    """listening on the network without tokens or client certificates"""
    ran = run("serve", "--host-root", str(a.host.path), "--listen", "0.0.0.0:0", "--tokens", "/nonexistent/tokens.json")
    assert ran.returncode == 2 and "cgstatd token new" in ran.stderr
    return "refuses to start, says how to make a token"


def old_tls(a: Arena, folder: Path) -> str:
    """TLS below 1.2"""
    ca, own = _authority(folder)
    with arena(folder / "old", "--tls-cert", own.cert, "--tls-key", own.key, containers=3) as secured:
        outcomes = []
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                context = ssl.create_default_context(cafile=ca.cert)
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = version
            outcomes.append(_handshake(secured, context))
        assert all("refused" in outcome for outcome in outcomes)
        assert _handshake(secured, ssl.create_default_context(cafile=ca.cert)) == "answered 200"
    return "; ".join(f"{name} {outcome}" for name, outcome in zip(("1.0", "1.1"), outcomes, strict=True))


def another_authority(a: Arena, folder: Path) -> str:
    """a client certificate of another authority"""
    ca, own = _authority(folder)
    other = certificates.authority(folder, "other")
    good, bad = certificates.issue(folder, "good", ca), certificates.issue(folder, "bad", other)
    outcomes = []
    files = ("--tls-cert", own.cert, "--tls-key", own.key, "--tls-client-ca", ca.cert)
    with arena(folder / "mutual", *files, containers=3) as secured:
        for pair in (bad, None, good):
            context = ssl.create_default_context(cafile=ca.cert)
            if pair is not None:
                context.load_cert_chain(pair.cert, pair.key)
            outcomes.append(_handshake(secured, context))
    assert "refused" in outcomes[0] and "refused" in outcomes[1] and outcomes[2] == "answered 200"
    return f"{outcomes[0]}; without one {outcomes[1]}; with the right one {outcomes[2]}"


def _authority(folder: Path) -> tuple[certificates.Pair, certificates.Pair]:
    ca = certificates.authority(folder, "authority")
    return ca, certificates.issue(folder, "agent", ca, "IP:127.0.0.1,DNS:localhost")


def _handshake(a: Arena, context: ssl.SSLContext) -> str:
    try:
        with (
            socket.create_connection(("127.0.0.1", a.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(REQUEST + f"Authorization: Bearer {a.secret}\r\n\r\n".encode())
            answer = sock.recv(15)
            return f"answered {answer.split()[1].decode()}" if answer else "refused"
    except ssl.SSLError as error:
        return f"refused ({error.reason.lower().replace('_', ' ')})" if error.reason else "refused (cut)"
    except OSError:
        return "refused (cut)"


ATTACKS: tuple[Attack, ...] = (
    no_token, wrong_token, other_environment, revoked, replay, ten_thousand_wrong, path_tricks, header_flood,
    body_flood, pipelining, idle_connections, idle_from_everywhere, slow_senders,
    sleeping_readers, sleeping_array_readers, too_many_streams,
    dns_rebinding, cross_origin, no_credentials_on_the_network,
)  # fmt: skip
TLS_ATTACKS = (old_tls, another_authority)
