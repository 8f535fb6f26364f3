"""What one scrape is made of: every container's exported figures, and the agent's own. It needs no pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..outputs.metric_families import EXPORTED_FIELDS
from ..outputs.own_metrics import Called, DiskFigures, Notified, OwnMetrics, PressureFigures
from ..sampling.exported_metrics import ContainerMetrics, MetricsReader, each_network_once
from ..sampling.host_figures import agent_cost
from ..sampling.host_metrics import HostMetricsReader
from .coalesced import Coalesced
from .follow.follower import Follower
from .shared_passes import Feed

_BUSY_PART = 0.25
"""However many ask, and however little time the host has for the agent, scrapes are made for this part of the time."""
Scrape = tuple[list[ContainerMetrics], OwnMetrics]


class Scraper:
    """Used in the event loop."""

    def __init__(self, feed: Feed, follower: Follower, fresh_seconds: float = 0.5) -> None:
        self._feed = feed
        self._follower = follower
        self._metrics_reader = MetricsReader(feed.sampler, EXPORTED_FIELDS)
        self._host = HostMetricsReader(feed.sampler.root, partial(feed.sampler.names.say_once, "host"))
        self._host_metrics = True
        self._listing = -1
        self.disk: Callable[[], DiskFigures | None] = lambda: None
        """The history on disk. Any thread may ask."""
        self.notified: Callable[[], Notified | None] = lambda: None
        self.called: Callable[[], Called | None] = lambda: None
        """The webhook. Any thread may ask."""
        self.pressure: Callable[[], PressureFigures | None] = lambda: None
        """What waited. The event loop asks."""
        self.scrape: Coalesced[Scrape] = Coalesced(
            self._make,
            fresh_seconds,
            lambda: feed.sampler.registry.changed_since(self._listing),
            busy_part=_BUSY_PART,
            cost=lambda: self._metrics_reader.cpu_seconds,
            overloaded=feed.overloaded,
        )

    def export_host(self, wanted: bool) -> None:
        """Whether the host's own figures are read and exported, from the next scrape on; a reload may change it."""
        self._host_metrics = wanted
        self.scrape.forget()

    async def _make(self) -> Scrape:
        run, metrics_reader = self._feed.run, self._metrics_reader
        containers, namespaces = await run(metrics_reader.begin)
        self._listing = metrics_reader.listing_number
        found = await self._feed.each(partial(metrics_reader.read, namespaces), containers)
        view = self._follower.lives.view()
        found = [each._replace(lived=view.of(each.identity)) for each in found]
        own = await run(partial(self._own, len(found)))
        return each_network_once(found), own._replace(pressure=self.pressure())

    # -- in the sampling thread

    def _own(self, containers: int) -> OwnMetrics:
        feed, sampler = self._feed, self._feed.sampler
        host = self._host.read() if self._host_metrics else None
        stat = sampler.host.stat() if host is None else None
        cores = len(host.cpus) if host is not None else stat.cores if stat is not None else 0
        return OwnMetrics(
            cost=agent_cost(),
            containers=containers,
            passes=feed.passes,
            pass_seconds=feed.pass_seconds,
            pass_cpu_seconds=feed.pass_cpu_seconds,
            pass_interval_seconds=feed.stretched() or 0.0,
            overruns=feed.sampling_thread.overruns,
            stuck=feed.sampling_thread.stuck,
            read_errors=dict(sampler.read_errors),
            followers=self._follower.clients,
            mem_total_bytes=sampler.host.mem_total(),
            cores=cores or None,
            host=host,
            disk=self.disk(),
            notified=self.notified(),
            called=self.called(),
        )
