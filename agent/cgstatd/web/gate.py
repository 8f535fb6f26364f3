"""Which connections there are, and which of them has to go when there is no room for another.

A connection that waits (it has not asked yet, its last answer is over, or it does not read its answer) makes room for a
newcomer: of the newcomer's own address where that has all that one may have, else of the address that has the most.
Those that never asked go first, then those between two requests, and of them the one that has waited longest. So
connections that are opened and left alone keep others out for no longer than :data:`MOMENT_SECONDS`; and a part of the
places is kept for addresses that have few.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from .limits import Limits, room_for

MOMENT_SECONDS = 0.5
"""A connection has this long to ask before it can be cut for another: clients connect first and ask then."""
STALLED_SECONDS = 1.0
"""The same for one that does not read its answer."""


class Seat:
    """The place of one connection. ``cut`` is called when another takes it; :meth:`leave` gives it back, once."""

    __slots__ = ("_asked", "_gate", "_since", "_stalled", "cut", "key")

    def __init__(self, gate: Gate, key: str) -> None:
        self._gate = gate
        self.key = key
        self.cut: Callable[[], object] = lambda: None
        self._asked = False
        self._since: float | None = gate.clock()
        self._stalled: float | None = None

    def asks(self) -> None:
        """A whole request has arrived: it keeps its place until the answer is over."""
        self._asked, self._since = True, None

    def waits(self) -> None:
        """Its answers are over."""
        self._since = self._gate.clock()

    def stalls(self) -> None:
        """It does not read what it asked for."""
        self._stalled = self._gate.clock()

    def flows(self) -> None:
        """It has read something."""
        self._stalled = None

    def spare(self, now: float) -> tuple[int, float] | None:
        """What orders those that can be cut: never asked, between two requests, not reading; then by how long.

        None: it is being answered, or has had too little time.
        """
        if self._since is not None:
            return None if now - self._since < MOMENT_SECONDS else (1 if self._asked else 0, self._since)
        if self._stalled is not None and now - self._stalled >= STALLED_SECONDS:
            return (2, self._stalled)
        return None

    def leave(self) -> None:
        """The connection is over, or never came to be."""
        self._gate.forget(self)


class Gate:
    """Counts connections by address, from accept to close, handshakes included."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.clock = clock
        self.open = 0
        self.admitted = 0
        """How many there have been."""
        self.refusing = 0
        self._by_address: dict[str, dict[Seat, None]] = {}

    def admit(self, key: str) -> Seat | None:
        """A place for a connection from an address; None: there is none."""
        own = self._by_address.get(key, {})
        if len(own) >= self.limits.connections_per_address:
            if not self._make_room(own):
                return None
        elif self.open >= room_for(self.limits.connections, len(own)):
            heaviest = max(self._by_address.values(), key=len, default={})
            if len(heaviest) <= len(own) or not self._make_room(heaviest):
                return None
        seat = Seat(self, key)
        self._by_address.setdefault(key, {})[seat] = None
        self.open += 1
        self.admitted += 1
        return seat

    def _make_room(self, seats: Iterable[Seat]) -> bool:
        now = self.clock()
        found = [(order, seat) for seat in seats if (order := seat.spare(now)) is not None]
        if not found:
            return False
        _, oldest = min(found, key=lambda each: each[0])
        oldest.leave()
        oldest.cut()
        return True

    def forget(self, seat: Seat) -> None:
        """Count a connection out; nothing where it was already."""
        seats = self._by_address.get(seat.key, {})
        if seat in seats:
            del seats[seat]
            self.open -= 1
            if not seats:
                del self._by_address[seat.key]
