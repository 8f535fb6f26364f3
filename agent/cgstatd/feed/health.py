"""Whether the containers can be listed, from what is known; a listing of its own only where no recent one says so.

Probes come every few seconds, some from strangers: they must never cost a pass.
"""

from __future__ import annotations

import asyncio
import time

from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from .coalesced import Coalesced
from .reading_pass import STOPPING
from .shared_passes import Feed

FRESH_SECONDS = 0.5
"""How long an earlier listing counts as known."""
PATIENCE_SECONDS = 5.0
"""A probe is answered after this time, even if a reading hangs: a probe that gives up itself never reads the reason."""


class Health:
    """Used in the event loop."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._look: Coalesced[str] = Coalesced(self._list, FRESH_SECONDS)

    async def trouble(self) -> str:
        """Why the containers cannot be listed; empty: they can."""
        known = self._known()
        if known is not None:
            return known
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._look.get()
        except TimeoutError:
            return self._hangs()

    def _known(self) -> str | None:
        """What the last pass says; None: no pass is recent."""
        last = self._feed.last_pass
        if last is None or (last.complete and time.monotonic() - last.began - last.seconds > FRESH_SECONDS):
            return None
        if last.error is not None:
            return last.error
        # While a reading hangs, no thread may be left: only a listing tells.
        return "" if last.listed and not self._feed.sampling_thread.stuck else None

    async def _list(self) -> str:
        try:
            await self._feed.run(self._feed.sampler.containers)
        except ListingFailed as error:
            return str(error)
        except ReadingFailed as error:  # the text is that of a single container's reading, unless it is STOPPING
            return STOPPING if str(error) == STOPPING else self._hangs()
        return ""

    def _hangs(self) -> str:
        hung = self.hung()
        files = f" ({', '.join(hung)})" if hung else ""
        stuck = self._feed.sampling_thread.stuck
        return f"listing the containers does not come to an end; readings that hang: {stuck}{files}"

    def hung(self) -> list[str]:
        """The files that readings wait for now."""
        return self._feed.sampling_thread.hung_files()
