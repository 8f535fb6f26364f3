"""Starts that are not told yet: a new cgroup is no start, an engine prepares a container in it, and may fail to.

A start is held until the engine has written when it was or, of engines that write none, until a process is there that
is not the runtime's own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..host.identity import Identity
from ..outputs.engine.containers import Listed
from ..sampling.round import Ended

SOON_SECONDS = 0.1
"""After a start that is held the next look comes so soon, the one after it in twice that time, and so on."""
UNTOLD_NS = 10_000_000_000
"""After this time a container runs whose processes cannot be seen, and whose engine writes no starts."""
KEPT = 1000
"""Where no client listens they wait for their ends."""


class Held(NamedTuple):
    """A start."""

    identity: Identity
    time_ns: int
    """Wall clock: when it was noticed."""


class HeldStarts:
    """By the containers' ids. Used in the event loop."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._more = asyncio.Event()

    def add(self, key: str, held: Held) -> None:
        """It may have started."""
        self._held[key] = held
        self._more.set()
        if len(self._held) > KEPT:
            self._held.popitem(last=False)

    def take(self, key: str) -> Held | None:
        """It is told now, or is none."""
        return self._held.pop(key, None)

    def begun(self, now: Mapping[str, Listed], time_ns: int) -> Iterator[str]:
        """Those that have started by a listing that was made at a time (wall clock)."""
        for key, held in list(self._held.items()):
            each = now.get(key)
            if each is not None and each.running:
                unseen = each.begun is None and time_ns - held.time_ns >= UNTOLD_NS
                if each.begun or unseen:
                    yield key

    async def pause(self, before: float, longest: float) -> float:
        """Wait for the next look, at most ``longest`` seconds, and less after a start that is held. The answer is for
        the next call's ``before``."""
        pause = min(longest, 2 * before) if self._held else longest
        if pause == longest:
            self._more.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest):
                    await self._more.wait()
            if not self._more.is_set():
                return pause
            pause = min(longest, SOON_SECONDS)
        await asyncio.sleep(pause)
        return pause


def was_begun(each: Ended) -> bool:
    """Whether the program of a life that ended was begun: seen, recorded, or ended with what no runtime ends with that
    fails to begin one (``runc init`` exits with 1)."""
    return each.begun or each.metadata is not None or each.exit_code not in (None, 1)
