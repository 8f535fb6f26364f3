"""Follows the containers while anybody listens: a pass at each due point of the grid, its events encoded once.

Between the passes only the OOM counters are looked at, at every point of the grid: a cgroup is removed a fraction of a
second after its last process was killed, and the counter goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from functools import partial

import msgspec

from .. import __version__
from ..container import ReadingFailed
from ..feed import Feed
from ..outputs import follow as out
from ..outputs import sse
from ..outputs.identity import container_identity
from ..runtimes.base import State
from ..sample import ContainerStats
from ..sampler import ListingFailed
from .client import Subscription
from .grid import GRID_SECONDS, due
from .lastwords import LastWords
from .looks import Killed, Looks, Round
from .ring import Ring

log = logging.getLogger(__name__)
LINGER_SECONDS = 15.0
"""Following goes on for this long after the last client left: one that comes back has missed nothing."""
_FRESHNESS_SECONDS = 0.1
_PASS_SECONDS = 1.0
"""A round does not wait longer than this for a hung container: it goes without."""
_encode = msgspec.json.Encoder().encode


class _Group:
    """The clients of one interval."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.clients: set[Subscription] = set()
        self.before: dict[str, ContainerStats] = {}
        """The figures of the round before, by id."""
        self.rounds = 0
        self.overruns = 0
        self.latest: tuple[float, int, bytes] | None = None
        """The last round: when (monotonic), its number, its bytes."""
        self.urgent = True


class Follower:
    """Used in the event loop."""

    def __init__(self, feed: Feed, env_id: int) -> None:
        self._feed = feed
        self._env = env_id
        self._groups: dict[int, _Group] = {}
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self.last_words = LastWords()
        self.ring = Ring("0")
        self.looks = Looks(feed.sampler)
        self._stats: dict[str, out.FollowStat] = {}
        """The latest ``stat`` event of each container, whatever the interval."""

    @property
    def clients(self) -> int:
        """How many listen."""
        return sum(len(group.clients) for group in self._groups.values())

    def subscribe(self, steps: int, last_event_id: str = "") -> Subscription:
        """A new client of an interval (in grid steps)."""
        if self._task is None and not self._stopping:
            self.ring = Ring(secrets.token_hex(4))
            self.looks = Looks(self._feed.sampler)
            self._task = asyncio.get_running_loop().create_task(self._run())
        group = self._groups.get(steps)
        if group is None:
            group = self._groups[steps] = _Group(steps)
        number = self.ring.number_of(last_event_id)
        hello = out.FollowHello(
            env=self._env, interval=steps * GRID_SECONDS, version=__version__, resumed=number is not None
        )
        first = [sse.event(b"hello", _encode(hello))]
        if number is not None:
            first += self.ring.since(number, steps)
        client = Subscription(steps, first)
        group.clients.add(client)
        latest = group.latest
        if latest is not None and time.monotonic() - latest[0] < steps * GRID_SECONDS:
            if number is None:
                client.round(*latest[1:])
        else:
            group.urgent = True
        self._wake.set()
        if self._stopping:
            client.end()
        return client

    def leave(self, client: Subscription) -> None:
        """A client went away."""
        group = self._groups.get(client.steps)
        if group is not None:
            group.clients.discard(client)

    def stop(self) -> None:
        """End every stream."""
        self._stopping = True
        for group in self._groups.values():
            for client in group.clients:
                client.end()
        if self._task is not None:
            self._task.cancel()
        self.looks.close()

    async def _run(self) -> None:
        began = time.monotonic()
        point, left = 0, began
        try:
            while True:
                now = time.monotonic()
                left = now if self.clients else left
                if now - left > LINGER_SECONDS:
                    break
                until = int((now - began) / GRID_SECONDS)
                await self._at(point, until)
                point = max(point, until)
                await self._sleep(began + (point + 1) * GRID_SECONDS)
        finally:
            self._task = None
            self._groups = {steps: group for steps, group in self._groups.items() if group.clients}
        with contextlib.suppress(ReadingFailed):
            await self._feed.run(self.looks.close)

    async def _sleep(self, until: float) -> None:
        """To the grid's next point, or until a client comes that must not wait for it."""
        self._wake.clear()
        if any(group.urgent and group.clients for group in self._groups.values()):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._wake.wait()

    async def _at(self, point: int, until: int) -> None:
        """What is to be done at the grid's points after ``point`` up to ``until``."""
        groups = [g for g in self._groups.values() if g.urgent or due(g.steps, point, until)]
        for group in groups:
            group.overruns += max(0, until // group.steps - point // group.steps - 1)
        try:
            if groups:
                await self._pass(groups)
            elif until > point:
                self._tell_killed(await self._feed.run(self.looks.killed))
        except (ListingFailed, ReadingFailed) as error:
            failed = out.FollowFailed(error=str(error), timestamp=time.time_ns() // 1_000_000)
            for group in groups:
                group.urgent = False
                self._send(group, self._event(group.steps, b"failed", failed))
        except Exception:
            log.exception("following")
            for group in groups:
                group.urgent = False

    async def _pass(self, groups: list[_Group]) -> None:
        began = time.monotonic()
        round_ = self._feed.round(_FRESHNESS_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PASS_SECONDS):
                await round_.wait()
        if round_.error is not None:
            raise ListingFailed(round_.error)
        stats = {each.identity.id: each for each in list(round_.stats)}
        found = await self._feed.run(partial(self.looks.take, stats))
        if found is None:
            raise ReadingFailed("an earlier look at the containers still hangs")
        seconds = round(time.monotonic() - began, 4)
        self._tell(found)
        for group in groups:
            group.urgent = False
            self._tell_round(group, found, seconds)

    def _tell_round(self, group: _Group, found: Round, seconds: float) -> None:
        group.rounds += 1
        parts = []
        for look in found.looks:
            key = look.stats.identity.id
            event = out.follow_stat(look, group.before.get(key), found.mem_total_bytes)
            self._stats[key] = event
            parts.append(self._event(group.steps, b"stat", event))
        group.before = {look.stats.identity.id: look.stats for look in found.looks}
        end = out.FollowRound(
            round=group.rounds,
            interval=group.steps * GRID_SECONDS,
            containers=len(parts),
            seconds=seconds,
            overruns=group.overruns,
            timestamp=time.time_ns() // 1_000_000,
        )
        parts.append(self._event(group.steps, b"round", end))
        data = b"".join(parts)
        group.latest = time.monotonic(), self.ring.number, data
        self._send(group, data)

    def _send(self, group: _Group, data: bytes) -> None:
        for client in group.clients:
            client.round(self.ring.number, data)

    def _event(self, steps: int, name: bytes, what: msgspec.Struct) -> bytes:
        data = sse.event(name, _encode(what), self.ring.next_id())
        self.ring.add(steps, data)
        return data

    def _change(self, name: bytes, what: msgspec.Struct) -> None:
        """Tell everybody."""
        data = self._event(0, name, what)
        for group in self._groups.values():
            for client in group.clients:
                client.change(self.ring.number, data)

    def _tell(self, found: Round) -> None:
        now = time.time_ns() // 1_000_000
        self._tell_killed(found.killed)
        for ended in found.ended:
            event = out.follow_exit(ended, self._stats.pop(ended.identity.id, None), now)
            self.last_words.add(event, ended)
            self._change(b"exit", event)
        for identity in found.started:
            self._change(b"start", container_identity(identity, State.RUNNING, None))

    def _tell_killed(self, killed: list[Killed]) -> None:
        for each in killed:
            self._change(b"oom", out.follow_oom(each, time.time_ns() // 1_000_000))
