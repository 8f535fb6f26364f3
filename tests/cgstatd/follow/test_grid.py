"""The common grid of intervals."""

from __future__ import annotations

import math

import pytest

from cgstatd.follow.grid import due, steps_of


@pytest.mark.parametrize(
    ("interval", "steps"),
    [(0.25, 1), (0.26, 2), (0.5, 2), (1.0, 4), (1, 4), (1.1, 5), (60, 240), (0.2499, None), (60.01, None),
     (0, None), (-1, None), (math.inf, None), (math.nan, None)],
)  # fmt: skip
def test_an_interval_is_rounded_up_and_bounded(interval: float, steps: int | None) -> None:
    assert steps_of(interval) == steps


def test_points_are_shared() -> None:
    hits = {steps: [p for p in range(1, 13) if due(steps, p - 1, p)] for steps in (1, 4, 6)}
    assert hits == {1: list(range(1, 13)), 4: [4, 8, 12], 6: [6, 12]}


def test_points_that_were_missed_make_one_round() -> None:
    assert due(4, 3, 9)
    assert not due(4, 4, 7)
