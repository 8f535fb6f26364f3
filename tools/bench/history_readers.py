"""How long one container's figures take while ten clients read the history: the 99th percentile, beside none reading.

    python tools/bench/history_readers.py [-n 100] [--fill 120] [--readers 10] [--rounds 20]

An agent over busy cgroups fills its history at a round a second. Then 50 requesters ask for one container a second
each: first alone, then while the readers read all of the history (`/api/history` from its beginning, a container in
steps, the lines of all containers) once a second each, then while they do it without pause. In turn, three times. Needs
root and a C compiler.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from agent import Agent, lifted_descriptor_limit
from clients import get, paced
from hosts import host
from measure import facts, median, p99
from programs import programs

_REPEAT = 3
_REQUESTERS = 50


def read_all(port: int, container: str) -> int:
    """Everything that the history has; how many bytes."""
    size, cursor = 0, ""
    while True:
        body = get(port, f"/api/history?cursor={cursor}&limit=1000")
        head, *lines = body.splitlines()
        size += len(body)
        latest: str = json.loads(head)["latest"]
        if not lines or latest.encode() in lines[-1][:60]:
            break
        cursor = json.loads(lines[-1])["cursor"]
    for path in (f"/api/containers/{container}/history?step=1", "/api/containers/history?step=1"):
        size += len(get(port, path))
    return size


class Readers:
    """So many clients, each in a thread of its own."""

    def __init__(self, port: int, count: int, ids: list[str], pause: float) -> None:
        self.read = 0
        """How often the whole history was read."""
        self.bytes = 0
        self._over = threading.Event()
        self._lock = threading.Lock()
        numbers = range(count)
        self._threads = [threading.Thread(target=self._run, args=(port, ids[n % len(ids)], pause)) for n in numbers]

    def _run(self, port: int, container: str, pause: float) -> None:
        while not self._over.is_set():
            size = read_all(port, container)
            with self._lock:
                self.read, self.bytes = self.read + 1, self.bytes + size
            self._over.wait(pause)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Meanwhile they do."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()


def measure(arguments: argparse.Namespace, agent: Agent, ids: list[str]) -> None:
    """All of it, and the table."""
    kinds = {"nobody": None, "once a second each": 1.0, "without pause": 0.0}
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    read: dict[str, list[float]] = {kind: [0, 0, 0] for kind in kinds}
    for _ in range(_REPEAT):
        for kind, pause in kinds.items():
            if pause is None:
                found[kind] += paced(agent.port, ids, _REQUESTERS, arguments.rounds)
                continue
            readers, began = Readers(agent.port, arguments.readers, ids, pause), time.monotonic()
            with readers.reading():
                found[kind] += paced(agent.port, ids, _REQUESTERS, arguments.rounds)
            read[kind] = [read[kind][0] + readers.read, read[kind][1] + readers.bytes / 1e6,
                          read[kind][2] + time.monotonic() - began]  # fmt: skip
    base = p99(found["nobody"])
    print("| the history is read by | median | 99 of 100 | times | whole reads a second | MB a second |")
    print("|---|--:|--:|--:|--:|--:|")
    for kind, values in found.items():
        count, size, seconds = read[kind]
        title = kind if kind == "nobody" else f"{arguments.readers} clients, {kind}"
        rates = f"{count / seconds:.1f} | {size / seconds:.1f}" if seconds else " | "
        print(f"| {title} | {median(values):.1f} ms | {p99(values):.1f} ms | {p99(values) / base:.1f} | {rates} |")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=100, help="cgroups (default: 100)")
    parser.add_argument("--fill", type=float, default=120.0, help="seconds, a round each (default: 120)")
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20, help="seconds of each measurement, three times (default: 20)")
    arguments = parser.parse_args()
    lifted_descriptor_limit()
    with programs() as directory, host(directory, directory) as made, contextlib.ExitStack() as stack:
        ids = made.add(arguments.n, "busy")
        agent = Agent(directory, options=["--max-cpu", "0", "--history-interval", "1"])
        stack.callback(agent.stop)
        time.sleep(arguments.fill)
        print(f"{facts()}\n{arguments.n} cgroups, {arguments.fill:.0f} rounds to begin with\n")
        measure(arguments, agent, ids)
    return 0


if __name__ == "__main__":
    sys.exit(main())
