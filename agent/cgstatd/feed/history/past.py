"""What there is of the past, in memory and on disk, and the thread that reads and computes for answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from ...basics.event_loop import OneThread
from ...basics.shared_lock import SharedLock
from ...sampling.history_work import Clocks, clocks
from .disk import Disk
from .disk_model import Run, State
from .memory import Memory
from .rows import Fit, Part, Source, Wanted, best_fit
from .spans import Timeline

S = TypeVar("S")
Ts = TypeVarTuple("Ts")
TRIES = 3
"""A file that turns out to be broken is set aside, and the answer begun anew."""


class Past:
    """Used in the event loop."""

    def __init__(self, memory: Memory, on_disk: Disk | None = None, now: Callable[[], Clocks] = clocks) -> None:
        self.memory = memory
        self.disk = on_disk
        self.now = now
        self._thread = OneThread("cgstatd-history")
        self.connection = memory.connect()
        """Used in that thread."""
        self.disk_turn = SharedLock()
        """Answers that need the disk are made one after the other: each may be a second of work."""

    @property
    def state(self) -> State:
        """What is on disk."""
        return State() if self.disk is None else self.disk.state

    def run(self, state: State) -> Run:
        """The one that goes on, as far as its number is known."""
        memory = self.memory
        return state.run._replace(name=memory.name, boot=memory.boot, interval_seconds=memory.interval_seconds, ended=0)

    def timeline(self, state: State, began_ns: int | None, now: Clocks) -> Timeline:
        """``began_ns``: boottime of the first round in memory, where that counts."""
        memory = self.memory
        oldest = state.parts[0].first if state.last >= 0 else -1 if self.disk else state.run.base + memory.first
        return Timeline.of(state, self.run(state), began_ns, now, oldest)

    def reached_seconds(self) -> float:
        """How far back the rounds go that there are, in memory or on disk."""
        now, first = self.now(), self.memory.row(self.memory.first)
        memory = 0.0 if first is None else (now.boottime_ns - first.boottime_nsec) / 1e9
        return memory if self.disk is None else max(memory, self.disk.figures().seconds)

    async def compute(self, call: Callable[[*Ts], S], *arguments: *Ts) -> S:
        """Have something computed in the thread."""
        return await self._thread.run(call, *arguments)

    def read(self, first: int, last: int, wanted: Wanted | None, run: Run) -> Part:
        """What memory has of rounds, by their keys. In the thread."""
        return Source(self.connection, run.base, run.run).read(first, last, wanted)

    async def find(self, wanted: str) -> Fit | None:
        """A container that memory has a part of. Raises Ambiguous."""
        return await self._thread.run(best_fit, self.connection, wanted, self.memory.first)
