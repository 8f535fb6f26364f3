"""A host without the memory controller, as Raspberry Pi OS ships: the rest is right, and nothing crashes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from agent import Agent
from docker import Docker

pytestmark = pytest.mark.modes("nomemory")


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    engine = Docker("systemd")
    engine.start()
    yield engine.create("d-plain", command="while :; do :; done")
    engine.stop()


def test_the_other_figures_are_answered(agent: Agent, container: str) -> None:
    answer = agent.one(container)
    assert answer["cpuPercent"] > 0
    assert (answer["memoryUsage"], answer["memoryRaw"], answer["memoryPercent"]) == (0, 0, 0)
    assert container in agent.all()
    assert [event for event, _ in agent.stream()] == ["stat", "done"]
    assert "Traceback" not in agent.journal()


def test_the_log_says_why_and_what_to_do(agent: Agent, container: str) -> None:
    agent.one(container)
    assert "cgroup_enable=memory" in agent.journal()


def test_the_detail_says_it_where_the_value_would_stand(agent: Agent, container: str) -> None:
    status, answer = agent.get(f"/api/containers/{container}/detail")
    assert status == 200
    assert "cgroup_enable=memory" in str(answer["memory"])


def test_the_table_shows_no_figure_as_none(agent: Agent, container: str) -> None:
    shown = subprocess.run(["cgstatd", "stats", "d-plain"], capture_output=True, text=True, check=True)
    assert "-- / --" in shown.stdout, shown.stdout
    assert "cgroup_enable=memory" in shown.stdout + shown.stderr
