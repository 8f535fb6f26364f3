"""One notification a minute of each type and workload: a container that ends each second is told once a minute.

The first goes out at once. Of those that come within the next minute the latest goes out at its end, with how many it
stands for.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import msgspec

from ..outputs.notification_json import Notification

APART_SECONDS = 60.0
KEPT = 1000
"""Types and workloads of the last minute; beyond it the oldest is told early."""


class _Told(NamedTuple):
    until: float
    latest: Notification | None
    """The latest that waits, with how many it stands for."""


class Coalescing:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        """The one whose minute is over first comes first."""

    def take(self, found: Notification, now: float) -> list[Notification]:
        """What is to be told now that this happened."""
        key = found.type, found.workload or f"{found.runtime}:{found.id}@{found.owner_uid}"
        known = self._told.get(key)
        if known is not None:
            count = found.count + (known.latest.count if known.latest else 0)
            self._told[key] = _Told(known.until, msgspec.structs.replace(found, count=count))
            return []
        self._told[key] = _Told(now + APART_SECONDS, None)
        out = [found]
        while len(self._told) > KEPT:
            _, oldest = self._told.popitem(last=False)
            if oldest.latest is not None:
                out.append(oldest.latest)
        return out

    def due(self, now: float) -> list[Notification]:
        """Those whose minute is over."""
        out = []
        while self._told and (first := next(iter(self._told.items())))[1].until <= now:
            key, known = first
            del self._told[key]
            if known.latest is not None:
                out.append(known.latest)
                self._told[key] = _Told(now + APART_SECONDS, None)
        return out

    @property
    def next_due(self) -> float | None:
        """When the next minute is over; None: none is under way."""
        return next(iter(self._told.values())).until if self._told else None
