"""The event ``pressure`` of follow: which containers wait, for what, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec


class PressureFacts(NamedTuple):
    """Whether the host's pressure is watched."""

    watched: list[str]
    """Resources."""
    absent: Mapping[str, str]
    """Resource -> why it is not watched."""
    looks: int
    """How often the agent looked for what waits."""


NOT_WATCHED = PressureFacts([], {}, 0)


class PressureShare(msgspec.Struct, frozen=True, kw_only=True):
    """What one neighbour has of the resource."""

    id: str | None
    """null: all processes outside of containers together."""
    name: str | None
    amount: float
    """In the unit of the wait."""


class PressureWait(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One container that waits for one resource."""

    id: str
    name: str
    runtime: str
    resource: str
    """``cpu``, ``memory`` or ``io``."""
    stalled_percent: float | None
    """Of the time that at least one of its tasks waited; null: this kernel does not say (cgroup v1)."""
    cause: str
    """``own_limit``, ``ancestor_limit``, ``itself`` (it wants more than there is), ``neighbours``, ``unknown``."""
    limit: str | None
    """The kernel's file of the limit that is the cause; null: none is."""
    limit_value: float | None
    """Cores, bytes; of ``io.max`` bytes or operations a second."""
    cgroup: str | None
    """The cgroup whose limit it is."""
    throttled_percent: float | None
    """Of the quota's periods that it was throttled in."""
    refaults_per_second: float | None
    """Pages that were read again after they had been dropped for want of memory."""
    device: str | None
    """The disk, as in /dev."""
    unit: str
    """Of ``own`` and of the neighbours' amounts: ``cores``, ``bytes`` or ``bytes per second``."""
    own: float | None
    """What the container itself has of the resource."""
    neighbours: list[PressureShare]
    """Those that have the most of it, three at most."""
    text: str
    """The same as one sentence."""


class FollowPressure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``pressure``: programs of the host had to wait, and these containers were among them."""

    resources: list[str]
    """Of the triggers that fired."""
    seconds: float
    """The time that the figures are over."""
    valid_seconds: float
    """What it says counts for so long, unless another event follows: no event says that it is over."""
    waits: list[PressureWait]
    """Twenty at most, the longest first."""
    more: int
    """How many more wait."""
    timestamp: int
