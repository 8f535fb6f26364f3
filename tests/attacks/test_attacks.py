"""Each attack, on agents that have to survive them all. `python -m attacks.play` prints what came of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from attacks.arena import Arena, Attack, Stage
from attacks.kernel import kernel_arena
from attacks.play import README, STAGES, play, words
from certificates import require_openssl

_ALL = [(stage, attack) for stage in STAGES for attack in stage.attacks]


def _in_turn(number: int, stage: Stage) -> pytest.MarkDecorator:
    """The attacks of a stage are played one after the other; those on this kernel's cgroups with the tests of these."""
    return pytest.mark.xdist_group("kernel" if stage.open is kernel_arena else f"stage {number}")


@pytest.fixture(scope="module")
def arena_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Stage], Arena]]:
    """The agent that a stage's attacks are played on, started for the first of them."""
    opened: dict[int, Arena] = {}
    with ExitStack() as stack:

        def found(stage: Stage) -> Arena:
            if id(stage) not in opened:
                opened[id(stage)] = stack.enter_context(stage.open(tmp_path_factory.mktemp("arena")))
            return opened[id(stage)]

        yield found


@pytest.mark.parametrize(
    ("stage", "attack"),
    [
        pytest.param(stage, attack, id=attack.__name__, marks=_in_turn(number, stage))
        for number, stage in enumerate(STAGES)
        for attack in stage.attacks
    ],
)
def test_the_agent_survives(arena_of: Callable[[Stage], Arena], stage: Stage, attack: Attack) -> None:
    if stage.attacks[0].__module__.endswith("encrypted"):
        require_openssl()
    play(arena_of(stage), attack)


def test_the_table_that_is_kept_has_every_attack_with_its_outcome() -> None:
    rows = [line.split(" | ") for line in README.read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    assert [cells[0].removeprefix("| ") for cells in rows] == [words(a).partition(":")[0] for _, a in _ALL]
    for cells in rows:
        assert re.fullmatch(r"\d+ / \d+ / \d+", cells[3]) and cells[4].startswith("yes: "), cells
