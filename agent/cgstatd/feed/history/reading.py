"""Reads the history back: one container or the host in steps, all containers in short lines, every round in order.

What memory has is read in a thread that also computes and encodes; what is on disk is read in the disk's thread, some
rounds at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from ...outputs.history_types import ContainerHistory, HostHistory
from ...sampling.history_work import Clocks, clocks
from ..shared_passes import Feed
from .disk import Disk
from .lines_reading import LinesReading
from .memory import Memory
from .page_lines import encode
from .past import Past
from .rounds_reading import RoundsReading
from .steps_reading import StepsReading


class History:
    """Used in the event loop."""

    def __init__(
        self, feed: Feed, memory: Memory, now: Callable[[], Clocks] = clocks, on_disk: Disk | None = None
    ) -> None:
        self.memory = memory
        self.disk = on_disk
        self._past = past = Past(memory, on_disk, now)
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
