"""Each attack of attacks.py, on one agent that has to survive them all. `python -m attacks.play` prints the table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.arena import Arena, arena
from attacks.attacks import ATTACKS, TLS_ATTACKS
from attacks.play import play
from certificates import require_openssl


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arena(tmp_path_factory.mktemp("arena")) as found:
        yield found


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_agent_survives(attacked: Arena, attack: object) -> None:
    assert callable(attack)
    play(attacked, str(attack.__doc__), lambda: attack(attacked))


@pytest.mark.parametrize("attack", TLS_ATTACKS, ids=lambda attack: attack.__name__)
def test_the_agent_refuses(attacked: Arena, attack: object, tmp_path: Path) -> None:
    require_openssl()
    assert callable(attack)
    play(attacked, str(attack.__doc__), lambda: attack(attacked, tmp_path))
