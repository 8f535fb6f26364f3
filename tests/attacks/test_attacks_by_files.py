"""Each attack through files, on agents that have to survive them all."""

from __future__ import annotations

from collections.abc import Callable

from attacks.arena import Arena, Attack, Stage
from attacks.cases import FILES, cases
from attacks.play import play


@cases(*FILES)
def test_the_agent_survives(arena_of: Callable[[Stage], Arena], stage: Stage, attack: Attack) -> None:
    play(arena_of(stage), attack)
