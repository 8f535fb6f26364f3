"""What a file that hangs costs: every route of the real program, on a tree whose one file blocks; prints a table.

    PYTHONPATH=agent:cgroups:tests:tools/fixtures \\
        .venv/bin/python -m edges.hangs [--files memory.peak,net/dev,…] [--routes metrics,…]

The file is a FUSE file system of its own (root and /dev/fuse), which answers until it is told to hang; then no call
comes back that concerns it, neither stat nor open nor read. For each file and route the table has

* others: status and time of the route for the containers beside the hung one, at the first encounter, and what is wrong
  with their figures;
* hung: status and time of the same route for the container itself, where the route is about one; else whether the
  answer has it;
* threads after 1 and after 100 requests beyond those before;
* after: whether everything is as before once the file answers again.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from attacks.slowfile import slow
from fakehost import FakeHost, container_id
from helpers import write_files
from wire import agent

HUNG, OTHERS = "c0", ("c1", "c2")
MEMORY = 3 << 20
_PRESSURE = "".join(f"{kind} avg10=0.00 avg60=0.00 avg300=0.00 total=7\n" for kind in ("some", "full"))
_MORE = {
    "memory.peak": f"{4 << 20}\n",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
    "memory.swap.current": "0\n",
    "cpu.max": "max 100000\n",
    "cpu.weight": "100\n",
    "cpu.pressure": _PRESSURE,
    "memory.pressure": _PRESSURE,
    "io.pressure": _PRESSURE,
}
_PROCESS = {
    "stat": "7 (x) S 1 1 1 0 -1 0 0 0 0 0 9 1 0 0 20 0 1 0 500 0 0\n",
    "status": "Name:\tx\nState:\tS (sleeping)\nVmRSS:\t8 kB\n",
}
_HOST = {
    "proc/stat": "cpu  10 0 10 1000 0 0 0 0 0 0\ncpu0 10 0 10 1000 0 0 0 0 0 0\nbtime 1700000000\n",
    "proc/uptime": "1000.0 900.0\n",
    "proc/loadavg": "0.10 0.20 0.30 1/100 1000\n",
    "proc/sys/kernel/hostname": "hangs\n",
    "proc/sys/kernel/osrelease": "6.12.0\n",
}


class Place(NamedTuple):
    """A file that hangs."""

    name: str
    path: Callable[[FakeHost, str], Path]
    """Of a container."""
    of_host: bool = False
    """It is the host's: no container is hung."""
    fresh_seconds: float = 0.6
    """After this time no route answers from what was read of it before."""


def _in_cgroup(name: str) -> Place:
    return Place(name, lambda host, container: host.scope(container) / name)


def _process(host: FakeHost, name: str) -> Path:
    """Its directory in /proc."""
    return host.path / "proc" / (host.scope(name) / "cgroup.procs").read_text().split()[0]


def log_file(host: FakeHost) -> Path:
    """The hung container's log."""
    found = container_id(HUNG)
    return host.path / f"var/lib/docker/containers/{found}/{found}-json.log"


PLACES = {
    place.name: place
    for place in (
        _in_cgroup("memory.current"),
        Place("net/dev", lambda host, container: _process(host, container) / "net/dev"),
        Place("/proc/<pid>/status", lambda host, container: _process(host, container) / "status", fresh_seconds=1.1),
        _in_cgroup("io.stat"),
        _in_cgroup("memory.peak"),
        _in_cgroup("memory.events"),
        _in_cgroup("pids.current"),
        _in_cgroup("cpu.pressure"),
        _in_cgroup("cgroup.procs"),
        Place("/proc/stat", lambda host, _: host.path / "proc/stat", of_host=True),
        Place(
            "config.v2.json",
            lambda host, container: host.path / f"var/lib/docker/containers/{container_id(container)}/config.v2.json",
            fresh_seconds=4.2,
        ),
    )
}


def make_host(folder: Path, *more: str) -> FakeHost:
    """Three containers with every file that any route reads, and more of that kind."""
    host = FakeHost(folder)
    for name in (HUNG, *OTHERS, *more):
        host.add(name, memory=MEMORY)
        write_files(str(host.scope(name)), dict(_MORE))
        write_files(str(_process(host, name)), dict(_PROCESS))
    log_file(host).write_bytes(b"x")
    log_file(host).chmod(0o640)
    write_files(str(host.path), dict(_HOST))
    return host


