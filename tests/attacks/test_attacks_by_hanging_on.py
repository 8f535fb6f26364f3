"""Each attack of clients that do not read what they asked for, on an agent that has to survive them all."""

from __future__ import annotations

from attacks.arena import Attack, Stage
from attacks.cases import HANGING, Arenas, cases


@cases(*HANGING)
def test_the_agent_survives(arenas: Arenas, stage: Stage, attack: Attack) -> None:
    arenas.play(stage, attack)
