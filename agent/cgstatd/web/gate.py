"""Which connections there are, and which of them has to go when there is no room for another.

A connection that waits (it has not asked yet, or its last answer is over) makes room for a newcomer: of the newcomer's
own address where that has all that one may have, else of the address that has the most. Those that never asked go
first, and of them the one that has waited longest. So connections that are opened and left alone keep others out for
no longer than :data:`MOMENT_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from .limits import Limits

MOMENT_SECONDS = 0.5
"""A connection has this long to ask before it can be cut for another: clients connect first and ask then."""


class Seat:
    """The place of one connection. ``cut`` is called when another takes it; :meth:`leave` gives it back, once."""

    __slots__ = ("_asked", "_gate", "_since", "cut", "key")

    def __init__(self, gate: Gate, key: str) -> None:
        self._gate = gate
        self.key = key
        self.cut: Callable[[], object] = lambda: None
        self._asked = False
        self._since: float | None = gate.clock()

    def asks(self) -> None:
        """A whole request has arrived: it keeps its place until the answer is over."""
        self._asked, self._since = True, None

    def waits(self) -> None:
        """Its answers are over."""
        self._since = self._gate.clock()

    def waiting(self, before: float) -> tuple[bool, float] | None:
        """What orders those that can be cut: never asked first, then by how long; None: it can not."""
        return None if self._since is None or self._since > before else (self._asked, self._since)

    def leave(self) -> None:
        """The connection is over, or never came to be."""
        self._gate.forget(self)


class Gate:
    """Counts connections by address, from accept to close, handshakes included."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.clock = clock
        self.open = 0
        self.refusing = 0
        self._by_address: dict[str, dict[Seat, None]] = {}

    def admit(self, key: str) -> Seat | None:
        """A place for a connection from an address; None: there is none."""
        own = self._by_address.get(key, {})
        if len(own) >= self.limits.connections_per_address:
            if not self._make_room(own):
                return None
        elif self.open >= self.limits.connections:
            heaviest = max(self._by_address.values(), key=len, default={})
            if len(heaviest) <= len(own) or not self._make_room(heaviest):
                return None
        seat = Seat(self, key)
        self._by_address.setdefault(key, {})[seat] = None
        self.open += 1
        return seat

    def _make_room(self, seats: Iterable[Seat]) -> bool:
        before = self.clock() - MOMENT_SECONDS
        found = [(order, seat) for seat in seats if (order := seat.waiting(before)) is not None]
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
