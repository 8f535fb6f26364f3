"""The attacks as test cases: those of a stage are played one after the other on the agent that it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from attacks.arena import Arena, Stage
from attacks.kernel import kernel_arena
from attacks.play import STAGES

NETWORK = STAGES[:1]


def _of(*modules: str) -> tuple[Stage, ...]:
    return tuple(stage for stage in STAGES[1:] if stage.attacks[0].__module__.split(".")[-1] in modules)


FILES, HOARDS = _of("bulk", "planted"), _of("hoards")
REST = tuple(stage for stage in STAGES[1:] if stage not in (*FILES, *HOARDS))


def cases(*stages: Stage) -> pytest.MarkDecorator:
    """Parameters ``stage`` and ``attack``; what makes cgroups of this very kernel is marked ``host``."""
    return pytest.mark.parametrize(
        ("stage", "attack"),
        [
            pytest.param(stage, attack, id=attack.__name__, marks=[pytest.mark.host] * (stage.open is kernel_arena))
            for stage in stages
            for attack in stage.attacks
        ],
    )


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
