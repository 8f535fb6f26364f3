"""The attacks as test cases: those of a stage are played one after the other on the agent that it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from attacks.arena import Arena, Attack, Stage
from attacks.kernel import kernel_arena
from attacks.play import STAGES, play


def _with(*attacks: str) -> tuple[Stage, ...]:
    """The stages whose first attacks have these names."""
    return tuple(stage for stage in STAGES if stage.attacks[0].__name__ in attacks)


NETWORK, HANGING = _with("ten_thousand_wrong", "operations"), _with("sleeping_readers")
FILES = _with("digits", "links")
COMING, HOARDS = _with("last_words"), _with("from_the_future")
REST = tuple(stage for stage in STAGES if stage not in (*NETWORK, *HANGING, *FILES, *COMING, *HOARDS))


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


class Arenas:
    """The agents that the stages' attacks are played on, each started for the first of them."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._opened: dict[int, tuple[Arena, ExitStack]] = {}

    def play(self, stage: Stage, attack: Attack) -> None:
        """One attack. What one that fails leaves behind goes with its agent: the next one finds a new one."""
        try:
            play(self._of(stage), attack)
        except pytest.skip.Exception:
            raise
        except BaseException:
            self._close(id(stage))
            raise

    def _of(self, stage: Stage) -> Arena:
        if id(stage) not in self._opened:
            with ExitStack() as stack:
                made = stack.enter_context(stage.open(self._folder("arena")))
                self._opened[id(stage)] = made, stack.pop_all()
        return self._opened[id(stage)][0]

    def _close(self, stage: int) -> None:
        if stage in self._opened:
            self._opened.pop(stage)[1].close()

    def close(self) -> None:
        """End them all."""
        for each in list(self._opened):
            self._close(each)


@pytest.fixture(scope="module")
def arenas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arenas]:
    """Those of one file."""
    made = Arenas(tmp_path_factory.mktemp)
    yield made
    made.close()
