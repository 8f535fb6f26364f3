"""What one scrape is made of: every container's exported figures, and the agent's own. It needs no pass."""

from __future__ import annotations

from functools import partial

from cgroupfs import ParseError

from .feed import Feed
from .follow.follower import Follower
from .hostfacts import agent_cost
from .hostmetrics import HostMetricsReader
from .outputs.metrics_self import SelfMetrics
from .procfs.host_stat import PATH, parse_host_stat
from .shared import Shared
from .survey import AT_ONCE, Surveyed, Surveyor, each_network_once

Scrape = tuple[list[Surveyed], SelfMetrics]


class Scraper:
    """Used in the event loop."""

    def __init__(self, feed: Feed, follower: Follower, fresh_seconds: float = 0.5) -> None:
        self._feed = feed
        self._follower = follower
        self._surveyor = Surveyor(feed.sampler)
        self._host = HostMetricsReader(feed.sampler.root, partial(feed.sampler.names.say_once, "host"))
        self._host_metrics = True
        self._listing = -1
        self.scrape: Shared[Scrape] = Shared(
            self._make, fresh_seconds, lambda: feed.sampler.listing.changed_since(self._listing)
        )

    def export_host(self, wanted: bool) -> None:
        """Whether the host's own figures are read and exported, from the next scrape on; a reload may change it."""
        self._host_metrics = wanted
        self.scrape.forget()

    async def _make(self) -> Scrape:
        run, surveyor = self._feed.run, self._surveyor
        containers, namespaces = await run(surveyor.begin)
        self._listing = surveyor.listing_number
        found: list[Surveyed] = []
        for first in range(0, len(containers), AT_ONCE):
            found += await run(partial(surveyor.read, containers[first : first + AT_ONCE], namespaces))
        return each_network_once(found), await run(partial(self._own, len(found)))

    # -- in the sampling thread

    def _own(self, containers: int) -> SelfMetrics:
        feed, sampler = self._feed, self._feed.sampler
        host = self._host.read() if self._host_metrics else None
        cores = self._cores() if host is None else len(host.cpus)
        return SelfMetrics(
            cost=agent_cost(),
            containers=containers,
            passes=feed.passes,
            pass_seconds=feed.pass_seconds,
            pass_cpu_seconds=feed.pass_cpu_seconds,
            pass_interval_seconds=feed.stretched() or 0.0,
            overruns=feed.crew.overruns,
            stuck=feed.crew.stuck,
            read_errors=dict(sampler.read_errors),
            followers=self._follower.clients,
            mem_total_bytes=sampler.mem_total(),
            cores=cores or None,
            host=host,
        )

    def _cores(self) -> int:
        try:
            return parse_host_stat(self._feed.sampler.root.read(PATH)).cores
        except (OSError, ParseError):
            return 0
