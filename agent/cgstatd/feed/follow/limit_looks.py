"""When the limits of a container are read again: they are set when it is made, and rarely changed."""

from __future__ import annotations

from cgroupfs import Max

from ...sampling.container import Container
from ...sampling.round import OwnLimits
from .followed_container import Followed

LIMITS_NS = 15_000_000_000
"""They are read again after this time."""
_AT_LEAST = 8
"""Of so many in each round, and of as many more as are due twice over since the round before: not of all at once, which
would keep other work waiting."""


class LimitLooks:
    """Used in the sampling thread."""

    def __init__(self) -> None:
        self._left = 0
        """Of how many containers they may be read again in this round."""

    def begin(self, containers: int, since_ns: int) -> None:
        """A round of so many containers begins, so long after the one before."""
        self._left = _AT_LEAST + 2 * containers * since_ns // LIMITS_NS

    def refresh(self, container: Container, known: Followed, now: int) -> None:
        """Read them if they are due. ``now``: monotonic, in nanoseconds. Raises CgroupGone, ReadingFailed, OSError."""
        old = known.limits_ns is not None and now - known.limits_ns > LIMITS_NS
        if known.limits_ns is not None and not (old and self._left > 0):
            return
        self._left -= old
        known.limits_ns = now
        with container.reading() as cgroup:
            limits = cgroup.limits()
        pids = limits.pids_max
        known.limits = OwnLimits(limits.cpu_cores, None if isinstance(pids, Max) else pids)
