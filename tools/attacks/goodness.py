"""A client that means well, in a process of its own: once a second one container, all, metrics, stream and list.

An answer's time is until it is over; a stream's is until it has told every container whose files are not attacked. The
client only asks and reads: on another machine than the agent's, where a central server is, it would cost this one
nothing. What it got is judged in a second process that gives way to all others (a megabyte of metrics takes longer to
judge than to make).
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from types import TracebackType
from typing import NamedTuple

from fakehost import container_id
from wire import ALL, STREAM

EACH_SECONDS = 1.0
RAW = 3 << 20
"""memoryRaw of each container of the made-up host."""
ADDRESS = "127.0.0.99"
ATTACKED = frozenset(range(16)) - {1}
"""Containers whose own files attacks write into: these may be left out, or show what was written."""


class Result(NamedTuple):
    """One request."""

    what: str
    seconds: float
    wrong: str
    """Why it was not answered, or what was wrong with the answer."""


def _at(times: list[float], part: float) -> float:
    return times[min(len(times) - 1, int(len(times) * part))]


@dataclass(frozen=True)
class Asked:
    """All requests of some time."""

    number: int
    right: int
    p50: float
    p99: float
    slowest: float
    failures: Counter[str]
    kinds: dict[str, tuple[int, float, float]]
    """Of each kind of request: how many, 99th percentile, slowest."""

    @classmethod
    def of(cls, results: list[Result]) -> Asked:
        times = sorted(each.seconds for each in results) or [0.0]
        kinds = {
            what: (len(those), _at(those, 0.99), those[-1])
            for what in dict.fromkeys(each.what for each in results)
            if (those := sorted(each.seconds for each in results if each.what == what))
        }
        failures = Counter(f"{each.what}: {each.wrong}" for each in results if each.wrong)
        right = len(results) - failures.total()
        return cls(len(results), right, _at(times, 0.5), _at(times, 0.99), times[-1], failures, kinds)

    def times(self) -> str:
        return f"{self.p50 * 1000:.0f} / {self.p99 * 1000:.0f} / {self.slowest * 1000:.0f} ms"

    def each(self) -> str:
        """The 99th percentile of each kind."""
        return ", ".join(f"{what} {p99 * 1000:.0f}" for what, (_, p99, _) in self.kinds.items())

    def line(self) -> str:
        return f"{self.right} of {self.number}, p50 / p99 / slowest {self.times()}"


class Answer(NamedTuple):
    """What one request got, not judged yet."""

    what: str
    seconds: float
    failed: str
    """Why there is no answer."""
    status: int = 0
    body: bytes = b""
    parts: tuple[tuple[float, int], ...] = ()
    """Of a stream: after how many seconds how many bytes of it had come."""


class Good:
    """The two processes, and what they have seen."""

    def __init__(self, port: int, secret: str, containers: int) -> None:
        context = multiprocessing.get_context("fork")
        answers: Queue[Answer] = context.Queue()
        ours, theirs = context.Pipe()
        self._results: list[Result] = []
        self._pipe = ours
        self._processes = [
            context.Process(target=_ask, args=(_Client(port, secret), answers), daemon=True),
            context.Process(target=_judge, args=(Judge(containers), answers, theirs), daemon=True),
        ]

    def __enter__(self) -> Good:
        for each in self._processes:
            each.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def results(self) -> list[Result]:
        """Since the last ``forget``."""
        while self._pipe.poll():
            self._results.append(Result(*self._pipe.recv()))
        return list(self._results)

    def forget(self) -> None:
        """What was until now does not count."""
        self.results()
        self._results.clear()

    def stop(self) -> None:
        """End them."""
        for each in self._processes:
            each.terminate()
            each.join(10)


def _ask(client: _Client, answers: Queue[Answer]) -> None:
    due = time.monotonic()
    while True:
        for what in TARGETS:
            answers.put(client.ask(what))
        now = time.monotonic()
        due = max(due + EACH_SECONDS, now)
        time.sleep(due - now)
        if os.getppid() == 1:
            return


def _judge(judge: Judge, answers: Queue[Answer], results: Connection) -> None:
    os.nice(19)
    while True:
        results.send(judge.result(answers.get()))


TARGETS = {
    "one": f"/api/containers/{container_id('c1')}/stats",
    "array": ALL,
    "metrics": "/metrics",
    "stream": STREAM,
    "list": "/api/containers",
}


class _Client:
    """A connection for each kind of request; the stream's is closed by the agent after each."""

    def __init__(self, port: int, secret: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._connections: dict[str, http.client.HTTPConnection] = {}
        self._used: set[str] = set()
        """Those of which the connection has had an answer, and is open still."""

    def ask(self, what: str) -> Answer:
        """As every HTTP client does: a connection that the agent closed while it was idle is opened anew."""
        began = time.monotonic()
        try:
            try:
                return self._ask(what, began)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if what not in self._used:
                    raise
                self._used.discard(what)
                return self._ask(what, began)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(what, time.monotonic() - began, repr(error)[:120])

    def _ask(self, what: str, began: float) -> Answer:
        connection = self._connections.get(what)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60, source_address=(ADDRESS, 0))
            self._connections[what] = connection
        try:
            connection.request("GET", TARGETS[what], headers=self._headers)
            answer = connection.getresponse()
            pieces, parts, length = [], [], 0
            while piece := (answer.read1(1 << 16) if what == "stream" else answer.read()):
                pieces.append(piece)
                length += len(piece)
                parts.append((time.monotonic() - began, length))
            seconds = time.monotonic() - began
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        self._used.add(what)
        if answer.will_close:
            connection.close()
            self._used.discard(what)
        return Answer(what, seconds, "", answer.status, b"".join(pieces), tuple(parts) if what == "stream" else ())


