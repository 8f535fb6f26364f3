"""An agent that does not answer is not a host without containers."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rich", reason="no rich: pip install 'cgstatd[top]'")

from cgstatd.outputs.follow_types import FollowHello, FollowRound
from cgstatd.top.model import Model
from cgstatd.top.view import Screen, table_lines


def shown(model: Model) -> str:
    return "\n".join(line.plain for line in table_lines(model, Screen(), 100, 24))


def test_before_it_answers_nothing_is_said_of_containers() -> None:
    assert "asking the agent" in shown(Model()) and "no container is running" not in shown(Model())


def test_an_agent_that_does_not_answer_is_said_to() -> None:
    model = Model()
    model.lost("Connection refused")
    assert "no agent: Connection refused" in shown(model)
    assert "the agent does not answer" in shown(model) and "no container is running" not in shown(model)


def test_after_the_first_round_an_empty_host_is_one_and_a_lost_agent_is_gone() -> None:
    model = Model()
    model.take(FollowHello(env=1, interval=1.0, version="0", resumed=False))
    assert "reading" in shown(model)
    numbers: dict[str, Any] = {"round": 1, "containers": 0, "seconds": 0.0, "overruns": 0, "timestamp": 1}
    model.take(FollowRound(interval=1.0, effective_interval=1.0, **numbers))
    assert "no container is running" in shown(model)
    model.lost("the stream ended")
    assert "agent gone: the stream ended" in shown(model)
