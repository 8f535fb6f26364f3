"""Plays every attack and prints what came of each.

``PYTHONPATH=agent:cgroups:tests python -m attacks.play``
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from attacks.arena import Arena, arena
from attacks.attacks import ATTACKS, TLS_ATTACKS

MAX_GROWTH_MIB = 48.0


@dataclass(frozen=True)
class Played:
    """One line of the table."""

    attack: str
    outcome: str
    before: float
    after: float


def play(a: Arena, name: str, attack: Callable[[], str]) -> Played:
    """One attack; afterwards the agent is there, answers, and has not grown."""
    before = a.memory()
    outcome = attack()
    after = a.memory()
    a.good_client()
    assert after - before < MAX_GROWTH_MIB, f"{name}: {before:.0f} -> {after:.0f} MiB"
    return Played(name, outcome, before, after)


def table(lines: list[Played]) -> str:
    """As Markdown."""
    rows = [f"| {p.attack} | {p.outcome} | {p.before:.1f} | {p.after:.1f} |" for p in lines]
    return "\n".join(["| attack | outcome | MiB before | after |", "|---|---|---|---|", *rows])


def main() -> int:
    """All of them, one after the other."""
    lines = []
    with (
        tempfile.TemporaryDirectory() as folder,
        arena(Path(folder)) as a,
    ):
        for attack in ATTACKS:
            print(f"{attack.__doc__} …", file=sys.stderr)
            lines.append(play(a, str(attack.__doc__), lambda attack=attack: attack(a)))  # type: ignore[misc]
        for tls_attack in TLS_ATTACKS:
            inside = Path(folder) / tls_attack.__name__
            inside.mkdir()
            lines.append(play(a, str(tls_attack.__doc__), lambda t=tls_attack, i=inside: t(a, i)))  # type: ignore[misc]
    print(table(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
