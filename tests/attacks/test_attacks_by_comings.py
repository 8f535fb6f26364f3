"""Each attack through containers that come and go, on an agent that has to survive them all."""

from __future__ import annotations

from attacks.arena import Attack, Stage
from attacks.cases import COMING, Arenas, cases


@cases(*COMING)
def test_the_agent_survives(arenas: Arenas, stage: Stage, attack: Attack) -> None:
    arenas.play(stage, attack)
