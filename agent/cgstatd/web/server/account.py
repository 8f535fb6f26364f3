"""What each client costs the event loop, on all listeners together; who waits while clients want more than there is.

The agent is one process of one core's worth, and its event loop makes one step of one answer at a time. The CPU time of
each step, and of what another thread does for it alone, is charged to its client; half of what a client has used is
forgotten each second. While all of them together use more than their part of the time, a client with more than its fair
share (those who want less get all of it, the rest is divided evenly) waits until it has no more, one step after the
other. A client that asks alone never waits.
"""

from __future__ import annotations

import asyncio
import math
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

from ...basics.charging import charge
from ...basics.shared_lock import is_held

P = ParamSpec("P")
T = TypeVar("T")
MOMENT_SECONDS = 0.2
"""How often the fair share is worked out."""
CAPACITY = 0.4
"""The part of one core that may be used for clients while several ask: passes, which are for all, need the rest."""
HALF_SECONDS = 1.0
"""What a client has used counts with half the weight so much later."""
_WINDOW_SECONDS = HALF_SECONDS / math.log(2)
"""What is used at a steady rate comes to what is used in this time."""
LEAST_SECONDS = 0.01
"""Who has used less than this never waits: a page that is opened, a server's round of requests. However busy the
processor is, most clients ask for less, and nothing is won if all of them wait for one another."""
_REMEMBERED_SECONDS = 2.0
"""A client that was served so recently is one that asks: polls are seconds apart."""
_OVERLOAD = 0.3
"""The part of one core that the agent computes in the last second or so, from which on it is overloaded. A scrape of a
thousand containers, or following them once a second, takes less."""


class Occupant(Protocol):
    """A connection: while it waits, another may have its place."""

    def waits(self) -> None:
        """It waits from now on."""

    def asks(self) -> None:
        """It is being answered from now on."""


class _Client:
    __slots__ = ("at", "line", "served", "stepped", "used")

    def __init__(self, at: float) -> None:
        self.used = 0.0
        """Seconds of CPU time, as they counted at ``at``."""
        self.at = self.served = at
        self.line = asyncio.Lock()
        """Its steps wait one behind the other."""
        self.stepped: object = None
        """Whose step was made in this iteration of the event loop: one of its connections'."""

    def waits_behind(self, other: object) -> bool:
        """Whether another of its connections has had the step of this iteration."""
        return self.stepped is not None and self.stepped is not other

    def fade(self, now: float) -> float:
        """What it has used, as it counts now."""
        if now > self.at:
            self.used *= 0.5 ** ((now - self.at) / HALF_SECONDS)
            self.at = now
        return self.used


