"""The common grid of all intervals: at an instant that several of them hit, one pass is made."""

from __future__ import annotations

import math

GRID_SECONDS = 0.25
"""The distance of the grid's points. Not less: CPU figures over shorter windows are the scheduler's noise (the quota's
period alone is 0.1 s), and each point costs the host a pass."""
MINIMUM_SECONDS = GRID_SECONDS
MAXIMUM_SECONDS = 60.0


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
