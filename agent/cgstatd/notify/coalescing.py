"""One notification a minute of each type and workload: a container that ends each second is told once a minute.

The first goes out at once. Of those that come within the next minute the latest goes out at its end, with how many it
stands for. An owner has a share of each minute: what is beyond it is in one summary at the minute's end.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from ..basics.fullest_owner import oldest_of_fullest
from ..outputs.notification_json import Notification, summary

APART_SECONDS = 60.0
KEPT = 1000
"""Types and workloads of the last minute; beyond it the owner with the most is told its oldest early."""
SHARE = 100
"""Notifications that an owner has in a minute."""


class _Told(NamedTuple):
    until: float
    owner_uid: int
    latest: Notification | None
    """The latest that waits, with how many it stands for."""


@dataclass(slots=True)
class _Minute:
    """One of an owner's."""

    until: float
    told: int = 0
    beyond: Counter[str] = field(default_factory=Counter)
    """By type, what is beyond its share."""
    latest_ms: int = 0
    """When the latest of those was, since the epoch."""


class Coalescing:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        """The one whose minute is over first comes first."""
        self._minutes: OrderedDict[int, _Minute] = OrderedDict()
        """By owner, in the same order."""

    def take(self, found: Notification, now: float) -> list[Notification]:
        """What is to be told now that this happened."""
        key = found.type, found.workload or f"{found.runtime}:{found.id}@{found.owner_uid}"
        known = self._told.get(key)
        if known is not None:
            count = found.count + (known.latest.count if known.latest else 0)
            latest = msgspec.structs.replace(found, count=count)
            self._told[key] = known._replace(latest=latest)
            return []
        self._told[key] = _Told(now + APART_SECONDS, found.owner_uid, None)
        out = self._within_share(found, now)
        if len(self._told) > KEPT:
            early = self._drop()
            out += self._within_share(early, now) if early is not None else []
        return out

    def _drop(self) -> Notification | None:
        """The oldest of the owner with the most."""
        return self._told.pop(oldest_of_fullest(self._told)).latest

    def _within_share(self, found: Notification, now: float) -> list[Notification]:
        """It, or nothing: then the owner's summary has it."""
        minute = self._minutes.get(found.owner_uid)
        if minute is None:
            minute = self._minutes[found.owner_uid] = _Minute(now + APART_SECONDS)
        if minute.told < SHARE:
            minute.told += 1
            return [found]
        minute.beyond[found.type] += found.count
        minute.latest_ms = max(minute.latest_ms, found.timestamp)
        return []

    def due(self, now: float) -> list[Notification]:
        """Those whose minute is over."""
        out = []
        while self._minutes and (owner := next(iter(self._minutes.items())))[1].until <= now:
            uid, minute = owner
            del self._minutes[uid]
            if minute.beyond:
                out.append(summary(uid, minute.beyond, minute.latest_ms))
        while self._told and (first := next(iter(self._told.items())))[1].until <= now:
            key, known = first
            del self._told[key]
            if known.latest is not None:
                out += self._within_share(known.latest, now)
                self._told[key] = _Told(now + APART_SECONDS, known.owner_uid, None)
        return out

    def waiting(self) -> list[Notification]:
        """Those that wait for the end of a minute, as they would be told now."""
        latest = [each.latest for each in self._told.values() if each.latest is not None]
        beyond = [(uid, each) for uid, each in self._minutes.items() if each.beyond]
        return latest + [summary(uid, each.beyond, each.latest_ms) for uid, each in beyond]

    @property
    def next_due(self) -> float | None:
        """When the next minute is over; None: none is under way."""
        told, minute = next(iter(self._told.values()), None), next(iter(self._minutes.values()), None)
        return min((each.until for each in (told, minute) if each is not None), default=None)