class Judge:
    """Knows what an answer has to tell."""

    def __init__(self, containers: int) -> None:
        self._ids = {container_id(f"c{number}") for number in range(containers) if number not in ATTACKED}
        self._one = container_id("c1")

    def result(self, answer: Answer) -> Result:
        """How long it took, and what is wrong with it."""
        if answer.failed:
            return Result(answer.what, answer.seconds, answer.failed)
        try:
            wrong = self.wrong(answer.what, answer.status, answer.body)
        except (ValueError, LookupError, TypeError) as error:
            wrong = repr(error)[:120]
        return Result(answer.what, self._told_all(answer), wrong)

    def _told_all(self, answer: Answer) -> float:
        """When a stream had told every container that is not attacked: it goes on for those that are slow."""
        ends = [answer.body.find(b'"id":"%b"' % each.encode()) for each in self._ids]
        if not answer.parts or min(ends) < 0:
            return answer.seconds
        return next(seconds for seconds, length in answer.parts if length > max(ends))

    def wrong(self, what: str, status: int, body: bytes) -> str:
        """What is wrong with an answer; nothing: it is complete, and right."""
        if status != 200:
            return f"{status} {body[:80]!r}"
        if what == "metrics":
            found = set(re.findall(rb"container_memory_usage_bytes\{[^}]*?([0-9a-f]{64})[^}]*\} 3145728\b", body))
            return self._missing({each.decode() for each in found})
        if what == "stream":
            rows = [json.loads(each) for each in re.findall(rb"(?m)^event: stat\ndata: (.*)$", body)]
            if b"event: done\ndata: {}\n\n" not in body:
                return "the stream has no end"
        else:
            found_ = json.loads(body)
            rows = [found_ | {"id": self._one}] if what == "one" else found_
        if what == "list":
            return self._missing({row["id"] for row in rows})
        right = {row["id"] for row in rows if row["memoryRaw"] == RAW}
        return self._missing(right, {self._one} if what == "one" else None)

    def _missing(self, seen: set[str], wanted: set[str] | None = None) -> str:
        missing = (wanted or self._ids) - seen
        return f"{len(missing)} containers are missing or have wrong figures" if missing else ""