@dataclass
class Blocking:
    """A file that can be told to hang."""

    path: Path
    met: threading.Event = field(default_factory=threading.Event)
    """Set once a call hangs."""
    _hangs: threading.Event = field(default_factory=threading.Event)
    _answers: threading.Event = field(default_factory=threading.Event)

    def hang(self) -> None:
        """From now on no call that concerns it comes back."""
        self._answers.clear()
        self.met.clear()
        self._hangs.set()

    def answer(self) -> None:
        """Everything goes on."""
        self._hangs.clear()
        self._answers.set()

    def _wait(self) -> None:
        if self._hangs.is_set():
            self.met.set()
            self._answers.wait()

    @contextmanager
    def mounted(self) -> Iterator[Blocking]:
        """Put it over the file that is there, with the same content. Skips where that cannot be."""
        content = self.path.read_bytes()
        with slow(self.path, lambda: content, self._wait):
            try:
                yield self
            finally:
                self.answer()


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


# -- what the routes say of the others


def _by_name(entries: list[dict[str, object]], key: str = "name") -> dict[str, dict[str, object]]:
    return {str(entry[key]): entry for entry in entries}


def _in_stats(entries: list[dict[str, object]]) -> dict[str, bool]:
    return {name: entry["memoryRaw"] == MEMORY for name, entry in _by_name(entries).items()}


def _array(body: bytes) -> dict[str, bool]:
    return _in_stats(json.loads(body))


def _events(body: bytes) -> dict[str, bool]:
    return _in_stats([json.loads(data) for data in re.findall(rb"event: stat\ndata: (\{.*\})\n", body)])


def _streamed(body: bytes) -> bool:
    return set(OTHERS) <= _events(body).keys()


def _followed(body: bytes) -> dict[str, bool]:
    """The last round; the first may be one that was kept."""
    rounds = body.split(b"event: round")
    found = re.findall(rb"event: stat\n(?:id: .*\n)?data: (\{.*\})\n", rounds[-2] if len(rounds) > 1 else b"")
    return _in_stats([json.loads(data) for data in found])


def _three_rounds(body: bytes) -> bool:
    return body.count(b"event: round") >= 3


def _listed(body: bytes) -> dict[str, bool]:
    return {name: entry["pids"] == 1 for name, entry in _by_name(json.loads(body)).items()}


def _one(body: bytes) -> dict[str, bool]:
    return {OTHERS[0]: json.loads(body)["memoryRaw"] == MEMORY}


def _detail(body: bytes) -> dict[str, bool]:
    found = json.loads(body)
    right = (found["memory"]["usageBytes"]["value"], found["memory"]["peakBytes"]["value"]) == (MEMORY, 4 << 20)
    return {found["container"]["name"]: right}


def _processes(body: bytes) -> dict[str, bool]:
    found = json.loads(body)
    return {found["name"]: [each["name"] for each in found["processes"]] == ["x"]}


def _metrics(body: bytes) -> dict[str, bool]:
    found = re.findall(rb'container_memory_max_usage_bytes\{[^}]*name="([^"]*)"[^}]*\} (\d+)', body)
    return {name.decode(): int(value) == 4 << 20 for name, value in found}


class Route(NamedTuple):
    """One route: how it is asked, and which containers its answer has (and whether rightly)."""

    target: str
    has: Callable[[bytes], dict[str, bool]] | None = None
    enough: Callable[[bytes], bool] | None = None
    """Of a stream: what is waited for. It stays open, or goes on for the hung one."""
    those: tuple[str, ...] = OTHERS
    of_hung: str = ""
    """The same for the hung container."""


ROUTES = {
    "one": Route(
        f"/api/containers/{OTHERS[0]}/stats", _one, None, OTHERS[:1], f"/api/containers/{container_id(HUNG)}/stats"
    ),
    "array": Route("/api/containers/stats", _array),
    "stream": Route("/api/containers/stats/stream", _events, _streamed),
    "follow": Route("/api/containers/stats/follow?interval=0.25", _followed, _three_rounds),
    "list": Route("/api/containers", _listed),
    "detail": Route(
        f"/api/containers/{OTHERS[0]}/detail", _detail, None, OTHERS[:1], f"/api/containers/{container_id(HUNG)}/detail"
    ),
    "processes": Route(
        f"/api/containers/{OTHERS[0]}/processes",
        _processes,
        None,
        OTHERS[:1],
        f"/api/containers/{container_id(HUNG)}/processes",
    ),
    "host": Route("/api/host"),
    "metrics": Route("/metrics", _metrics),
    "healthz": Route("/healthz"),
    "environment": Route("/api/environments/1"),
    "page": Route("/"),
}
"""The page asks follow, list, detail, processes and host; what it asks first is itself and the environment."""


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


