"""What an answer costs is told from what the agent does anyway in the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attacks.arena import Arena


class _Agent(Arena):
    """Answers at once; its CPU time goes on as it is told, on a machine that is so many times as slow."""

    def __init__(self, *cpu: float, slow: float = 1.0) -> None:
        super().__init__(0, 0, "", "", Path(), "")
        self._cpu, self._slow = iter(cpu), slow

    def ask(self, *_: Any, **__: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b""

    def cpu_seconds(self) -> float:
        return next(self._cpu)

    def slowness_now(self) -> float:
        return self._slow


def test_what_the_agent_does_without_being_asked_is_no_cost_of_the_answer() -> None:
    assert _Agent(10.0, 11.9).ask_cheaply("/")[0] == 200
    assert _Agent(10.0, 13.2, 13.2, 14.5).ask_cheaply("/")[0] == 200  # 3.2 s, and 1.3 s in as much time afterwards
    for cpu in ((10.0, 13.2, 13.2, 13.4), (10.0, 12.0, 12.0, 12.0)):
        with pytest.raises(AssertionError, match="s of CPU"):
            _Agent(*cpu).ask_cheaply("/")


def test_on_a_machine_that_is_slower_just_then_an_answer_may_cost_as_much_more() -> None:
    assert _Agent(10.0, 13.2, 13.2, 13.4, slow=1.6).ask_cheaply("/")[0] == 200
    for slow in (1.0, 1.4):
        with pytest.raises(AssertionError, match="x as slow"):
            _Agent(10.0, 13.2, 13.2, 13.4, slow=slow).ask_cheaply("/")
