"""How long the agent waits before it calls again."""

from __future__ import annotations

import pytest

from cgstatd.basics.timing import STEADY_SECONDS, Backoff


def test_twice_as_long_each_time_and_a_minute_at_most() -> None:
    backoff = Backoff(random=lambda: 0.5)
    assert [backoff.seconds() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 0.75), (1.0, 1.25)])
def test_a_quarter_more_or_less(random: float, seconds: float) -> None:
    assert Backoff(random=lambda: random).seconds() == seconds


def test_it_begins_anew_after_a_connection_that_held() -> None:
    backoff = Backoff(random=lambda: 0.5)
    for _ in range(3):
        backoff.seconds()
    backoff.held(STEADY_SECONDS - 1)
    assert backoff.seconds() == 8
    backoff.held(STEADY_SECONDS)
    assert backoff.seconds() == 1


def test_after_a_refusal_there_is_no_hurry() -> None:
    backoff = Backoff(random=lambda: 0.5)
    backoff.refused()
    assert backoff.seconds() == 60


@pytest.mark.parametrize(("asked", "seconds"), [(30.0, 30.0), (1e9, 300.0), (-5.0, 1.0), (0.5, 1.0)])
def test_the_server_may_want_it_later_but_not_never(asked: float, seconds: float) -> None:
    assert Backoff(random=lambda: 0.5).seconds(asked) == seconds
