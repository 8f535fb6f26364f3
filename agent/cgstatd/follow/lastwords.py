"""The last figures of containers that ended, kept for some minutes."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from ..sample import Identity

if TYPE_CHECKING:
    from ..outputs.follow_types import FollowExit
    from .round import Ended

KEPT_SECONDS = 600.0
KEPT = 500


class LastWords:
    """By id; the latest end of each. Bounded in time and number."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, Identity, FollowExit]] = OrderedDict()

    def add(self, event: FollowExit, ended: Ended) -> None:
        """Remember an end."""
        self._kept.pop(event.id, None)
        self._kept[event.id] = time.monotonic(), ended.identity, event
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def all(self) -> list[tuple[Identity, FollowExit]]:
        """Those that are not too long ago, the oldest first."""
        oldest = time.monotonic() - KEPT_SECONDS
        while self._kept and next(iter(self._kept.values()))[0] < oldest:
            self._kept.popitem(last=False)
        return [(identity, event) for _, identity, event in self._kept.values()]

    def get(self, container_id: str) -> FollowExit | None:
        """The last words of a container by its whole id."""
        return next((event for identity, event in self.all() if identity.id == container_id), None)
