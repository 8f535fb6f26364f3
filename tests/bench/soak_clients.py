"""Who asks during a soak: pollers of single containers, pollers of the stream, the array and the metrics, followers."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from agent import ARRAY, STREAM
from clients import BadAnswer, ask, connect, follow_rounds, get, single

POLLERS = 5
FOLLOWERS = 2
PATHS = (STREAM, ARRAY, "/metrics", "/api/containers", "/api/host")


def once(port: int) -> None:
    """One request of each kind."""
    for path in PATHS:
        get(port, path)


def _poll(port: int, ids: Callable[[], list[str]], counts: Counter[str], stop: threading.Event) -> None:
    """Single containers over a kept connection; one that has just ended may be 404."""
    with contextlib.closing(connect(port)) as connection:
        while not stop.wait(1):
            wanted = random.choice(ids()[-20:])
            try:
                ask(connection, single(wanted))
                counts["answers"] += 1
            except BadAnswer as error:
                counts["404" if " 404 " in str(error) else "failed"] += 1


def _read_all(port: int, counts: Counter[str], stop: threading.Event) -> None:
    """Everything that has no container in its path, each on a connection of its own."""
    n = 0
    while not stop.wait(1):
        n += 1
        get(port, PATHS[n % len(PATHS)])
        counts["answers"] += 1


def _read_often(port: int, seconds: float, counts: Counter[str], stop: threading.Event) -> None:
    """The array over a kept connection: as often as the agent reads."""
    with contextlib.closing(connect(port)) as connection:
        while not stop.wait(seconds):
            ask(connection, ARRAY)
            counts["answers"] += 1


def _follow(port: int, counts: Counter[str], stop: threading.Event) -> None:
    """A follower that goes after a minute and comes again."""
    while not stop.is_set():
        following = follow_rounds(port)
        until = time.monotonic() + 60
        while time.monotonic() < until and not stop.is_set():
            next(following)
            counts["rounds"] += 1
        following.close()


@contextlib.contextmanager
def clients(port: int, ids: Callable[[], list[str]], counts: Counter[str], often: float | None = None) -> Iterator[str]:
    """They ask until the block is left; what fails is counted, said, and asked again."""
    stop = threading.Event()
    kinds: list[Callable[[], None]] = [lambda: _poll(port, ids, counts, stop)] * POLLERS
    kinds += [lambda: _read_all(port, counts, stop), lambda: _follow(port, counts, stop)]
    kinds += [lambda: _follow(port, counts, stop)] * (FOLLOWERS - 1)
    if often is not None:
        kinds.append(lambda: _read_often(port, often, counts, stop))

    def persistent(what: Callable[[], None]) -> None:
        while not stop.is_set():
            try:
                what()
            except Exception as error:
                counts["failed"] += 1
                print(f"# {type(error).__name__}: {error}", flush=True)
                time.sleep(1)

    running = [threading.Thread(target=persistent, args=(what,), daemon=True) for what in kinds]
    for each in running:
        each.start()
    try:
        yield f"{POLLERS} pollers of single containers, 1 of everything else, {FOLLOWERS} followers, once a second each"
    finally:
        stop.set()
        for each in running:
            each.join(10)
