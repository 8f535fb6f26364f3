"""What answers of the history are made of, and the threads in which they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...basics.event_loop import OneThread
from ...basics.shared_lock import SharedLock
from ...sampling.history_work import Clocks, clocks
from .disk import Disk
from .disk_model import State
from .ring import Ring
from .steps import HostRow, host_row
from .tracks import HOST

S = TypeVar("S")
TRIES = 3
"""A file that turns out to be broken is set aside, and the answer begun anew."""


class Past:
    """Used in the event loop."""

    def __init__(self, ring: Ring, on_disk: Disk | None = None, now: Callable[[], Clocks] = clocks) -> None:
        self.ring = ring
        self.disk = on_disk
        self.now = now
        self._thread = OneThread("cgstatd-history")
        self.disk_turn = SharedLock()
        """Answers that need the disk are made one after the other: each may be a second of work."""

    @property
    def state(self) -> State:
        """What is on disk."""
        return State() if self.disk is None else self.disk.state

    def reached_seconds(self) -> float:
        """How far back the rounds go that there are, in memory or on disk."""
        now, first = self.now(), self.row(self.ring.first)
        memory = 0.0 if first is None else (now.boottime_ns - first.boottime_ns) / 1e9
        return memory if self.disk is None else max(memory, self.disk.figures().seconds)

    async def compute(self, call: Callable[..., S], *arguments: Any) -> S:
        """Have something computed in a thread."""
        return await self._thread.run(call, *arguments)

    def row(self, number: int) -> HostRow | None:
        """A round of the host that the ring has."""
        found = self.ring.host.between(number, number).packed(number, number) if number >= 0 else b""
        return host_row(next(HOST.rows(found)))[0] if found else None
