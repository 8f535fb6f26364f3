"""What one scrape is made of: every container's exported figures, the workloads, and the agent's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..outputs.metric_families import EXPORTED_FIELDS
from ..outputs.own_metrics import Called, Notified, OwnMetrics, PressureFigures
from ..outputs.workload_families import WorkloadMetrics
from ..sampling.container import Container
from ..sampling.exported_metrics import ContainerMetrics, Listed, MetricsReader, each_network_once
from ..sampling.history_work import life_of
from ..sampling.host_figures import agent_cost
from ..sampling.host_metrics import HostMetricsReader
from ..sampling.network import Namespaces
from .coalesced import Coalesced
from .follow.follower import Follower
from .lives import View
from .shared_passes import Feed
from .workloads import workloads_of

if TYPE_CHECKING:
    from .history.reading import History
    from .pressure.watch import PressureWatch

_BUSY_PART = 0.25
"""However many ask, and however little time the host has for the agent, scrapes are made for this part of the time."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Scrape = tuple[list[ContainerMetrics], list[WorkloadMetrics], OwnMetrics]


class FiguresSource(Protocol[T_co]):
    """Something that counts what it does."""

    def figures(self) -> T_co | None:
        """The counts; None: it is off. Any thread may ask."""


def _figures(source: FiguresSource[T] | None) -> T | None:
    return None if source is None else source.figures()


class Scraper:
    """Used in the event loop."""

    def __init__(
        self,
        feed: Feed,
        follower: Follower,
        fresh_seconds: float = 0.5,
        *,
        history: History | None = None,
        pressure: PressureWatch | None = None,
        webhook: FiguresSource[Notified] | None = None,
        dockhand: FiguresSource[Called] | None = None,
    ) -> None:
        """``dockhand``: the connection to a server of Dockhand's."""
        self._feed = feed
        self._follower = follower
        self._disk = None if history is None else history.disk
        self._pressure: FiguresSource[PressureFigures] | None = pressure
        self._webhook, self._dockhand = webhook, dockhand
        self._metrics_reader = MetricsReader(feed.sampler, EXPORTED_FIELDS)
        self._host = HostMetricsReader(feed.sampler.root, partial(feed.sampler.names.say_once, "host"))
        self._host_metrics = True
        self._listing = -1
        self.labels: Sequence[str] = ()
        """Container labels that become metric labels."""
        self.scrape: Coalesced[Scrape] = Coalesced(
            self._make,
            fresh_seconds,
            lambda: feed.sampler.registry.changed_since(self._listing),
            busy_part=_BUSY_PART,
            cost=lambda: self._metrics_reader.cpu_seconds,
            overloaded=feed.overloaded,
        )

    def export(self, labels: Sequence[str], *, host: bool) -> None:
        """What is exported from the next scrape on: these labels, and the host's own figures or not; a reload may
        change it."""
        self._feed.sampler.names.want(labels)
        self.labels, self._host_metrics = labels, host
        self.scrape.forget()

    async def _make(self) -> Scrape:
        run, metrics_reader = self._feed.run, self._metrics_reader
        containers, namespaces = await run(metrics_reader.begin)
        self._listing = metrics_reader.listing_number
        read = dict(await self._feed.each(partial(self._read, namespaces), containers))
        self._count_kills(read)
        workloads, left_out = await run(partial(self._workloads, read, self._follower.lives.view()))
        own = await run(partial(self._own, len(read), left_out))
        return each_network_once(list(read.values())), workloads, own._replace(pressure=_figures(self._pressure))

    def _count_kills(self, read: Mapping[Container, ContainerMetrics]) -> None:
        """Of containers that live: of the others their end tells."""
        for container, each in read.items():
            if each.kills is not None and each.kills[1] > each.kills[0] and not (container.closed or container.over):
                self._follower.lives.counted(each.identity, life_of(container), *each.kills)

    # -- in the sampling thread

    def _read(self, namespaces: Namespaces, listed: Listed) -> tuple[Container, ContainerMetrics] | None:
        found = self._metrics_reader.read(namespaces, listed)
        return None if found is None else (listed[0], found)

    def _workloads(self, read: Mapping[Container, ContainerMetrics], view: View) -> tuple[list[WorkloadMetrics], int]:
        """Those that do not run are known as the list of containers knows them. Raises ListingFailed."""
        return workloads_of(self._feed.known(), read, view)

    def _own(self, containers: int, left_out: int) -> OwnMetrics:
        feed, sampler = self._feed, self._feed.sampler
        host = self._host.read() if self._host_metrics else None
        stat = sampler.host.stat() if host is None else None
        cores = len(host.cpus) if host is not None else stat.cores if stat is not None else 0
        return OwnMetrics(
            cost=agent_cost(),
            containers=containers,
            workloads_left_out=left_out,
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
            disk=_figures(self._disk),
            notified=_figures(self._webhook),
            called=_figures(self._dockhand),
        )
