"""Who asks during a soak: pollers of single containers, pollers of the stream, the array and the metrics, followers."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from agent import ARRAY, STREAM
from clients import BadAnswer, ask, connect, follow_rounds, get, single

POLLERS = 5
FOLLOWERS = 2
OFTEN = 3
"""Connections that take turns: an answer takes 0.2 s where a container has just come, and the next is due by then."""
LEAST_INTERVAL = 0.25
"""Of a follower."""
BY_NAME = "by name"
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


def _read_often(
    port: int,
    kind: str,
    path: Callable[[], str],
    pace: tuple[float, float],
    counts: Counter[str],
    stop: threading.Event,
) -> None:
    """Over a kept connection, at a ``pace``: (seconds to the first request, seconds between two)."""
    due = time.monotonic() + pace[0]
    with contextlib.closing(connect(port)) as connection:
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + pace[1], time.monotonic())
            try:
                ask(connection, path())
            except BadAnswer as error:  # one that has just ended
                if kind != BY_NAME or " 404 " not in str(error):
                    raise
                counts["404"] += 1
            else:
                counts["answers"] += 1
                counts[kind] += 1


def _follow(
    port: int, counts: Counter[str], stop: threading.Event, interval: float = 1, kind: str = "rounds, 1 s"
) -> None:
    """A follower that goes after a minute and comes again."""
    while not stop.is_set():
        following = follow_rounds(port, interval)
        until = time.monotonic() + 60
        while time.monotonic() < until and not stop.is_set():
            next(following)
            counts[kind] += 1
        following.close()


@contextlib.contextmanager
def clients(port: int, ids: Callable[[], list[str]], counts: Counter[str], often: float | None = None) -> Iterator[str]:
    """They ask until the block is left; what fails is counted, said, and asked again."""
    stop = threading.Event()
    kinds: list[Callable[[], None]] = [lambda: _poll(port, ids, counts, stop)] * POLLERS
    kinds += [lambda: _read_all(port, counts, stop), lambda: _follow(port, counts, stop)]
    kinds += [lambda: _follow(port, counts, stop)] * (FOLLOWERS - 1)
    said = f"{POLLERS} pollers of single containers, 1 of everything else, {FOLLOWERS} followers, once a second each"
    if often is not None:
        paths: dict[str, Callable[[], str]] = {
            "array": lambda: ARRAY,
            BY_NAME: lambda: single(random.choice(ids()[-20:])[:12]),
        }
        for kind, path in paths.items():
            for turn in range(OFTEN):
                pace = often * turn, often * OFTEN
                kinds.append(partial(_read_often, port, kind, path, pace, counts, stop))
        kinds.append(lambda: _follow(port, counts, stop, LEAST_INTERVAL, f"rounds, {LEAST_INTERVAL} s"))
        said += f"; each {often:g} s the array and one container by its name; a follower each {LEAST_INTERVAL:g} s"

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
        yield said
    finally:
        stop.set()
        for each in running:
            each.join(10)
