"""What a file that hangs costs: every cell of the hang table, on the real program; a line with a verdict for each.

    python -m attacks.hangs [--files memory.peak,net/dev,…] [--routes metrics,…] [--report FILE]

(README.md has its PYTHONPATH.) The table is tests/edges/hang_table.py. The file is a FUSE file system of its own (root
and /dev/fuse), which answers until it is told to hang. For each file and route a line has

* others: status and time of the route for the containers beside the hung one, at the first encounter;
* hung: status and time of the same route for the container itself, where the route is about one; else whether the
  answer has it;
* threads after 1 and after 100 requests beyond those before;
* the verdict: what is wrong.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from edges.hang_table import HUNG, OTHERS, PLACES, ROUTES, Place, Route, wrong
from edges.hanging import Blocking, make_host, path_of
from fakehost import FakeHost, container_id
from wire import agent


class Answer(NamedTuple):
    """What a client got; status 0: nothing, or not all of it, within its time."""

    status: int
    body: bytes
    seconds: float


@dataclass
class Program:
    """A running agent."""

    port: int
    pid: int
    log: list[str]

    def threads(self) -> int:
        """Of the whole process."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def ask(self, target: str, enough: Callable[[bytes], bool] | None = None) -> Answer:
        """One request on a connection of its own; ``enough``: of a stream, what ends the reading before its end.

        Of what is read in parts the time is the longest between two of them.
        """
        began = start = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        status, body, longest = 0, b"", 0.0
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", target)
            answer = connection.getresponse()
            while more := answer.read() if enough is None else answer.read1(1 << 16):
                body += more
                longest, began = max(longest, time.monotonic() - began), time.monotonic()
                if enough is None or enough(body):
                    status = answer.status
                if status or time.monotonic() - start > 20.0:  # a stream that says nothing but that it is open
                    break
        connection.close()
        return Answer(status, body, max(longest, time.monotonic() - began))


@contextmanager
def running(host: FakeHost) -> Iterator[Program]:
    """The real program on the host, with a log that is read as it comes."""
    arguments = ("--listen", "127.0.0.1:0", "--host-root", str(host.path), "--freshness", "0", "--baseline", "0")
    with agent(*arguments) as started:
        log: list[str] = []
        assert started.process.stderr is not None
        threading.Thread(target=_drain, args=(started.process.stderr, log), daemon=True).start()
        yield Program(started.port, started.process.pid, log)


def _drain(stream: IO[str], log: list[str]) -> None:
    with suppress(ValueError):  # closed at the end
        log.extend(stream)


class Row(NamedTuple):
    """One file and one route."""

    file: str
    route: str
    others: Answer
    wrong: list[str]
    """Containers beside the hung one that the answer has not, or not rightly."""
    has_hung: bool
    hung: Answer | None
    again: Answer
    """The slowest of the further requests."""
    threads: tuple[int, int]
    """Beyond those before, after one request and after all of them."""
    recovered: bool


def _target(route: Route, container: str) -> str:
    return route.target.format(id=container_id(container))


def _whole(program: Program, name: str) -> bool:
    """Whether the answer has every container, the hung one too."""
    route = ROUTES[name]
    answer = program.ask(_target(route, OTHERS[0]), None if name == "stream" else route.enough)
    return not wrong(route, answer.status, answer.body, *(() if route.of_one else (HUNG,)))


def measure(program: Program, blocking: Blocking, place: Place, name: str, requests: int) -> Row:
    """Let the file hang, and ask the route: once while nothing has met it yet, then again and again."""
    route = ROUTES[name]
    target = _target(route, OTHERS[0])
    if not place.hangs_first:
        assert _until(lambda: _whole(program, name)), f"{name} is wrong before anything hangs"
        time.sleep(place.fresh_seconds)
    before = program.threads() + place.hangs_first  # with its first scrape comes the thread that makes the text
    blocking.hang()
    hung: list[Answer] = []
    asking = threading.Thread(target=lambda: hung.append(program.ask(_target(route, HUNG))))
    try:
        if route.of_one:
            asking.start()  # and the others only when it hangs: on a busy host they would else be answered before it
            _until(lambda: bool(hung) or blocking.met.is_set())
        others = program.ask(target, route.enough)
        first = program.threads() - before
        again = others._replace(seconds=0.0)
        for _ in range(requests - 1):
            answer = program.ask(target, route.enough)
            if answer.status != 200 or answer.seconds > again.seconds:
                again = answer
        if route.of_one:
            asking.join()
        after = program.threads() - before
    finally:
        blocking.answer()
    recovered = _until(lambda: _whole(program, name) and program.threads() <= before)
    has = route.has(others.body) if route.has and others.status == 200 else {}
    own = hung[0] if hung else None
    found = wrong(route, others.status, others.body)
    return Row(place.name, name, others, found, HUNG in has, own, again, (first, after), recovered)


def _until(what: Callable[[], bool], seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def faults(row: Row) -> list[str]:
    """What is wrong with a row. The same is expected of each: the others are answered, rightly and also later, at most
    one thread is held however often is asked, and then all is as before."""
    found = list(row.wrong)
    if row.again.status != 200:
        found.append(f"later: {row.again.status}")
    if max(row.threads) > 1:
        found.append(f"threads: {row.threads}")
    if row.hung is not None and row.hung.status not in (200, 500):
        found.append("the hung one has no answer")
    if not row.recovered:
        found.append("not as before")
    return found


def _answer(answer: Answer) -> str:
    return f"{answer.status or 'none'} {answer.seconds:.2f} s"


def _line(row: Row) -> str:
    hung = _answer(row.hung) if row.hung else "there" if row.has_hung else "-"
    threads = f"{row.threads[0]:+d} {row.threads[1]:+d}"
    verdict = "; ".join(faults(row)) or "right"
    cells = (row.file, row.route, _answer(row.others), hung, _answer(row.again), threads, verdict)
    return f"| {' | '.join(cells)} |"


def _cell(place: Place, name: str, requests: int, *, log: bool) -> tuple[str, bool]:
    """Its line, and whether it is right."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        host = make_host(folder / "host")
        try:
            blocking = stack.enter_context(Blocking(path_of(host, place.path)).mounted())
        except pytest.skip.Exception as why:
            return f"| {place.name} | {name} | not measured: {why} |", True
        program = stack.enter_context(running(host))
        row = measure(program, blocking, place, name, requests)
        if log:
            print("".join(program.log))
        return _line(row), not faults(row)


def main() -> int:
    """Print the table; 1 if a row is not as it has to be."""
    parser = argparse.ArgumentParser(description="what a hung file costs on every route")
    parser.add_argument("--files", default=",".join(place.name for place in PLACES))
    parser.add_argument("--routes", default=",".join(ROUTES))
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--log", action="store_true", help="show what the agent said")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the table there, too")
    chosen = parser.parse_args()
    places = {place.name: place for place in PLACES}
    lines = ["| file | route | others, first | the hung one | slowest of the rest | threads after 1, all | verdict |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    right = True
    for file in chosen.files.split(","):
        for route in chosen.routes.split(","):
            line, good = _cell(places[file], route, chosen.requests, log=chosen.log)
            lines.append(line)
            right &= good
            print(line, flush=True)
    if chosen.report:
        chosen.report.parent.mkdir(parents=True, exist_ok=True)
        chosen.report.write_text("\n".join([*lines, ""]), "utf-8")
    print("each row is as it has to be" if right else "NOT each row is as it has to be")
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
