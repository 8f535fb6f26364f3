"""Crash loops of real engines: `follow` tells each end that it saw with its own exit code, and each kill as one."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from agent import Agent
from docker import Docker
from engine import run
from podman import Podman

COUNT = "n=$(($(cat /n 2>/dev/null || echo 0) + 1)); echo $n > /n; sleep 3; exit $n"
"""Each life ends with another code."""
HOG = "sleep 3; exec tail /dev/zero"
ENGINES: dict[str, Callable[[], Docker | Podman]] = {"docker": lambda: Docker("systemd"), "podman": Podman}
LIVES = 3


class Following(threading.Thread):
    """A client of `follow`; keeps what is told of starts, ends and kills."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=120)
        self._connection.request("GET", "/api/containers/stats/follow?interval=1")
        self._answer = self._connection.getresponse()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.start()

    def run(self) -> None:
        name = ""
        with suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            for line in self._answer:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: ") and name in ("start", "exit", "oom"):
                    self.events.append((name, json.loads(line[6:])))

    def of(self, container: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, data) for name, data in self.events if data["id"] == container]

    def until_ends(self, container: str, times: int) -> list[tuple[str, dict[str, Any]]]:
        deadline = time.monotonic() + 240
        while sum(name == "exit" for name, _ in self.of(container)) < times:
            assert time.monotonic() < deadline, self.of(container)
            time.sleep(0.5)
        return self.of(container)


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Docker | Podman]:
    made = ENGINES[request.param]()
    made.start()
    yield made
    made.stop()


def remove(engine: Docker | Podman, name: str) -> None:
    if isinstance(engine, Podman):
        engine.podman("rm", "-f", "-t", "0", name, check=False)
    else:
        run("docker", "rm", "-f", name, check=False)


@pytest.mark.long
def test_each_end_of_a_crash_loop_has_its_own_exit_code(
    quick_agent: Agent, engine: Docker | Podman, record: dict[str, Any]
) -> None:
    following = Following(quick_agent)
    container = engine.create("loop", "--restart", "always", command=COUNT)
    try:
        events = following.until_ends(container, LIVES)
    finally:
        remove(engine, "loop")
    codes = [data["exitCode"] for name, data in events if name == "exit"]
    record["notes"][f"exit codes of a crash loop, {engine.name}"] = str(codes)
    # A life between two rounds is not seen; of those that are, each has its own code, in their order.
    assert None not in codes[:LIVES] and codes[:LIVES] == sorted(set(codes[:LIVES]))
    starts = [data["started"] for name, data in events if name == "exit"]
    assert starts[:LIVES] == sorted(set(starts[:LIVES]))


@pytest.mark.long
def test_each_end_by_the_oom_killer_comes_after_an_event_that_says_so(
    quick_agent: Agent, engine: Docker | Podman
) -> None:
    following = Following(quick_agent)
    container = engine.create("hog", "--restart", "always", "--memory", "16m", command=HOG)
    try:
        events = following.until_ends(container, LIVES)
    finally:
        remove(engine, "hog")
    ooms = 0
    for name, data in events:
        ooms += name == "oom"
        if name == "exit":
            if data["oomKilled"]:
                assert ooms == 1, events
            ooms = 0
    assert any(data["oomKilled"] for name, data in events if name == "exit"), events
