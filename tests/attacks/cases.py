"""The attacks as test cases: those of a file are played one after the other on one agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from attacks.arena import Arena, Attack
from attacks.play import STAGES, play


def cases(*names: str) -> pytest.MarkDecorator:
    """The attacks of these stages."""
    attacks = [each for stage in STAGES if stage.name in names for each in stage.attacks]
    return pytest.mark.parametrize("attack", attacks, ids=[each.__name__ for each in attacks])


class Arenas:
    """The agent that attacks are played on, started for the first of them."""

    def __init__(self, start: Callable[[ExitStack], Arena]) -> None:
        self._start = start
        self._stack = ExitStack()
        self._arena: Arena | None = None

    def play(self, attack: Attack) -> None:
        """One attack. What one that fails leaves behind goes with its agent: the next one finds a new one."""
        self._arena = self._arena or self._start(self._stack)
        try:
            play(self._arena, attack)
        except pytest.skip.Exception:
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it."""
        self._arena = None
        self._stack.close()


@pytest.fixture(scope="module")
def arenas(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arenas]:
    """Of one file: the agent of the first stage that its ``PLAYED`` names."""
    [stage] = (each for each in STAGES if each.name == request.module.PLAYED[0])
    made = Arenas(lambda stack: stack.enter_context(stage.open(tmp_path_factory.mktemp("arena"))))
    yield made
    made.close()
