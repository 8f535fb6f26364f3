"""Clients that keep what they asked for in the agent: bodies of many rounds, streams of many intervals."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import Counter

from attacks.arena import Arena, often, tally
from attacks.sleepers import FOLLOW
from wire import ALL, STREAM


def _reset(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _good_scrape(a: Arena) -> None:
    status, _, body = a.ask("/metrics", address="127.0.0.97")
    assert status == 200, body[:200]


def _hang_on(a: Arena, targets: list[str], apart: float, more: str = "") -> str:
    sockets = []
    for number, target in enumerate(targets):
        sockets.append(a.asking(target, "127.0.0.61", more if number % 2 else "", 4096))
        time.sleep(apart)
    held = a.descriptors()
    _good_scrape(a)
    for sock in sockets:
        sock.close()
    return f"{held} sockets held; a scraper elsewhere answered"


def metrics_at_once(a: Arena) -> str:
    """120 scrapers that never read: from one address, all at once, in both formats"""
    return _hang_on(a, ["/metrics"] * often(120), 0, "Accept: application/openmetrics-text\r\n")


def metrics_round_by_round(a: Arena) -> str:
    """60 scrapers that never read: from one address, each with a round of its own"""
    return _hang_on(a, ["/metrics"] * often(60), 0.2)


def everything_round_by_round(a: Arena) -> str:
    """100 clients that never read, each with a round of its own: the array, the listing, the stream, details"""
    detail = f"/api/containers/{a.good}/detail"
    return _hang_on(a, [ALL, "/api/containers", STREAM, detail, "/metrics"] * often(20), 0.1)


def dripping_reader(a: Arena) -> str:
    """40 dripping readers: of /metrics, 1 kB now and then, so that no timeout cuts them; each a round of its own"""
    sockets: list[socket.socket] = []
    for _ in range(often(40)):
        sockets.append(a.asking("/metrics", "127.0.0.62", receive=4096))
        for sock in sockets:
            sock.settimeout(0.01)
            with contextlib.suppress(OSError):
                sock.recv(1024)
        time.sleep(0.3)
    _good_scrape(a)
    for sock in sockets:
        sock.close()
    return "a scraper elsewhere answered"


def many_intervals(a: Arena) -> str:
    """127 `follow` streams of one client: each of an interval of its own, none of them read"""
    found: Counter[int] = Counter()
    sockets = []
    for number in range(often(127)):
        sock = a.asking(f"{FOLLOW}?interval={0.25 * (number + 1):g}", "127.0.0.63", receive=4096)
        sockets.append(sock)
    for sock in sockets:
        found[int(sock.recv(15).split()[1])] += 1
    time.sleep(often(4))
    a.good_client()
    for sock in sockets:
        sock.close()
    return f"{tally(found)}; its other requests answered"


def resets(a: Arena) -> str:
    """RST: at once after a request on each route, and after the first bytes of the answer"""
    before, count = len(a.log), 0
    for target in (FOLLOW, STREAM, ALL, "/metrics", "/api/containers", "/api/host", f"/api/containers/{a.good}/stats",
                   f"/api/containers/{a.good}/detail", "/healthz", "/api/openapi.json", "/"):  # fmt: skip
        for pause in (0, 0.001, 0.01, 0.05)[: often(4, 2)]:
            for read in (False, True):
                sock = a.asking(target, "127.0.0.64", receive=4096)
                if read:
                    sock.settimeout(None)  # after so many scrapes one more is put off for a while
                    sock.recv(1)
                time.sleep(pause)
                _reset(sock)
                count += 1
    time.sleep(1)
    said = [line for line in a.log[before:] if "Traceback" in line or "level=error" in line]
    assert not said, said[:5]
    return f"{count} connections reset; not a word in the log"
