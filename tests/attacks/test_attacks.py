"""Each attack over the network, on an agent that has to survive them all. `attacks.play` prints what came of each.

Those of clients that do not read are in test_attacks_by_hanging_on.py, those through files in
test_attacks_by_files.py, test_attacks_by_comings.py and test_attacks_by_hoards.py, the others in
test_attacks_on_the_kernel.py: several files, for several workers.
"""

from __future__ import annotations

import re

from attacks.arena import Attack, Stage
from attacks.cases import COMING, FILES, HANGING, HOARDS, NETWORK, REST, Arenas, cases
from attacks.play import README, STAGES, words


@cases(*NETWORK)
def test_the_agent_survives(arenas: Arenas, stage: Stage, attack: Attack) -> None:
    arenas.play(stage, attack)


def test_every_stage_is_played() -> None:
    assert sorted(map(id, (*NETWORK, *HANGING, *FILES, *COMING, *HOARDS, *REST))) == sorted(map(id, STAGES))


def test_the_table_that_is_kept_has_every_attack_with_its_outcome() -> None:
    rows = [line.split(" | ") for line in README.read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    every = [attack for stage in STAGES for attack in stage.attacks]
    assert [cells[0].removeprefix("| ") for cells in rows] == [words(attack).partition(":")[0] for attack in every]
    for cells in rows:
        assert re.fullmatch(r"\d+ / \d+ / \d+", cells[3]) and cells[4].startswith("yes: "), cells
