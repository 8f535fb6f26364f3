"""The host's own figures for a server that is told them again and again. No container is read for them."""

from __future__ import annotations

from ..sampling.host_figures import HostFacts, HostReader
from .shared_passes import Feed


class HostTotals:
    """Used in the event loop. Its CPU window is the time between two of its own readings."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._host = HostReader(feed.sampler)

    async def begin(self) -> None:
        """Begin a window, where there is none. Raises ReadingFailed."""
        await self._feed.run(self._host.has_window)

    async def get(self) -> tuple[HostFacts, tuple[int, int] | None]:
        """The facts, and the bytes that came and went over all interfaces but lo. Raises ReadingFailed."""
        return await self._feed.run(lambda: (self._host.read(), self._host.traffic()))