class Account:
    """Used in the event loop. Remembers each client for two seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        computed: Callable[[], float] = time.thread_time,
        computed_by_all: Callable[[], float] = time.process_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``computed``: the seconds of CPU time that the event loop's thread has used; ``computed_by_all``: that all
        threads have."""
        self._clock, self._computed, self._computed_by_all, self._sleep = clock, computed, computed_by_all, sleep
        self._since, self._cpu_of_all = clock(), computed_by_all()
        self._clients: dict[str, _Client] = {}
        self._share = math.inf
        """Seconds: who has used more waits."""
        self._cpu = self._wall = 0.0
        """What all steps took of CPU time, and of the clock's: of a processor that others want too, the loop gets as
        much of the time as the one is of the other."""
        self._load = 0.0
        """The part of the time that the agent computes, mostly of the last second."""
        self.moment = asyncio.Event()
        """Set once in a moment while requests come."""

    def charged(self, client: str, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it for a client."""
        began, cpu = self._clock(), self._computed()
        try:
            return work(*args, **kwargs)
        finally:
            self._charge(client, began, self._computed() - cpu)

    def charge_to(self, client: str) -> None:
        """What the current task and those that it makes know the cost of is the client's (basics/charging.py)."""
        charge.set(partial(self._add, client))

    async def answered(self, client: str, work: Coroutine[Any, Any, T], place: Occupant) -> T:
        """Do it for a client, each step in its turn. What other threads do for it is charged to the client, too."""
        self.charge_to(client)
        return await self._in_steps(client, work, place)

    @types.coroutine
    def _in_steps(self, client: str, work: Coroutine[Any, Any, T], place: Occupant) -> Generator[Any, Any, T]:
        begun, awaited = False, None
        error: BaseException | None = None
        while True:
            try:
                if begun:
                    yield awaited
                if (self.wait_seconds(client) or self._client(client).waits_behind(place)) and not is_held():
                    yield from self._turn(client, place).__await__()
                error = None
            except BaseException as thrown:  # cancelled, mostly: that waits for nothing
                error = thrown
            resume: Callable[[Any], Any] = work.send if error is None else work.throw
            self._takes_step(client, place)
            try:
                awaited, begun = self.charged(client, resume, error), True
            except StopIteration as over:
                return over.value  # type: ignore[no-any-return]

    async def _turn(self, client: str, place: Occupant) -> None:
        """One connection of each client has a step in an iteration of the event loop: of sixty requests that arrive at
        once, one is in front of another client's. No share could say so, since nobody has used anything yet."""
        used_too_much = self.wait_seconds(client) > 0
        if used_too_much:
            place.waits()
        try:
            async with self._client(client).line:
                while (seconds := self.wait_seconds(client)) or self._client(client).waits_behind(place):
                    if seconds and not used_too_much:
                        used_too_much = True
                        place.waits()
                    await (self._sleep(seconds) if seconds else asyncio.sleep(0))
        finally:
            if used_too_much:
                place.asks()

    def wait_seconds(self, client: str) -> float:
        """How long the next step for a client has to wait, as things are."""
        now = self._clock()
        if now - self._since >= MOMENT_SECONDS:
            self._next_moment(now)
        if self._share == math.inf:
            return 0.0
        used = self._client(client).fade(now)
        return HALF_SECONDS * math.log2(used / self._share) if used > self._share else 0.0

    def _takes_step(self, key: str, place: Occupant) -> None:
        client = self._client(key)
        if client.stepped is None:
            client.stepped = place
            asyncio.get_running_loop().call_soon(setattr, client, "stepped", None)

    @property
    def overloaded(self) -> bool:
        """Whether the agent computes much of the time, and more than one client asks."""
        return self._load > _OVERLOAD and len(self._clients) > 1

    def _client(self, key: str) -> _Client:
        found = self._clients.get(key)
        if found is None:
            found = self._clients[key] = _Client(self._clock())
        return found

    def _charge(self, key: str, began: float, cpu: float) -> None:
        now = self._clock()
        self._add(key, cpu)
        self._cpu += cpu
        self._wall += max(now - began, cpu)
        if now - self._since >= MOMENT_SECONDS:
            self._next_moment(now)

    def _add(self, key: str, cpu: float) -> None:
        now, client = self._clock(), self._client(key)
        client.used, client.served = client.fade(now) + cpu, now

    def _next_moment(self, now: float) -> None:
        of_all, seconds = self._computed_by_all(), now - self._since
        fades = 0.5 ** (seconds / HALF_SECONDS)
        self._load = fades * self._load + (1 - fades) * (of_all - self._cpu_of_all) / seconds
        self._since, self._cpu_of_all = now, of_all
        self._clients = {
            key: each
            for key, each in self._clients.items()
            if now - each.served < _REMEMBERED_SECONDS or each.line.locked()
        }
        self._share = self._fair(sorted(each.fade(now) for each in self._clients.values()))
        self._cpu *= fades
        self._wall *= fades
        self.moment.set()

    def _fair(self, used: list[float]) -> float:
        """What each client may have used, where they have used so much, the least first."""
        if len(used) < 2:
            return math.inf
        left = CAPACITY * _WINDOW_SECONDS * (self._cpu / self._wall if self._wall else 1.0)
        for number, each in enumerate(used):
            share = left / (len(used) - number)
            if each > share:
                return max(share, LEAST_SECONDS)
            left -= each
        return math.inf
