"""How soon after a cgroup came or went the containers are listed: with clients and without, at most as often."""

from __future__ import annotations

from collections.abc import Callable

LEAST_SECONDS = 0.05
"""Between two listings, and between two looks at records that are being written: those of an end stay for 0.3 s."""
MOST_SECONDS = 0.4
"""Between two listings where they cost so much that max_cpu asks for it, or where cgroups come and go that are no
container's: each listing in vain doubles the distance."""
FAILED_SECONDS = 1.0
"""The same after one that failed."""
LONGEST_SECONDS = 10.0
"""After so long without a listing it is calm. Where inotify tells nothing, the containers are listed that often."""
_DOUBLINGS = 8


class ListingPace:
    """Used in the event loop. Times are CLOCK_MONOTONIC in seconds."""

    def __init__(self, apart: Callable[[float], float]) -> None:
        """``apart``: how far apart looks of so many seconds of CPU time have to be."""
        self._apart = apart
        self.listed = float("-inf")
        self.least = LEAST_SECONDS
        """The distance of the next listing."""
        self._vain = 0
        """Listings in a row that found no container come, gone or changed."""
        self._calm = True

    @property
    def due(self) -> float:
        """When the next one may be made."""
        return self.listed + self.least

    def again(self, tries: int) -> float:
        """The same where only the first process of a container is looked for, which ``tries`` listings did not find."""
        return self.listed + min(self.least * 2.0 ** min(tries, _DOUBLINGS), LONGEST_SECONDS)

    def begun(self, now: float) -> None:
        """One is made now."""
        self._calm, self.listed = now - self.listed > LONGEST_SECONDS, now

    def done(self, cost_seconds: float, *, news: bool, changed: bool) -> None:
        """It is over. ``news``: there was a reason for it; ``changed``: it found something."""
        if news:
            self._vain = 0 if self._calm or changed else self._vain + 1
        least = max(LEAST_SECONDS, self._apart(cost_seconds))
        self.least = min(least * 2.0 ** min(self._vain, _DOUBLINGS), MOST_SECONDS)

    def failed(self) -> None:
        """It failed."""
        self.least = FAILED_SECONDS
