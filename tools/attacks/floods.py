"""Requests that are none, and connections that ask for too much or for nothing at all."""

from __future__ import annotations

import time
from collections import Counter
from itertools import chain, cycle

from attacks.arena import REQUEST, Arena, often, pushed, received, tally
from wire import ALL

TRICKS = (
    "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e", "..", "%2e%2e%2f%2e%2e%2fproc%2f1%2fenviron", "c1%00", "%00", "..;%2f",
    "c1%2f..%2fc2", "..%5c..%5cetc", "%252e%252e%252fetc", "%c0%ae%c0%ae%c0%af", "....%2f%2f", "%2fetc%2fpasswd", "",
    "c1;id", "$(id)", "%0d%0aX: y", "docker:..%2f..%2fetc", "a" * 4000, "*", "%f0%9f%90%b3", "-1", "'%20or%201=1",
    "%7e", "c1%2fstats", "%u2216",
)  # fmt: skip


def path_tricks(a: Arena) -> str:
    r"""path tricks in id and name: 26 spellings of .., NUL, /, \ and the like on two routes, and four as raw request
    lines
    """
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
    return tally(found)


def header_flood(a: Arena) -> str:
    """header floods: a header of 100 MB, millions of headers, a request line of 100 MB"""
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
    return f"{tally(outcomes)}; at most {taken >> 10} KiB left the sender"


def body_flood(a: Arena) -> str:
    """body floods: 1 GB announced, and chunked without end, by GET and POST, with and without a token"""
    outcomes, taken = Counter[int](), 0
    for method in (b"GET", b"POST"):
        for how in (b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"):
            for secret in (a.secret, "cgs_wrong"):
                with a.connect() as sock:
                    sock.sendall(method + REQUEST[3:] + how + f"\r\nAuthorization: Bearer {secret}\r\n\r\n".encode())
                    outcomes[int(sock.recv(15).split()[1])] += 1
                    taken = max(taken, pushed(sock, b"10000\r\n" + b"x" * 65536 + b"\r\n", 1 << 30))
    assert set(outcomes) <= {401, 405, 413, 429} and taken < 64 << 20
    return f"{tally(outcomes)}; at most {taken >> 10} KiB left the sender"


def pipelining(a: Arena) -> str:
    """pipelining: 100,000 requests at once without reading an answer"""
    with a.connect(receive=4096) as sock:
        sock.settimeout(60)
        request = REQUEST + f"Authorization: Bearer {a.secret}\r\n\r\n".encode()
        taken = pushed(sock, request * 100, 100_000 * len(request))
    assert taken < 64 << 20
    return f"cut after {taken >> 10} KiB had left the sender"


def _answered_soon(a: Arena, address: str) -> None:
    """A newcomer of an address is answered; refused until then, with 503 and Retry-After."""
    while True:
        status, headers, _ = a.ask(ALL, address=address)
        if status == 200:
            return
        assert status == 503 and headers["retry-after"]
        time.sleep(0.05)


def idle_connections(a: Arena) -> str:
    """1,000 idle connections: from one address; nothing is ever sent"""
    sockets = [a.connect("127.0.0.51") for _ in range(often(1000, 300))]
    open_ones = a.descriptors()
    _answered_soon(a, "127.0.0.51")
    a.good_client()
    while a.descriptors() > 20:
        time.sleep(0.1)
    for sock in sockets:
        sock.close()
    return f"{open_ones} held, the rest closed or 503; one more of that address and others answered; all cut"


def idle_from_everywhere(a: Arena) -> str:
    """1,000 idle connections, distributed: from ten addresses; nothing is ever sent"""
    sockets = [a.connect(f"127.0.1.{number % 10 + 1}") for number in range(often(1000, 600))]
    open_ones = a.descriptors()
    _answered_soon(a, "127.0.0.98")
    assert open_ones < 512 + 64 + 32
    a.good_client()
    for sock in sockets:
        sock.close()
    return f"{open_ones} held; a newcomer takes an idle one's place, as does the next"


def slow_senders(a: Arena) -> str:
    """slow senders: 100 clients that send a request byte by byte, ten a second"""
    sockets = [a.connect("127.0.0.52") for _ in range(often(100))]
    alive = list(sockets)
    request = chain(REQUEST, cycle(b"X: y\r\n"))
    while alive:
        byte = bytes([next(request)])
        for sock in list(alive):
            try:
                sock.sendall(byte)
            except OSError:
                alive.remove(sock)
        time.sleep(0.1)
    for sock in sockets:
        sock.close()
    return "all cut (request_timeout 4 s)"
