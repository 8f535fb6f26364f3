"""What the sampling thread does in a pass: list the containers, then read them, a group at a time in three rounds.

First the cgroup files of a whole group, then its net/dev, then what both make: going from kind to kind rather than from
container to container keeps the processor's caches warm, which was a third of a pass' cost (20 of 60 us a container).
"""

from __future__ import annotations

import logging
import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from operator import itemgetter

from ..host.identity import Identity
from .container import Begun, Container
from .model import ContainerStats
from .network import Namespaces, Traffic
from .reading_failed import ReadingFailed
from .registry import ListingFailed, ListingUnderWay
from .sampler import Pending, Sampler
from .work_item import Again, Item, taken_out

log = logging.getLogger(__name__)

CPU_WINDOW_SECONDS = 0.2
"""Between the two readings of a container without an older baseline: two CFS periods of 100 ms."""
_GROUP = 64
"""Containers: a few milliseconds' worth, so that one's figures are of about one instant, and results come steadily."""


def wait_seconds(pending: Pending) -> float:
    """How long the second reading has to wait: the window counts from the container's baseline, if it has one."""
    return max(0.0, CPU_WINDOW_SECONDS - pending.base_age_ns / 1e9)


def _nothing() -> None:
    """In place of callbacks that are called no more."""


class PassWork:
    """The readings of one pass. Its methods run in the sampling thread, its fields are looked at from the event loop.

    One item of work is one container's cgroup files, or its net/dev: what hangs holds up nothing else.
    """

    def __init__(
        self, sampler: Sampler, listed: Callable[[], None], encode: Callable[[ContainerStats], bytes] | None = None
    ) -> None:
        """``listed``: called (in the sampling thread) once the containers are known. ``encode``: applied to all stats
        as they are made, while they are in the processor's cache."""
        self._sampler = sampler
        self.encode = encode
        self.listed = listed
        self._containers: Iterator[Container] = iter(())
        self._namespaces: Namespaces
        self._read: deque[tuple[Begun, Traffic]] = deque()
        self.items: deque[Item] = deque([Again(self._list)])
        """The work that is left: the job's items."""
        self.stats: list[ContainerStats] = []
        """The stats, in the order in which they became known."""
        self.encoded: list[bytes] = []
        """The same encoded, one by one, if there is an encoder; then never shorter than ``stats``."""
        self.pending: deque[tuple[float, Pending]] = deque()
        """The readings that need a second one, and when (monotonic)."""
        self.outstanding: dict[Container, Identity] = {}
        """The containers still to be read, under the names of the listing: none is there twice, even if one is renamed
        since."""
        self.left_out: set[Container] = set()
        """The containers that are there and could not be read."""
        self.failure: ListingFailed | None = None
        """Why the containers could not be listed, or why not all of them were read."""
        self._listed = False
        self.under_way = False
        """Another thread is listing the containers: the listing has to be asked for again."""
        self.listing_number = 0
        """The number of its listing."""
        self.over = False
        """Set once no request wants further results."""

    def list_again(self) -> None:
        """Another thread was listing the containers: ask again. Called while no item is left."""
        self.under_way = False
        self.items.append(Again(self._list))

    def _list(self) -> None:
        try:
            containers = self._sampler.containers()
            self.listing_number = self._sampler.registry.number
            self._namespaces = self._sampler.namespaces()
        except ListingUnderWay:
            self.under_way = True
            return
        except ListingFailed as error:
            self.failure = error
            return
        except Exception as error:
            log.exception("listing the containers")
            self.failure = ListingFailed(f"cannot list the containers: {error!r}")
            return
        if self.over or self._listed:  # it took too long; or its thread was left behind just as it was done
            return
        self._listed = True
        self.outstanding = {container: container.identity for container in containers}
        self._containers = iter(containers)
        self._next_group()
        self.listed()

    def _next_group(self) -> None:
        """The figures of the group before, the next containers' cgroup files, the group after.

        Each container queues its own net/dev when its cgroup files are read, behind all that.
        """
        self.items.append(self._make)
        group = [partial(self._counters, container) for container in islice(self._containers, _GROUP)]
        if group:
            self.items.extend(group)
            self.items.append(self._next_group)

    def _counters(self, container: Container) -> None:
        try:
            begun = self._sampler.begin(container)
        except Exception as error:
            self._left_out(container, error)
            return
        if begun is None:
            self.outstanding.pop(container, None)
        elif not self.over:
            self.items.append(partial(self._traffic, begun))

    def _traffic(self, begun: Begun) -> None:
        try:
            traffic = self._sampler.traffic(begun, self._namespaces)
        except Exception as error:
            self._left_out(begun.container, error)
        else:
            if traffic is None:
                self.outstanding.pop(begun.container, None)
            else:
                self._read.append((begun, traffic))
        if not self.items and self._read:  # it hung, or one beside it did, and the others' figures were made meanwhile
            self.items.append(self._make)

    def _make(self) -> None:
        """Make the figures of a group that was read."""
        now = time.monotonic()
        for begun, traffic in taken_out(self._read):
            try:
                result = self._sampler.finish(begun, traffic)
            except Exception as error:
                self._left_out(begun.container, error)
                continue
            if isinstance(result, Pending) and not self.over:
                insort(self.pending, (now + wait_seconds(result), result), key=itemgetter(0))
            else:
                self._take(begun.container, result)

    def end(self) -> None:
        """No request wants further results.

        Also drops the callbacks: they refer to objects that refer to this one, in a circle.
        """
        self.over = True
        self.listed = _nothing

    def second(self, pending: Pending) -> None:
        """The second reading of a container that had no CPU baseline."""
        try:
            result = self._sampler.second(pending)
        except Exception as error:
            self._left_out(pending.begun.container, error)
            return
        self._take(pending.begun.container, result)

    def _take(self, container: Container, result: ContainerStats | Pending | None) -> None:
        if self.over:
            return
        identity = self.outstanding.get(container)
        if isinstance(result, ContainerStats):
            if identity is not None and identity is not result.identity:
                result = result._replace(identity=identity)
            if self.encode is not None:
                self.encoded.append(self.encode(result))
            self.stats.append(result)
        self.outstanding.pop(container, None)  # last: it is always in one of both

    def unread(self) -> frozenset[Container]:
        """The containers that are there, as far as is known, and have no figures. To be asked before ``stats``: one
        that is read meanwhile is in both."""
        return frozenset((*list(self.outstanding), *list(self.left_out)))

    def _left_out(self, container: Container, error: Exception) -> None:
        self.left_out.add(container)
        self.outstanding.pop(container, None)
        if (failure := self._sampler.out_of_resources(error)) is not None:
            self.failure = failure  # the agent's own trouble: a container that is left out is not gone
            return
        self._sampler.read_errors[error.field if isinstance(error, ReadingFailed) else "container"] += 1
        if not isinstance(error, ReadingFailed):
            log.error("container=%s", container.identity.id, exc_info=error)
        text = str(error) if isinstance(error, ReadingFailed) else repr(error)
        self._sampler.names.say_once(container.identity.id, f"left out: {text}")
