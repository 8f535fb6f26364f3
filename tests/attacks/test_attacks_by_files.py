"""Each attack through files, on agents that have to survive them all."""

from __future__ import annotations

from attacks.arena import Attack, Stage
from attacks.cases import FILES, Arenas, cases


@cases(*FILES)
def test_the_agent_survives(arenas: Arenas, stage: Stage, attack: Attack) -> None:
    arenas.play(stage, attack)
