"""The attacks on rules and credentials, over TLS, and on the running kernel."""

from __future__ import annotations

from collections.abc import Callable

from attacks.arena import Arena, Attack, Stage
from attacks.cases import REST, cases
from attacks.play import play
from certificates import require_openssl


@cases(*REST)
def test_the_agent_survives(arena_of: Callable[[Stage], Arena], stage: Stage, attack: Attack) -> None:
    if stage.attacks[0].__module__.endswith("encrypted"):
        require_openssl()
    play(arena_of(stage), attack)
