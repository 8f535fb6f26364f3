"""The common grid of all intervals: at an instant that several of them hit, one pass is made."""

from __future__ import annotations

import math
from collections.abc import Collection

from ...outputs.follow_types import MAXIMUM_SECONDS, MINIMUM_SECONDS

GRID_SECONDS = MINIMUM_SECONDS
"""The distance of the grid's points."""


def steps_of(interval_seconds: float) -> int | None:
    """An interval in grid steps, rounded up; None where it is out of bounds (or not a number)."""
    if not MINIMUM_SECONDS <= interval_seconds <= MAXIMUM_SECONDS:
        return None
    return max(1, math.ceil(interval_seconds / GRID_SECONDS - 1e-9))


def stretched(steps: int, least_seconds: float) -> float:
    """The seconds between rounds of an interval where passes have to be that far apart."""
    interval = steps * GRID_SECONDS
    return interval * max(1, math.ceil(least_seconds / interval - 1e-9))


def due(steps: int, after: int, until: int) -> bool:
    """Whether a multiple of ``steps`` is among the grid's points after ``after`` up to ``until``."""
    return until // steps > after // steps


USUAL = frozenset((1, 2, 4, 8, 20, 40, 60, 120, 240))
"""0.25, 0.5, 1, 2, 5, 10, 15, 30 and 60 s: a client always gets these."""
MOST_OTHERS = 8
"""Other intervals at a time: each costs the memory of a round."""


def settled(steps: int, used: Collection[int]) -> int:
    """The interval that a client gets: the one that it wants, or the nearest there is where ``used`` are too many."""
    others = [each for each in used if each not in USUAL]
    if steps in USUAL or steps in others or len(others) < MOST_OTHERS:
        return steps
    return min((*USUAL, *others), key=lambda each: (abs(each - steps), each))
