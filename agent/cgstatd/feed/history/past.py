"""What there is of the past, in memory and on disk, and the thread that reads and computes for answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple, TypeVar, TypeVarTuple

from ...basics.event_loop import OneThread
from ...basics.shared_lock import SharedLock
from ...sampling.history_work import Clocks, clocks
from .disk import Disk
from .disk_model import Run, State
from .memory import Memory
from .rows import Fit, Part, Source, Wanted, best_fit
from .spans import Timeline
from .steps import RoundTimes

S = TypeVar("S")
Ts = TypeVarTuple("Ts")
TRIES = 3
"""A file that turns out to be broken is set aside, and the answer begun anew."""


class View(NamedTuple):
    """What there is at an instant."""

    state: State
    timeline: Timeline
    run: Run
    """The one that goes on, as far as its number is known."""
    now: Clocks
    there: RoundTimes | None
    """The first round in memory."""
    first: int
    """Its key, and that of the last one."""
    last: int


class Past:
    """Used in the event loop."""

    def __init__(self, memory: Memory, on_disk: Disk | None = None, now: Callable[[], Clocks] = clocks) -> None:
        self.memory = memory
        self.disk = on_disk
        self.now = now
        self._thread = OneThread("cgstatd-history")
        self.connection = memory.reader()
        """Used in that thread."""
        self.disk_turn = SharedLock()
        """Answers that need the disk are made one after the other: each may be a second of work."""

    @property
    def state(self) -> State:
        """What is on disk."""
        return State() if self.disk is None else self.disk.state

    def reached_seconds(self) -> float:
        """How far back the rounds go that there are, in memory or on disk."""
        now, first = self.now(), self.memory.row(self.memory.first)
        memory = 0.0 if first is None else (now.boottime_ns - first.boottime_nsec) / 1e9
        return memory if self.disk is None else max(memory, self.disk.figures().seconds)

    async def compute(self, call: Callable[[*Ts], S], *arguments: *Ts) -> S:
        """Have something computed in the thread."""
        return await self._thread.run(call, *arguments)

    def view(self, state: State, *, in_line: bool) -> View:
        """``in_line``: times of earlier runs may not come behind memory's first round."""
        memory, now = self.memory, self.now()
        there = memory.row(memory.first)
        run = state.run._replace(name=memory.name, boot=memory.boot, interval_seconds=memory.interval_seconds)
        oldest = state.parts[0].first if state.last >= 0 else -1 if self.disk else run.base + memory.first
        began_ns = there.boottime_nsec if in_line and there is not None else None
        timeline = Timeline.of(state, run, began_ns, now, oldest)
        first = run.base + (memory.first if there is None else there.round)
        return View(state, timeline, run, now, there, first, run.base + memory.last)

    async def parts(self, view: View, begin: int, wanted: Wanted | None, most: int) -> AsyncGenerator[Part, None]:
        """Rounds from a key on, in order, at most so many at a time: what memory does not have from the disk. Raises
        Silent, Moved."""
        until = view.first - 1
        if self.disk is not None and any(max(part.first, begin) <= min(part.last, until) for part in view.state.parts):
            async with self.disk_turn:
                while begin <= until and (part := await self.disk.fetch(begin, until, wanted, most)).rounds:
                    yield part
                    begin = part.rounds[-1].key + 1
        begin = max(begin, view.first)
        while begin <= view.last:
            end = min(begin + most - 1, view.last)
            source = Source(self.connection, view.run.base, view.run.run, int(end == view.last))
            yield await self.compute(source.read, begin, end, wanted)
            begin = end + 1

    async def find(self, wanted: str) -> Fit | None:
        """A container that memory has a part of. Raises Ambiguous."""
        return await self._thread.run(best_fit, self.connection, wanted, self.memory.first)
