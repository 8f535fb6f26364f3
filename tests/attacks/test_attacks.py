"""Each attack of tools/attacks once, and small, on agents that have to survive them all: a smoke of the battles.

`make nightly` plays them at length. What they have to hold is said by the rooms' own tests, in process: who may ask,
what a client may take, what is believed of a file. Two more files, for other workers: test_attacks_by_files.py and
test_attacks_on_the_kernel.py.
"""

from __future__ import annotations

import re

from attacks import bounds, play, siege
from attacks.arena import Attack
from attacks.cases import Arenas, cases

PLAYED = ("network", "hanging on")


@cases(*PLAYED)
def test_the_agent_survives(arenas: Arenas, attack: Attack) -> None:
    arenas.play(attack)


EVERY = [attack for stage in play.STAGES for attack in stage.attacks]


def test_the_table_that_is_kept_has_every_attack_with_its_outcome() -> None:
    kept = play.README.read_text("utf-8").partition("| attack | what was tried")[2]
    rows = [line.split(" | ") for line in kept.splitlines() if line.startswith("| ")]
    assert [cells[0].removeprefix("| ") for cells in rows] == [play.words(each).partition(":")[0] for each in EVERY]
    for cells in rows:
        assert re.fullmatch(r"\d+ / \d+ / \d+", cells[3]) and cells[4].startswith("yes: "), cells


def test_the_bounds_of_the_battles_are_those_of_the_unit() -> None:
    assert bounds.of_the_unit("MemoryMax") == 256 << 20
    assert bounds.of_the_unit("CPUWeight", bounds.USUAL_WEIGHT) == bounds.USUAL_WEIGHT, "a smaller one blinds it"


def test_every_attack_is_in_the_siege_or_left_out_with_a_reason() -> None:
    those, left = siege.attackers()
    assert sorted([*(each.name for each in those), *(each.partition(": ")[0] for each in left)]) == sorted(
        each.__name__ for each in EVERY
    )
