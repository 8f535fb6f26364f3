"""The attacks on rules and credentials, over TLS, and on the running kernel."""

from __future__ import annotations

from attacks.arena import Attack, Stage
from attacks.cases import REST, Arenas, cases
from certificates import require_openssl


@cases(*REST)
def test_the_agent_survives(arenas: Arenas, stage: Stage, attack: Attack) -> None:
    if stage.attacks[0].__module__.endswith("encrypted"):
        require_openssl()
    arenas.play(stage, attack)
