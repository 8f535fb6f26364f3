"""Each attack with cgroups of this very kernel, on an agent that has to survive them all."""

from __future__ import annotations

import pytest

from attacks.arena import Attack
from attacks.cases import Arenas, cases

pytestmark = pytest.mark.host
PLAYED = ("kernel",)


@cases(*PLAYED)
def test_the_agent_survives(arenas: Arenas, attack: Attack) -> None:
    arenas.play(attack)
