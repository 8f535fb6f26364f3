"""Work beside the requests: tells systemd and the log that the agent is ready, alive, reloaded, and what it costs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from ..basics import logs
from ..config import BadConfig, Settings
from ..config.changed import LIVE, changed
from ..sampling.host_figures import agent_cost
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from .composition import Composition
from .memory_giveback import EACH_SECONDS, GiveBack
from .systemd import Notifier

log = logging.getLogger(__name__)
COST_SECONDS = 3600.0
_RETRY_SECONDS = 1.0
_BEATS = 3
"""Signs of life in one watchdog interval: a machine that is busy for a moment may miss one."""


class _Look(NamedTuple):
    """The outcome of a listing; ``alive``: whether the sampling thread works at all."""

    listed: bool
    alive: bool


class Background:
    """Used in the event loop."""

    def __init__(self, agent: Composition, notifier: Notifier, settings: Settings, where: str) -> None:
        self._agent, self._feed = agent, agent.feed
        self._notifier = notifier
        self._settings = settings
        self._where = where
        self._ready = False
        self._status = ""
        self._tasks: list[asyncio.Task[None]] = []
        self.give_back = GiveBack()

    def start(self) -> None:
        """Begin. Systemd is told only where it asks."""
        work = [self._account(), self._give_back(), self._relieve()]
        if self._notifier.wanted:
            work.append(self._live())
        self._tasks = [asyncio.get_running_loop().create_task(each) for each in work]

    def stop(self) -> None:
        """End, and tell systemd."""
        self._notifier.send("STOPPING=1", "STATUS=stopping")
        for task in self._tasks:
            task.cancel()

    # -- ready and alive

    async def _live(self) -> None:
        """Ready once the containers could be listed, then a sign of life as long as the sampling thread gives one."""
        while not (await self._look()).listed:
            self._notifier.send(f"STATUS={self._status}")
            await asyncio.sleep(_RETRY_SECONDS)
        self._ready = True
        self._notifier.send("READY=1", f"STATUS={self._status}")
        interval = self._notifier.watchdog_seconds / _BEATS
        while interval > 0:
            await asyncio.sleep(interval)
            if (await self._look()).alive:
                self._notifier.send("WATCHDOG=1", f"STATUS={self._status}")

    async def _look(self) -> _Look:
        """A single hung file costs a thread, which is left behind.

        The listing itself, or all threads, may hang for good: then only a new process helps. An error is no reason for
        that: it would be there again.
        """
        try:
            count = await self._feed.run(lambda: len(self._feed.sampler.containers()))
        except ListingFailed as error:
            self._status = str(error)
            return _Look(listed=False, alive=True)
        except ReadingFailed:
            self._status = f"cannot list the containers: a reading hangs{self._hung()}"
            log.error("%s", self._status)
            return _Look(listed=False, alive=False)
        except Exception as error:
            log.exception("listing the containers")
            self._status = f"cannot list the containers: {error!r}"
            return _Look(listed=False, alive=True)
        hung = self._hung()
        self._status = f"{self._where}, {count} container{'' if count == 1 else 's'}{hung and '; reading hangs' + hung}"
        return _Look(listed=True, alive=True)

    def _hung(self) -> str:
        files = self._feed.sampling_thread.hung_files()
        return f": {', '.join(files)}" if files else ""

    # -- reload

    def reload(self, load: Callable[[], Settings]) -> None:
        """Read again all settings that can change while the agent runs. An error in them changes nothing."""
        if self._ready:
            self._notifier.reloading()
        try:
            self._apply(load())
        except BadConfig as error:
            log.error("the configuration stays the old one: %s", "; ".join(str(error).splitlines()))
        self._agent.read_again()
        if self._ready:
            self._notifier.send("READY=1", f"STATUS={self._status}")

    def _apply(self, settings: Settings) -> None:
        names = changed(self._settings, settings)
        live = [name for name in names if name in LIVE]
        later = [name for name in names if name not in LIVE]
        if "log_level" in live or "log_format" in live:
            logs.configure(settings.log_level, settings.log_format)
        values = msgspec.structs.asdict(settings)
        self._settings = msgspec.structs.replace(self._settings, **{name: values[name] for name in live})
        self._agent.take_over(self._settings)
        log.info("reloaded changed=%s", ",".join(live) or "none")
        if later:
            log.warning("changed, and needs a restart: %s", ", ".join(later))

    # -- cost

    async def _give_back(self) -> None:
        """In the sampling thread, between two passes. A reading that hangs puts it off.

        Only after something happened that takes memory: a pass, a connection, a container that came or went. And once
        more after the last, whose answers may have been under way: the thread of an idle agent sleeps.
        """
        seen, again = self._happened(), True
        while True:
            await asyncio.sleep(EACH_SECONDS)
            now = self._happened()
            if now == seen and not again:
                continue
            again, seen = now != seen, now
            with contextlib.suppress(ReadingFailed):
                await self._feed.run(self.give_back.look)

    async def _relieve(self) -> None:
        """While many clients ask, memory cannot wait for the next look."""
        moment = self._agent.gate.account.moment
        while True:
            await moment.wait()
            moment.clear()
            if self.give_back.is_wanted():
                with contextlib.suppress(ReadingFailed):
                    await self._feed.run(self.give_back.relieve)

    def _happened(self) -> tuple[int, int, int]:
        """Counts of what takes memory."""
        return self._feed.passes, self._feed.sampler.registry.number, self._agent.gate.admitted

    async def _account(self) -> None:
        while True:
            await asyncio.sleep(COST_SECONDS)
            self.say_cost()

    def say_cost(self) -> None:
        """One line of what the agent has used since it was started."""
        cost, feed = agent_cost(), self._feed
        log.info(
            "cost cpu_seconds=%.1f cpu_percent=%.2f rss_bytes=%d threads=%d descriptors=%d passes=%d overruns=%d "
            "stuck=%d connections=%d streams=%d",
            cost.cpu_seconds,
            100 * cost.cpu_seconds / max(cost.uptime_seconds, 1e-3),
            cost.rss_bytes,
            cost.threads,
            cost.descriptors,
            feed.passes,
            feed.sampling_thread.overruns,
            feed.sampling_thread.stuck,
            self._agent.gate.open,
            len(self._agent.guard.streams),
        )
