"""How often something is looked for that is not there yet: at each look at first, later less and less often."""

from __future__ import annotations

SOON = 8
"""So many looks one after the other."""
_FIRST_NS = 500_000_000


class Tries:
    """Used in the sampling thread. Times are CLOCK_MONOTONIC in nanoseconds."""

    __slots__ = ("_longest_ns", "_made", "_wait_ns", "due_ns")

    def __init__(self, longest_ns: int) -> None:
        """``longest_ns``: the longest distance of two tries."""
        self._longest_ns = longest_ns
        self.found()

    def found(self) -> None:
        """Begin anew: when it is gone again, it is looked for at once."""
        self._made = 0
        self._wait_ns = _FIRST_NS
        self.due_ns = 0
        """Not before."""

    def failed(self, now_ns: int) -> None:
        """It was not there."""
        self._made += 1
        if self._made >= SOON:
            self.due_ns = now_ns + self._wait_ns
            self._wait_ns = min(2 * self._wait_ns, self._longest_ns)
