"""Who asks: tokens that are guessed."""

from __future__ import annotations

import time
from collections import Counter

from attacks.arena import REQUEST, Arena, often, tally


def ten_thousand_wrong(a: Arena) -> str:
    """10,000 wrong tokens: guesses, one after the other on one connection"""
    found: Counter[int] = Counter()
    began = time.monotonic()
    with a.connect("127.0.0.50") as sock:
        stream = sock.makefile("rb")
        for number in range(tries := often(10_000, 100)):
            sock.sendall(REQUEST + b"Authorization: Bearer cgs_%d\r\n\r\n" % number)
            found[int(stream.readline().split()[1])] += 1
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            stream.read(length)
    seconds = time.monotonic() - began
    assert found.total() == tries and set(found) == {401, 429} and found[401] <= 15 * (1 + seconds // 60), found
    a.good_client("127.0.0.50")  # a good token from the same address
    return f"{tally(found)}; a good token from that address: 200"
