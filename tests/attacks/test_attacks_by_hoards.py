"""Each attack through what the agent keeps of others' files, on an agent that has to survive them all."""

from __future__ import annotations

from attacks.arena import Attack, Stage
from attacks.cases import HOARDS, Arenas, cases


@cases(*HOARDS)
def test_the_agent_survives(arenas: Arenas, stage: Stage, attack: Attack) -> None:
    arenas.play(stage, attack)
