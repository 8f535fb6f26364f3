"""Each attack through what the agent keeps of others' files, on an agent that has to survive them all."""

from __future__ import annotations

from collections.abc import Callable

from attacks.arena import Arena, Attack, Stage
from attacks.cases import HOARDS, cases
from attacks.play import play


@cases(*HOARDS)
def test_the_agent_survives(arena_of: Callable[[Stage], Arena], stage: Stage, attack: Attack) -> None:
    play(arena_of(stage), attack)
