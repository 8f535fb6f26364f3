"""Containers come and go while the agent is polled every 100 ms."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from agent import Agent
from cgroups import Bare, remove_parents
from docker import Docker
from engine import run

POLL_SECONDS = 0.1
AT_ONCE = 20
SEEN_SECONDS = 90.0
SETTLED_SECONDS = 20.0
LIVES_SECONDS = (0.05, 0.5)
"""Every other batch is gone before its CPU window is over, the others can be seen."""


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    yield
    remove_parents()


def poll_until(agent: Agent, container: str, present: bool) -> int:
    """How many polls, begun every 100 ms from now on, it takes until the container is (not) in the answer."""
    for polls in range(1, 20):
        if (container in agent.all()) is present:
            return polls
        time.sleep(POLL_SECONDS)
    return 99


def test_a_container_is_in_the_first_poll_after_its_start_and_in_none_after_its_end(
    quick_agent: Agent, record: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    count = 5 if request.config.getoption("--short") else 20
    seen, gone = [], []
    for number in range(count):
        container = Bare(f"one-poll-{number}")
        seen.append(poll_until(quick_agent, container.id, True))
        container.kill()
        gone.append(poll_until(quick_agent, container.id, False))
    first = (
        f"{seen.count(1)} of {count} in the first poll after the start, "
        f"{gone.count(1)} gone from the first after the end"
    )
    record["notes"]["polled every 100 ms"] = first
    assert (max(seen), max(gone)) == (1, 1), (seen, gone)


def test_the_stream_has_the_container_in_the_first_round_too(quick_agent: Agent) -> None:
    container = Bare("stream")
    try:
        events = quick_agent.stream()
    finally:
        container.kill()
    assert container.id in [data["id"] for event, data in events if event == "stat"]
    assert events[-1] == ("done", {})


@pytest.mark.long
def test_a_docker_container_is_seen_by_name_in_one_poll_and_gone_in_the_next(quick_agent: Agent) -> None:
    docker = Docker("systemd")
    docker.start()
    try:
        for _ in range(3):
            container = docker.create("same-name")
            assert quick_agent.all()[container]["name"] == "same-name"
            run("docker", "rm", "-f", "same-name")
            assert container not in quick_agent.all()
    finally:
        docker.stop()


class Poller(threading.Thread):
    """Asks for the array and the stream every 100 ms; keeps whatever is not as it should be."""

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self._agent = agent
        self._over = threading.Event()
        self.wrong: list[Any] = []
        self.rounds = 0
        self.seen: set[str] = set()

    def run(self) -> None:
        """Until stopped."""
        while not self._over.wait(POLL_SECONDS):
            try:
                self.seen |= self._agent.all().keys()
                events = self._agent.stream()
                self.wrong += [each for each in events if each[0] not in ("stat", "done")]
                self.rounds += 1
            except (AssertionError, OSError) as error:
                self.wrong.append(error)

    def stop(self) -> None:
        """End the loop."""
        self._over.set()
        self.join()


def lived(first: int, seconds: float) -> None:
    """A batch of containers that live for so long."""
    batch = [Bare(f"short-{number}") for number in range(first, first + AT_ONCE)]
    time.sleep(seconds)
    for container in batch:
        container.kill()


def test_short_lived_containers_leave_nothing_behind(
    quick_agent: Agent, record: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    count = 100 if request.config.getoption("--short") else 1000
    Bare("short-first").kill()  # leaves the parent directory, which is watched from now on
    quick_agent.all()
    before = quick_agent.holds()
    poller = Poller(quick_agent)
    poller.start()
    began = time.monotonic()
    try:
        for start in range(0, count, AT_ONCE):
            lived(start, LIVES_SECONDS[start // AT_ONCE % len(LIVES_SECONDS)])
        while not poller.seen and time.monotonic() - began < SEEN_SECONDS:
            # Emulated on a busy machine a poll may take a second: none of them need have been there at its instant.
            lived(count, 2.0)
            count += AT_ONCE
    finally:
        poller.stop()
    took = time.monotonic() - began
    assert quick_agent.all().keys().isdisjoint(poller.seen)
    after = quick_agent.holds()
    while any(after[key] > before[key] for key in after) and time.monotonic() - began < took + SETTLED_SECONDS:
        time.sleep(0.5)  # a thread that was slow, emulated, ends with what it read; descriptors follow the next look
        after = quick_agent.holds()
    held = ", ".join(f"{key} {before[key]} -> {after[key]}" for key in before)
    note = f"{count} in {took:.0f} s, {poller.rounds} rounds polled meanwhile, {len(poller.seen)} of them seen; {held}"
    print(note)
    record["notes"]["short-lived containers"] = note
    assert poller.wrong == []
    assert poller.seen
    assert {key: after[key] - before[key] for key in after if after[key] > before[key]} == {}
    assert "Traceback" not in quick_agent.journal()
