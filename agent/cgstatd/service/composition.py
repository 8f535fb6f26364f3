"""The composition: every part, made once and in order, each with what it needs; started, told of a reload, and stopped.

Nothing else puts parts together: handlers are given ``parts``, and what is made later only (the webhook, the connection
to a Dockhand server) is asked of its owner, which stands here.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from ..config import Settings
from ..feed.answer_bodies import Bodies
from ..feed.engine import Engine
from ..feed.follow.change_listeners import Listener
from ..feed.follow.follower import Follower
from ..feed.health import Health
from ..feed.history.boot import boot_of
from ..feed.history.disk import Disk
from ..feed.history.memory import Memory
from ..feed.history.reading import History
from ..feed.history.recorder import Recorder
from ..feed.history.store import Store
from ..feed.pressure.watch import PressureWatch
from ..feed.process_lists import ProcessLists
from ..feed.queries import Queries
from ..feed.scrape import Scraper
from ..feed.shared_passes import Feed
from ..outputs.container_labels import WrittenLabels
from ..outputs.host_json import NO_HISTORY, HistoryFacts
from ..outputs.negotiation import OPENMETRICS, TEXT
from ..sampling.round import Changes
from ..sampling.sampler import Sampler
from ..web.guard import Guard
from ..web.parts import EngineParts, Parts
from ..web.server.gate import Gate
from ..web.server.limits import limits_of
from ..web.server.one_body import OneBody
from ..web.server.tls import Certificates
from .outgoing import Outgoing, calling, notifying
from .who_may_ask import renew_guard

log = logging.getLogger(__name__)
_LEAST_SECONDS = 180.0
"""Memory holds this much of the past at least for the disk, which takes what is new once a minute."""


class Composition:
    """All of the agent but its listeners. Used in the event loop."""

    def __init__(
        self, sampler: Sampler, settings: Settings, guard: Guard, gate: Gate, tls: Certificates | None = None
    ) -> None:
        self.guard, self.gate, self._tls, self._watches_pressure = guard, gate, tls, settings.pressure
        env = settings.env_id
        self.feed = feed = Feed(
            sampler,
            freshness_seconds=settings.freshness,
            baseline_seconds=settings.baseline,
            max_cpu_percent=settings.max_cpu,
            load=gate.account,
        )
        bodies = Bodies()
        memory = _memory(sampler, settings)
        self._disk = None if memory is None else _disk(memory, settings)
        history = None if memory is None else History(feed, memory, on_disk=self._disk)
        self._follower = follower = Follower(feed, env, bodies, () if memory is None else (_marks(memory),))
        self.pressure = pressure = PressureWatch(feed, follower.pressure, () if memory is None else (memory.looked,))
        self.recorder = None if memory is None else Recorder(feed, memory, follower.counted)
        keeps = HistoryFacts(settings.history, settings.history_interval) if settings.history else NO_HISTORY
        queries = Queries(feed, follower, env, history=history, keeps=keeps, pressure=pressure)
        self._engine = engine = Engine(feed, follower)
        health = Health(feed)
        dockhand = calling(feed, EngineParts(env_id=env, bodies=bodies, health=health, engine=engine))
        webhook = notifying(feed, follower, queries, env)
        self._outgoing: tuple[Outgoing[Any], ...] = (dockhand, webhook)
        self._scraper = scraper = Scraper(
            feed, follower, history=history, pressure=pressure, webhook=webhook, dockhand=dockhand
        )
        self._export(settings)
        self.parts = Parts(
            env_id=env,
            bodies=bodies,
            health=health,
            engine=engine,
            callers=guard.callers,
            feed=feed,
            follower=follower,
            queries=queries,
            processes=ProcessLists(feed),
            scraper=scraper,
            history=history,
            listing_body=OneBody(bodies),
            host_body=OneBody(bodies),
            metric_bodies={form: OneBody(bodies, feed.overloaded) for form in (TEXT, OPENMETRICS)},
            written_labels=WrittenLabels(),
        )

    def start(self, *, watch: bool = True) -> None:
        """Read from now on. ``watch``: with clients or without, notice how containers end and when programs of the host
        wait."""
        self.feed.start()
        if self.recorder is not None:
            self.recorder.start()
        if self._disk is not None:
            self._disk.start()
        if watch:
            self._follower.watch()
            self.pressure.want(self._watches_pressure)

    async def call_out(self, settings: Settings) -> None:
        """Tell the webhook and call the server that the settings name."""
        for each in self._outgoing:
            await each.change(settings)

    async def stop(self) -> None:
        """End: what goes out first, the readings last. Streams end, and answers that wait for a reading."""
        for each in self._outgoing:
            await each.stop()
        self._follower.stop()
        self.pressure.stop()
        self._engine.stop()
        if self.recorder is not None:
            self.recorder.stop()
        if self._disk is not None:
            await self._disk.stop()
        self.feed.stop()

    # -- reload

    def take_over(self, settings: Settings) -> None:
        """A reload's settings; those that need a restart are as they were."""
        self.feed.retime(
            freshness_seconds=settings.freshness, baseline_seconds=settings.baseline, max_cpu_percent=settings.max_cpu
        )
        self._export(settings)
        self.gate.limits = limits_of(settings)
        renew_guard(self.guard, settings)
        for each in self._outgoing:
            each.take_over(settings)
        self.pressure.want(settings.pressure)

    def read_again(self) -> None:
        """What a reload reads again, or tries again, besides the configuration."""
        if self.guard.callers.keyring is not None:
            self.guard.callers.keyring.refresh(now=True)
        if self._tls is not None:
            self._tls.refresh()
        for each in self._outgoing:
            each.try_now()

    def _export(self, settings: Settings) -> None:
        self._scraper.export(settings.metric_labels, host=settings.host_metrics)


def _memory(sampler: Sampler, settings: Settings) -> Memory | None:
    """The rounds in memory; None: nothing is kept of the past."""
    if not settings.history:
        if settings.history_dir:
            log.warning("history_dir is not used: history = 0 in the configuration")
        return None
    seconds = max(settings.history, _LEAST_SECONDS) if settings.history_dir else settings.history
    rounds = max(2, round(seconds / settings.history_interval))
    return Memory(rounds, settings.history_interval, boot=boot_of(sampler.root))


def _marks(memory: Memory) -> Listener:
    def heard(found: Changes) -> None:
        memory.hear(found, time.time_ns() // 1_000_000)

    return heard


def _disk(memory: Memory, settings: Settings) -> Disk | None:
    if not settings.history_dir:
        return None
    store = Store(settings.history_dir, settings.history_keep, settings.history_max_bytes, memory)
    return Disk(memory, store)
