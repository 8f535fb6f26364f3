"""How often a pass may be made, so that sampling takes no more than its share of one core."""

from __future__ import annotations

from collections import deque

LONGEST_SECONDS = 10.0
"""However dear passes are, the figures are never older than this."""
REST_SECONDS = 60.0
"""The same of readings that no client waits for: the history's, and the baseline."""
_KEPT = 5
_ENOUGH = 3
"""Passes. One that opens every file, or meets a busy machine, says little of the next."""


class CpuBudget:
    """What the latest passes cost, and so how far apart they have to be. Not thread-safe."""

    def __init__(self, percent: float, longest_seconds: float = LONGEST_SECONDS) -> None:
        """``percent`` of one core; 0: no bound. ``longest_seconds``: the distance at which the bound ends."""
        self.percent, self._longest = percent, longest_seconds
        self._costs: deque[float] = deque(maxlen=_KEPT)

    def spent(self, cpu_seconds: float) -> None:
        """A pass took so much CPU time."""
        self._costs.append(cpu_seconds)

    @property
    def cost_seconds(self) -> float | None:
        """CPU time of a usual pass; None until there were a few."""
        if len(self._costs) < _ENOUGH:
            return None
        return sorted(self._costs)[len(self._costs) // 2]  # the median, without a megabyte of the statistics module

    @property
    def interval_seconds(self) -> float:
        """The least distance of two passes; 0: any."""
        return self.apart(self.cost_seconds or 0.0)

    def apart(self, cost_seconds: float) -> float:
        """The least distance of things that cost so much each."""
        return min(cost_seconds * 100 / self.percent, self._longest) if self.percent else 0.0

    def stretched(self, interval_seconds: float) -> float | None:
        """To what an interval is stretched; None: it is kept."""
        least = self.interval_seconds
        return round(least, 3) if least > interval_seconds else None
