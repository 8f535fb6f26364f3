"""Which connections there are, and which of them has to go when there is no room for another.

A connection that waits makes room for a newcomer: it has not asked yet, its last answer is over, or it does not read
its answer. It is one of the newcomer's own address if that has all the places that an address may have, else one of an
address that has more (places.py), else any that has never asked. Those that never asked go first, then those between
two requests; of these the one that has waited longest. So connections that are opened and left alone, from however many
addresses, keep others out for no longer than :data:`MOMENT_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from .account import Account
from .limits import Limits
from .places import FEW, Places

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

    @property
    def has_asked(self) -> bool:
        """Whether a whole request has ever arrived."""
        return self._asked

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
        """What orders the connections that can be cut: never asked, between two requests, not reading; then by how
        long.

        None: it is being answered, or has had too little time.
        """
        if self._since is not None:
            return None if now - self._since < MOMENT_SECONDS else (1 if self._asked else 0, self._since)
        if self._stalled is not None and now - self._stalled >= STALLED_SECONDS:
            return (2, self._stalled)
        return None

    def leave(self) -> None:
        """Give the place back: the connection is over, or never came to be."""
        self._gate.forget(self)


class Gate:
    """Counts connections by address, from accept to close, handshakes included."""

    def __init__(
        self, limits: Limits, clock: Callable[[], float] = time.monotonic, account: Account | None = None
    ) -> None:
        """``account``: the one of all listeners."""
        self.limits = limits
        self.account = account or Account()
        self.clock = clock
        self.admitted = 0
        """How many connections there have been."""
        self.refusing = 0
        self._seats: Places[Seat] = Places(self._spare)

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._seats)

    def admit(self, key: str) -> Seat | None:
        """A place for a connection from an address; None: there is none."""
        seats = self._seats
        if seats.count(key) >= self.limits.connections_per_address:
            if not seats.cut_one(key):
                return None
        elif not seats.room(key, self.limits.connections) and not (
            seats.count(key) < FEW and self._cut_one_left_alone()
        ):
            return None
        seat = Seat(self, key)
        seats.take(key, seat)
        self.admitted += 1
        return seat

    def _spare(self, seats: Iterable[Seat]) -> Seat | None:
        now = self.clock()
        found = [(order, seat) for seat in seats if (order := seat.spare(now)) is not None]
        return min(found, key=lambda each: each[0])[1] if found else None

    def _cut_one_left_alone(self) -> bool:
        """Whoever has it; whether there is one."""
        found = self._spare(self._seats)
        if found is None or found.has_asked:
            return False
        self._seats.cut(found.key, found)
        return True

    def forget(self, seat: Seat) -> None:
        """Count a connection out; nothing where it was already."""
        self._seats.leave(seat.key, seat)
