"""One look at a time, and what is open is let go of once, by who is last."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from cgstatd.feed.follow import look_turns
from cgstatd.feed.follow.look_turns import LookTurns


def test_a_look_that_begins_as_it_is_closed_lets_go_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop closes it; the look is the sampling thread's, and what it looks at may not go meanwhile."""
    released: list[threading.Thread] = []
    turns = LookTurns(lambda: released.append(threading.current_thread()))
    closing = threading.Thread(target=turns.close)

    def as_it_begins() -> Callable[[], bool]:
        closing.start()
        closing.join(0.1)  # it waits for the look to have begun, or is done by then
        return lambda: False

    monkeypatch.setattr(look_turns, "left_check", as_it_begins)
    with turns.turn() as changes:
        closing.join()
        assert changes is not None and released == []
    assert released == [threading.current_thread()]
    with turns.turn() as changes:
        assert changes is None


def test_what_is_closed_between_two_looks_is_let_go_of_at_once() -> None:
    released: list[bool] = []
    turns = LookTurns(lambda: released.append(True))
    with turns.turn():
        pass
    turns.close()
    assert released == [True]
