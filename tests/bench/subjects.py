"""What is measured: each subject does one round over all containers and says what it cost."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator

from hosts import Bench
from measure import Series, cpu_nsec, rss_bytes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def floor(bench: Bench, directory: str, rounds: int, pause: float) -> Series:
    """The C program, hot (pause 0) or paced; it counts its own CPU time."""
    name = "floor, paced" if pause else "floor, hot"
    out = subprocess.run(
        [f"{directory}/floor", bench.listing, str(rounds + 1), str(int(pause * 1e6))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    series = Series(name)
    for line in out.stdout.splitlines()[1:]:
        cpu, wall = map(int, line.split())
        series.add(cpu, wall, len(bench.ids))
    return series


_LIBRARY = """
import sys, time, json
from cgroupfs import Root
from cgstatd.host import HostOptions, open_host
sampler = open_host(Root("/"), HostOptions())
ids, rounds, pause = set(json.load(open(sys.argv[1]))), int(sys.argv[2]), float(sys.argv[3])
for n in range(rounds + 2):
    time.sleep(pause)
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    readers = [w for w in sampler.containers() if w.identity.id in ids] if n < 1 else readers
    sampler.containers()
    shared = sampler.namespaces()
    for each in readers:
        sampler.read(each, shared)
    if n > 1:
        print(time.process_time_ns() - cpu, time.perf_counter_ns() - wall)
"""


def library(bench: Bench, directory: str, rounds: int, pause: float) -> Series:
    """A pass of the reader alone (listing included), without HTTP."""
    with open(f"{directory}/ids.json", "w") as file:
        json.dump(bench.ids, file)
    out = subprocess.run(
        [sys.executable, "-c", _LIBRARY, f"{directory}/ids.json", str(rounds), str(pause)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    series = Series("cgroupfs, paced" if pause else "cgroupfs, hot")
    for line in out.stdout.splitlines():
        cpu, wall = map(int, line.split())
        series.add(cpu, wall, len(bench.ids))
    return series


class Agent:
    """The whole agent in a process of its own."""

    def __init__(self, *options: str, nofile: int | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

        def limit() -> None:
            if nofile is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cgstatd", "serve", "--listen", f"127.0.0.1:{self.port}", *options],
            stderr=subprocess.DEVNULL,
            preexec_fn=limit,  # noqa: PLW1509  no thread runs yet
        )
        self.first_answer_seconds = self._first_answer()

    def _first_answer(self) -> float:
        while True:
            try:
                self.get("/api/containers/stats")
            except OSError:
                time.sleep(0.005)
                if self.process.poll() is not None:
                    raise SystemExit("the agent does not start") from None
            else:
                return time.monotonic() - self.began

    def get(self, path: str) -> bytes:
        """One request on a connection of its own."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return bytes(answer.read())

    def cpu(self) -> int:
        """CPU nanoseconds so far."""
        return cpu_nsec([self.process.pid])

    def rss(self) -> int:
        """Resident bytes."""
        return rss_bytes(self.process.pid)

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


@contextlib.contextmanager
def agent(*options: str, nofile: int | None = None) -> Iterator[Agent]:
    """A running agent."""
    made = Agent(*options, nofile=nofile)
    try:
        yield made
    finally:
        made.stop()


def streams(running: Agent, count: int, rounds: int, clients: int = 1) -> Series:
    """One stream round a second by so many clients."""
    series = Series(f"agent, stream, {clients} client{'s' * (clients > 1)}")
    for n in range(rounds + 2):
        time.sleep(1)
        cpu, wall = running.cpu(), time.perf_counter_ns()
        threads = [threading.Thread(target=running.get, args=("/api/containers/stats/stream",)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall = time.perf_counter_ns() - wall
        time.sleep(0.2)  # what is still to be done after the last byte counts too
        if n > 1:
            series.add(running.cpu() - cpu, wall, count)
    return series


def singles(running: Agent, ids: list[str], concurrent: int, requests: int) -> list[float]:
    """Milliseconds of single GETs on kept connections, each of another container."""
    found: list[float] = []

    def ask(offset: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        for n in range(requests):
            began = time.perf_counter()
            connection.request("GET", f"/api/containers/{ids[(offset * 31 + n) % len(ids)]}/stats")
            connection.getresponse().read()
            found.append((time.perf_counter() - began) * 1000)
        connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(concurrent)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


def idle(running: Agent, seconds: float) -> float:
    """Percent of one core while nobody asks."""
    time.sleep(2)
    cpu, began = running.cpu(), time.monotonic()
    time.sleep(seconds)
    return (running.cpu() - cpu) / (time.monotonic() - began) / 1e7
