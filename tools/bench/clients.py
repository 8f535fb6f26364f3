"""Clients of the agent: single requests, pollers that keep their pace, followers. Their own CPU is not counted."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Generator


class BadAnswer(Exception):
    """An answer that is not 200."""


def connect(port: int, timeout: float = 60) -> http.client.HTTPConnection:
    """A connection that is kept."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)


def ask(connection: http.client.HTTPConnection, path: str) -> bytes:
    """The body of a 200. Raises BadAnswer, OSError."""
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise BadAnswer(f"{path}: {answer.status} {body[:200]!r}")
    return body


def get(port: int, path: str) -> bytes:
    """The same on a connection of its own."""
    with contextlib.closing(connect(port)) as connection:
        return ask(connection, path)


def together(count: int, what: Callable[[int], object]) -> None:
    """Run ``what`` in so many threads; raises the first of their exceptions."""
    failed: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            what(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def single(container: str) -> str:
    """The path of one container's figures."""
    return f"/api/containers/{container}/stats"


def closed_loop(port: int, ids: list[str], concurrent: int, requests: int) -> list[float]:
    """Milliseconds of single GETs on kept connections by requesters that ask again at once: a flood."""
    found: list[float] = []

    def requester(number: int) -> None:
        with contextlib.closing(connect(port)) as connection:
            for n in range(requests):
                began = time.perf_counter()
                ask(connection, single(ids[(number * 31 + n) % len(ids)]))
                found.append((time.perf_counter() - began) * 1000)

    together(concurrent, requester)
    return found


def paced(port: int, ids: list[str], concurrent: int, seconds: int) -> list[float]:
    """Milliseconds of single GETs on kept connections by requesters that ask once a second each, spread over it."""
    found: list[float] = []
    began = time.perf_counter() + 0.2

    def requester(number: int) -> None:
        with contextlib.closing(connect(port)) as connection:
            for n in range(seconds):
                due = began + n + number / concurrent
                time.sleep(max(0.0, due - time.perf_counter()))
                asked = time.perf_counter()
                ask(connection, single(ids[(number * 31 + n) % len(ids)]))
                found.append((time.perf_counter() - asked) * 1000)

    together(concurrent, requester)
    return found


def follow_rounds(port: int, interval: float = 1) -> Generator[int]:
    """The number of stat events of each round, for as long as it is asked for."""
    connection = connect(port)
    try:
        connection.request("GET", f"/api/containers/stats/follow?interval={interval:g}")
        answer = connection.getresponse()
        if answer.status != 200:
            raise BadAnswer(f"follow: {answer.status}")
        stats = 0
        while line := answer.readline():
            stats += line == b"event: stat\n"
            if line == b"event: round\n":
                yield stats
                stats = 0
    finally:
        connection.close()
