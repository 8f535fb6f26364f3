"""The attacks on the running kernel, and by a server that the agent calls."""

from __future__ import annotations

from attacks.arena import Attack, Stage
from attacks.cases import REST, Arenas, cases


@cases(*REST)
def test_the_agent_survives(arenas: Arenas, stage: Stage, attack: Attack) -> None:
    arenas.play(stage, attack)
