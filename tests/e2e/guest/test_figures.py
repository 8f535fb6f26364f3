"""Every engine, every shape: the agent's figures are the engine's own of the same second."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from agent import Agent
from engine import MODE, SHAPES, Container, Engine, Missing, record_host, shapes_of
from engines import ENGINES, SHORT
from figures import ALLOWED, IS_V2, Figures, differences

CPU_SECONDS = 5.0
"""The window of both CPU figures: a limit of half a core is kept within one period of 100 ms in it, 1 point."""
APART_SECONDS = 2.0
"""All four readings may take so much longer than what lies between them."""
TRIES = 3
SETTLE_SECONDS = 90


@dataclass(slots=True)
class Fleet:
    """An engine's containers, all measured together: per shape the two readings around the agent's, or what failed."""

    engine: Engine
    agent: Agent
    containers: dict[str, Container] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)
    before: dict[str, Figures] = field(default_factory=dict)
    after: dict[str, Figures] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def start(self, shapes: list[str]) -> None:
        """Start every shape; one that fails costs its own test alone."""
        for shape in shapes:
            try:
                self.containers[shape] = self.engine.make(shape)
            except (Missing, AssertionError, OSError) as error:
                self.failed[shape] = error

    def settle(self) -> None:
        """Wait until those that fill a cache or send packets have done so, and their first second is over."""
        busy = [self.containers[shape] for shape in ("memory-limited", "two-networks") if shape in self.containers]
        deadline, last = time.monotonic() + SETTLE_SECONDS, None
        while time.monotonic() < deadline:
            time.sleep(1.5)
            with contextlib.suppress(AssertionError, OSError, KeyError):  # one that died fails its own test
                now = [(f.memory, f.tx, f.write, f.cpu // 50_000_000) for f in map(self.engine.figures, busy)]
                if now == last:
                    return
                last = now

    def measure(self) -> None:
        """The agent, the engine, a while, the agent, the engine: the agent's are between two of the engine's.

        The busy one is asked for right after the agent, so that both CPU figures are of the same seconds. Where the
        guest had so little time that they are not, it is asked for once more.
        """
        running = {shape: each for shape, each in self.containers.items() if shape != "stopped"}
        busy = {shape: each for shape, each in running.items() if shape == "cpu-limited"}
        quiet = {shape: each for shape, each in running.items() if shape not in busy}
        self._read(quiet, self.before)
        for _ in range(TRIES):
            began = time.monotonic()
            self._ask_agent()
            self._read(busy, self.before)
            time.sleep(CPU_SECONDS)
            self._ask_agent()
            self._read(busy, self.after)
            if time.monotonic() - began < CPU_SECONDS + APART_SECONDS:
                break
        self._read(quiet, self.after)

    def _ask_agent(self) -> None:
        self.listed = self.agent.all()
        running = {shape: each.id for shape, each in self.containers.items() if shape != "stopped"}
        self.answers = {shape: self.listed[each] for shape, each in running.items() if each in self.listed}
        if "paused" in self.containers:
            self.answers["paused"] = self.agent.one(self.containers["paused"].id)

    def _read(self, containers: dict[str, Container], into: dict[str, Figures]) -> None:
        for shape, container in containers.items():
            try:
                into[shape] = self.engine.figures(container)
            except (AssertionError, OSError, KeyError) as error:
                self.failed.setdefault(shape, error)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fleet" in metafunc.fixturenames:
        short = metafunc.config.getoption("--short")
        engines = SHORT if short else ENGINES
        metafunc.parametrize("fleet", engines, ids=[engine.name for engine in engines], indirect=True, scope="module")
    if "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", shapes_of(metafunc.config.getoption("--short")))


@pytest.fixture(scope="module")
def fleet(request: pytest.FixtureRequest, agent: Agent) -> Iterator[Fleet]:
    """An engine with a container of every shape, measured."""
    engine: Engine = request.param
    found = Fleet(engine, agent)
    shapes = [shape for shape in SHAPES if shape in shapes_of(request.config.getoption("--short"))]
    if reason := engine.unavailable.get(MODE):
        found.failed = dict.fromkeys(shapes, Missing(reason))
        yield found
        return
    if engine.agent_options or engine.agent_drop_in:
        found.agent = Agent(f"cgstatd-{engine.prefix}", 9715, engine.agent_options, engine.agent_drop_in)
    began = time.monotonic()
    try:
        engine.start()
        found.start(shapes)
        found.settle()
        found.measure()
        print(f"\n{engine.name}: {len(found.containers)} containers in {time.monotonic() - began:.0f} s")
        if request.config.getoption("--record"):
            print(record_host(engine.name))
        yield found
    finally:
        engine.stop()
        if found.agent is not agent:
            found.agent.stop()


def test_the_agents_figures_are_the_engines(fleet: Fleet, shape: str, record: dict[str, Any]) -> None:
    cells = record["cells"].setdefault(fleet.engine.name, {})
    error = fleet.failed.get(shape)
    if isinstance(error, Missing):
        cells[shape] = str(error)
        pytest.skip(str(error))
    cells[shape] = "failed"
    if error is not None:
        raise error
    container = fleet.containers[shape]
    if shape == "stopped":
        check_stopped(fleet, container)
        cells[shape] = {}
        return
    assert shape in fleet.answers, f"{container} is not in the agent's list: {sorted(fleet.listed)}"
    answer = fleet.answers[shape]
    found = differences(fleet.before[shape], answer, fleet.after[shape])
    print(shape, found, answer, fleet.before[shape], fleet.after[shape], sep="\n  ")
    assert {key: value for key, value in found.items() if value > ALLOWED[key]} == {}
    check_shape(fleet, shape, answer)
    if shape == "paused":
        assert container.id not in fleet.listed
    else:
        assert answer["name"] == container.name
    cells[shape] = found


def check_shape(fleet: Fleet, shape: str, answer: dict[str, Any]) -> None:
    """That the comparison was not one of nothing with nothing."""
    if shape == "cpu-limited":
        assert 35 < answer["cpuPercent"] < 60
    if shape == "memory-limited":
        assert answer["memoryLimit"] == 64 << 20
        assert answer["memoryCache"] > 8 << 20
        assert answer["blockWrite"] > 8 << 20 or not (IS_V2 and fleet.engine.counts_block)
    if shape in ("host-network", "no-network"):
        assert answer["networkRx"] == answer["networkTx"] == 0
    if shape in ("two-networks", "shared-network") and "two-networks" in fleet.containers:
        assert answer["networkTx"] > 0
    if shape == "paused":
        assert answer["cpuPercent"] == 0
    if shape == "nested":
        assert answer["memoryRaw"] > 20_000_000 or answer["memoryUsage"] > 0


def check_stopped(fleet: Fleet, container: Container) -> None:
    """Zeros where the runtime keeps the container on disk, else it is not there."""
    status, answer = fleet.agent.get(f"/api/containers/{container.id}/stats")
    assert container.id not in fleet.listed
    if fleet.engine.skips_disk:
        assert status == 404
    else:
        assert status == 200
        assert [answer[key] for key in ("cpuPercent", "memoryUsage", "networkRx", "blockRead")] == [0, 0, 0, 0]
