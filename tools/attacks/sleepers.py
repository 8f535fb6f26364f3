"""Clients that ask and do not read, and clients that want everything to themselves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from attacks.arena import VIEW, Arena, often, require_root, tally
from cgstatd.auth import store
from wire import ALL, STREAM

FOLLOW = "/api/containers/stats/follow"


def _sleepers(a: Arena, target: str) -> str:
    require_root()  # of somebody else's containers 500 are shown: their answer fits into the kernel's buffers
    secrets = [store.add(a.tokens, target[1:].replace("/", ".") + str(number), [1], [VIEW]) for number in range(4)]
    time.sleep(1.1)
    sockets = []
    for number in range(often(200, 8)):
        sock = a.connect(f"127.0.2.{number // 100 + 1}", receive=4096)
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n".encode())
        sock.sendall(f"Authorization: Bearer {secrets[number % 4]}\r\n\r\n".encode())
        sockets.append(sock)
    found = Counter(int(sock.recv(15).split()[1]) for sock in sockets)  # and no more is read
    held = a.descriptors()
    a.good_client()
    while a.descriptors() > 20:
        time.sleep(0.1)
    for sock in sockets:
        sock.close()
    assert found == {200: len(sockets)}, found
    return f"{held} held, a newcomer answered; all cut"


def sleeping_readers(a: Arena) -> str:
    """200 SSE readers that never read: 600 kB each, with four tokens from two addresses"""
    return _sleepers(a, STREAM)


def sleeping_array_readers(a: Arena) -> str:
    """200 clients that never read the array: 600 kB each, with four tokens from two addresses"""
    return _sleepers(a, ALL)


def streams_of_one_token(a: Arena, network: str, target: Callable[[int], str], receive: int = 0) -> str:
    """200 of them, by their number, from two addresses of a network: some are refused, and other requests answered."""
    sockets = []
    for number in range(200):
        sockets.append(a.asking(target(number), f"{network}.{number // 100 + 1}", receive=receive))
    found = Counter(int(sock.recv(15).split()[1]) for sock in sockets)
    assert found[503] and found[200] >= 128, found  # one that was cut meanwhile has left its place to another
    a.good_client()
    for sock in sockets:
        sock.close()
    return f"{tally(found)}; its other requests answered"


def too_many_streams(a: Arena) -> str:
    """200 streams with one token: `follow`, which stays open"""
    return streams_of_one_token(a, "127.0.3", lambda _: FOLLOW)
