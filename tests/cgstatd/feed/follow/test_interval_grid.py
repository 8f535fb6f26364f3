"""The common grid of intervals."""

from __future__ import annotations

import math

import pytest

from cgstatd.feed.follow.interval_grid import MOST_OTHERS, USUAL, due, settled, steps_of


@pytest.mark.parametrize(
    ("interval", "steps"),
    [(0.25, 1), (0.26, 2), (0.5, 2), (1.0, 4), (1, 4), (1.1, 5), (60, 240), (0.2499, None), (60.01, None),
     (0, None), (-1, None), (math.inf, None), (math.nan, None)],
)  # fmt: skip
def test_an_interval_is_rounded_up_and_bounded(interval: float, steps: int | None) -> None:
    assert steps_of(interval) == steps


def test_points_are_shared_and_those_that_were_missed_make_one_round() -> None:
    hits = {steps: [p for p in range(1, 13) if due(steps, p - 1, p)] for steps in (1, 4, 6)}
    assert hits == {1: list(range(1, 13)), 4: [4, 8, 12], 6: [6, 12]}
    assert due(4, 3, 9) and not due(4, 4, 7)


def test_beyond_a_number_of_unusual_intervals_a_client_gets_the_nearest_there_is() -> None:
    used: set[int] = set()
    for steps in range(1, 241):
        used.add(settled(steps, used))
    assert len(used) == len(USUAL) + MOST_OTHERS
    assert used >= USUAL and {3, 5, 6, 7, 9, 10, 11, 12} == used - USUAL
    assert settled(13, used) == 12 and settled(200, used) == 240 and settled(7, used) == 7
    assert all(settled(steps, used) == steps for steps in USUAL)
