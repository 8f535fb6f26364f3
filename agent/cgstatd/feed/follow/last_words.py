"""The last figures of containers that ended, kept for some minutes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ...host.identity import Identity
from ...host.runtimes.budget import weigh
from ...host.runtimes.labels import WORKLOAD

if TYPE_CHECKING:
    from ...outputs.follow_types import FollowExit
    from ...sampling.round import Ended

KEPT_SECONDS = 600.0
KEPT = 500
KEPT_BYTES = 2 << 20
"""Bytes of identities and figures together: one has some 3 kB."""


class _Kept(NamedTuple):
    when: float
    identity: Identity
    event: FollowExit
    size: int


def without_labels(identity: Identity) -> Identity:
    """The same container with those labels alone that name its project and its workload."""
    metadata = identity.metadata
    if metadata is None or not metadata.labels:
        return identity
    labels = {key: metadata.labels[key] for key in WORKLOAD if key in metadata.labels}
    return identity._replace(metadata=replace(metadata, labels=labels, labels_left_out=labels != metadata.labels))


class LastWords:
    """By id; the latest end of each. Bounded in time, number and bytes; the owner with the most gives way first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes: dict[int, int] = {}
        """By owner."""

    def add(self, event: FollowExit, ended: Ended) -> None:
        """Remember an end."""
        self._drop(event.id)
        identity = without_labels(ended.identity)
        made = _Kept(self._clock(), identity, event, weigh(identity) + weigh(event))
        self._kept[event.id] = made
        self._bytes[identity.owner_uid] = self._bytes.get(identity.owner_uid, 0) + made.size
        while len(self._kept) > KEPT or (sum(self._bytes.values()) > KEPT_BYTES and len(self._kept) > 1):
            most = max(self._bytes, key=lambda uid: self._bytes[uid])
            self._drop(next(key for key, each in self._kept.items() if each.identity.owner_uid == most))

    def _drop(self, container_id: str) -> None:
        gone = self._kept.pop(container_id, None)
        if gone is not None:
            owner = gone.identity.owner_uid
            self._bytes[owner] -= gone.size
            if not self._bytes[owner]:
                del self._bytes[owner]

    def all(self) -> list[tuple[Identity, FollowExit]]:
        """The ends that are not too long ago, the oldest first."""
        oldest = self._clock() - KEPT_SECONDS
        while self._kept and (first := next(iter(self._kept.items())))[1].when < oldest:
            self._drop(first[0])
        return [(each.identity, each.event) for each in self._kept.values()]

    def get(self, container_id: str) -> FollowExit | None:
        """The last words of a container by its whole id."""
        return next((event for identity, event in self.all() if identity.id == container_id), None)
