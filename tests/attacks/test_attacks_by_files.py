"""Each attack through files and the containers that come and go, on an agent that has to survive them all."""

from __future__ import annotations

from attacks.arena import Attack
from attacks.cases import Arenas, cases

PLAYED = ("files", "hoards")


@cases(*PLAYED)
def test_the_agent_survives(arenas: Arenas, attack: Attack) -> None:
    arenas.play(attack)
