"""Reads the history back: one container or the host in steps, all containers in short lines, every round in order.

What the ring holds is looked up in the event loop, what is on disk is fetched in the disk's thread, some rows at a
time; unpacking and encoding happen in a third, of bytes that do not change any more.
"""

from __future__ import annotations

from collections.abc import Callable

from ...outputs.history_types import ContainerHistory, HostHistory
from ...sampling.history_work import Clocks, clocks
from ..shared_passes import Feed
from .disk import Disk
from .lines_reading import LinesReading
from .page_lines import encode
from .past import Past
from .ring import Ring
from .rounds_reading import RoundsReading
from .steps_reading import StepsReading


class History:
    """Used in the event loop."""

    def __init__(self, feed: Feed, ring: Ring, now: Callable[[], Clocks] = clocks, on_disk: Disk | None = None) -> None:
        self.ring = ring
        self.disk = on_disk
        self._past = past = Past(ring, on_disk, now)
        self.steps, rounds = StepsReading(feed, past), RoundsReading(past)
        self.host, self.container, self.workload = self.steps.host, self.steps.container, self.steps.workload
        self.lines = LinesReading(past).lines
        self.reached_seconds = past.reached_seconds
        self.after, self.page = rounds.after, rounds.page

    async def encoded(self, answer: HostHistory | ContainerHistory) -> bytes:
        """An answer in steps as it is sent: thousands of figures, made to bytes where they were computed."""
        return await self._past.compute(encode, answer)

    async def ready(self) -> None:
        """Wait for the rounds on disk, where that does not take long."""
        if self.disk is not None:
            await self.disk.ready()