def _wrong(route: Route, answer: Answer) -> list[str]:
    if answer.status != 200:
        return [f"status {answer.status}"]
    found = route.has(answer.body) if route.has else dict.fromkeys(route.those, True)
    return [name for name in route.those if not found.get(name)]


def _whole(program: Program, route: Route) -> bool:
    """Whether the answer has every container, the hung one too."""
    wanted = (HUNG, *route.those) if route.those == OTHERS else route.those
    answer = program.ask(route.target, None if route.enough is _streamed else route.enough)
    return not _wrong(route._replace(those=wanted), answer)


def measure(program: Program, blocking: Blocking, place: Place, name: str, requests: int = 100) -> Row:
    """Let the file hang, and ask the route: once while nothing has met it yet, then again and again."""
    route = ROUTES[name]
    whole = _until(lambda: _whole(program, route))
    assert whole, f"{name} is wrong before anything hangs"
    time.sleep(place.fresh_seconds)
    before = program.threads()
    blocking.hang()
    hung: list[Answer] = []
    asking = threading.Thread(target=lambda: hung.append(program.ask(route.of_hung)))
    try:
        if route.of_hung:
            asking.start()  # and the others only when it hangs: on a busy host they would else be answered before it
            _until(lambda: bool(hung) or blocking.met.is_set())
        others = program.ask(route.target, route.enough)
        first = program.threads() - before
        again = others._replace(seconds=0.0)
        for _ in range(requests - 1):
            answer = program.ask(route.target, route.enough)
            if answer.status != 200 or answer.seconds > again.seconds:
                again = answer
        if route.of_hung:
            asking.join()
        after = program.threads() - before
    finally:
        blocking.answer()
    recovered = _until(lambda: _whole(program, route) and program.threads() <= before)
    has = route.has(others.body) if route.has and others.status == 200 else {}
    own = hung[0] if hung else None
    return Row(place.name, name, others, _wrong(route, others), HUNG in has, own, again, (first, after), recovered)


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
    found = [f"without {name}" for name in row.wrong]
    found += [f"others: {each.status}" for each in (row.others, row.again) if each.status != 200]
    if max(row.threads) > 1:
        found.append(f"threads: {row.threads}")
    if not row.recovered:
        found.append("not as before")
    return found


def _answer(answer: Answer) -> str:
    return f"{answer.status or 'none'} {answer.seconds:.2f} s"


def _line(row: Row) -> str:
    others = _answer(row.others) + (f" without {', '.join(row.wrong)}" if row.wrong else "")
    hung = _answer(row.hung) if row.hung else "there" if row.has_hung else "-"
    threads = f"{row.threads[0]:+d} {row.threads[1]:+d}"
    after = "as before" if row.recovered else "NOT as before"
    return f"| {row.file} | {row.route} | {others} | {hung} | {_answer(row.again)} | {threads} | {after} |"


def main() -> int:
    """Print the table; 1 if a row is not as it has to be."""
    parser = argparse.ArgumentParser(description="what a hung file costs on every route")
    parser.add_argument("--files", default=",".join(PLACES))
    parser.add_argument("--routes", default=",".join(ROUTES))
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--log", action="store_true", help="show what the agent said")
    chosen = parser.parse_args()
    wrong = []
    print("| file | route | others, first | the hung one | slowest of the rest | threads after 1, all | after |")
    print("|---|---|---|---|---|---|---|")
    for name in chosen.files.split(","):
        for route in chosen.routes.split(","):
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                host = make_host(folder / "host")
                try:
                    blocking = stack.enter_context(Blocking(PLACES[name].path(host, HUNG)).mounted())
                except pytest.skip.Exception as why:
                    print(f"| {name} | {route} | not measured: {why} |")
                    continue
                program = stack.enter_context(running(host))
                row = measure(program, blocking, PLACES[name], route, chosen.requests)
                print(_line(row), flush=True)
                wrong += [f"{name}, {route}: {fault}" for fault in faults(row)]
                if row.hung is not None and row.hung.status not in (200, 500):  # with a machine of its own
                    wrong.append(f"{name}, {route}: the hung one has no answer")
                if chosen.log:
                    print("".join(program.log))
    print("\n".join(wrong) or "each row is as it has to be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
