"""The sampling thread's own reading for a round of the history: all containers, in parts of some dozen.

A pass makes answers; this makes rows. It reads the same files by the same readers, and of each container three more,
but derives no figures and keeps no results beside the counters. Within a part it goes from kind to kind of file rather
than from container to container, as a pass does.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from cgroupfs import Vitals
from cgroupfs.hangs import still_wanted

from . import rates
from .container import Begun, Container
from .history_model import ContainerSample
from .network import Namespaces, Traffic
from .reading_failed import ReadingFailed
from .registry import OutOfResources
from .sampler import Sampler
from .work_item import taken_out

log = logging.getLogger(__name__)
_PART = 64
"""Containers: a few milliseconds' worth, after which a request for one container may go first."""
NOTHING = Vitals(None, None, None)


class HistoryReading:
    """One reading. Used in the sampling thread; each part may be begun anew in another one, where a file hangs."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.containers: list[Container] = []
        self.samples: dict[Container, ContainerSample] = {}
        """Without the containers that could not be read."""
        self.failure: OutOfResources | None = None
        """The agent's own trouble: what is not there may well be."""

    def parts(self) -> list[Callable[[], None]]:
        """List the containers; what reads them. Raises ListingFailed."""
        containers = self._sampler.containers()
        namespaces = self._sampler.namespaces()
        self.containers = containers
        starts = range(0, len(containers), _PART)
        groups = (deque(containers[start : start + _PART]) for start in starts)
        return [partial(self._read, group, deque[Begun](), namespaces) for group in groups]

    def _read(self, left: deque[Container], begun: deque[Begun], namespaces: Namespaces) -> None:
        """What is left of a part. A thread that was left behind with one of its containers has taken that out."""
        for container in taken_out(left):
            found = self._counters(container)
            still_wanted()
            if found is not None:
                begun.append(found)
        for each in taken_out(begun):
            traffic = self._traffic(each, namespaces)
            still_wanted()
            if traffic is not None:
                self.samples[each.container] = self._sample(each, traffic)

    def _counters(self, container: Container) -> Begun | None:
        try:
            return self._sampler.begin(container, vitals=True)
        except Exception as error:
            self._left_out(container, error)
            return None

    def _traffic(self, begun: Begun, namespaces: Namespaces) -> Traffic | None:
        try:
            return self._sampler.traffic(begun, namespaces)
        except Exception as error:
            self._left_out(begun.container, error)
            return None

    def _left_out(self, container: Container, error: Exception) -> None:
        if (failure := self._sampler.out_of_resources(error)) is not None:
            self.failure = failure
        elif isinstance(error, ReadingFailed):
            self._sampler.failed(container, error)
        else:
            self._sampler.read_errors["container"] += 1
            log.error("container=%s", container.identity.id, exc_info=error)

    def _sample(self, begun: Begun, traffic: Traffic) -> ContainerSample:
        """The row of a container; its CPU time is also the base of the next answers' figures."""
        sampler, counters = self._sampler, begun.counters
        traffic = sampler.counted(begun, traffic)
        vitals = begun.vitals or NOTHING
        return ContainerSample(
            begun.clock.monotonic_ns,
            int(bool(counters.frozen)),
            counters.cpu_usage_nsec,
            counters.memory_usage_bytes,
            counters.inactive_file_bytes,
            rates.memory_limit(counters.memory_max_bytes, sampler.host.known_mem_total),
            traffic.rx_bytes,
            traffic.tx_bytes,
            traffic.namespace,
            counters.io_read_bytes,
            counters.io_write_bytes,
            *vitals,
            traffic.read_ns or None,
            begun.io_read_ns or None,
            *begun.container.highest.take(),
            begun.throttled_nsec,
        )
