"""Whose turn it is while there is more to do than the event loop can: an address that asks far more than others waits.

The agent is one process of one core's worth. An address that asks a thousand times a second would make every other one
wait for each of its answers. It is held up only while that matters: the event loop is busy and another address asks,
too. So a central server that alone asks a lot, or a benchmark, is never held up.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

MOMENT_SECONDS = 0.2
"""For how long requests are counted together, and how long one of an address that asks a little too much waits."""
_LONGEST_SECONDS = 1.0
_BUSY = 0.25
"""The part of the time that the event loop computes from which on it is busy: the sampling thread needs the rest."""
_OVERLOAD = 0.3
"""The part of one core that the agent computes in the last second or so, from which on it is overloaded. A scrape of a
thousand containers, or following them once a second, takes less."""
_OVERLOAD_SECONDS = 1.0
"""How long ago counts: with half the weight what was so much earlier."""
_FEW = 8
"""Requests in a moment that never have to wait: a server's round of requests for one host, a page that is opened."""
_REMEMBERED_SECONDS = 2.0
"""An address that asked so recently is one that asks: polls are seconds apart."""


class Turns:
    """Used in the event loop. Remembers each address for two seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        computed: Callable[[], float] = time.thread_time,
        computed_by_all: Callable[[], float] = time.process_time,
    ) -> None:
        """``computed``: the seconds of CPU time that the event loop's thread has used; ``computed_by_all``: that all
        threads have."""
        self._clock, self._computed, self._computed_by_all = clock, computed, computed_by_all
        self._since, self._cpu, self._cpu_of_all = clock(), computed(), computed_by_all()
        self._asked: Counter[str] = Counter()
        """How often each address has asked in this moment, and in the one before."""
        self._before: Counter[str] = Counter()
        self._recent: dict[str, float] = {}
        """When each address asked last."""
        self._busy = False
        self._load = 0.0
        """The part of the time that the agent computes, mostly of the last second."""
        self.each_moment: Callable[[], None] = lambda: None
        """Called once in a moment while requests come."""

    def wait_seconds(self, address: str) -> float:
        """Count one request; how long it has to wait for its turn."""
        now = self._clock()
        if now - self._since >= MOMENT_SECONDS:
            self._next_moment(now)
        self._asked[address] += 1
        self._recent[address] = now
        if not self._busy or len(self._recent) == 1:
            return 0.0
        fair = max(self._before.total() / len(self._recent), _FEW)
        asked = max(self._asked[address], self._before[address])
        return min(MOMENT_SECONDS * asked / fair, _LONGEST_SECONDS) if asked > fair else 0.0

    @property
    def overloaded(self) -> bool:
        """Whether the agent computes much of the time, and more than one address asks."""
        return self._load > _OVERLOAD and len(self._recent) > 1

    def _next_moment(self, now: float) -> None:
        cpu, of_all, seconds = self._computed(), self._computed_by_all(), now - self._since
        self._busy = cpu - self._cpu > _BUSY * seconds
        before = 0.5 ** (seconds / _OVERLOAD_SECONDS)
        self._load = before * self._load + (1 - before) * (of_all - self._cpu_of_all) / seconds
        self._since, self._cpu, self._cpu_of_all = now, cpu, of_all
        self._before, self._asked = self._asked, Counter()
        self.each_moment()
        self._recent = {each: at for each, at in self._recent.items() if now - at < _REMEMBERED_SECONDS}
