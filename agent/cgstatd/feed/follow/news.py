"""Whether cgroups came or went since the containers were listed, while clients follow; and when to look for that."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

from ...basics.event_loop import call_from_thread
from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed, Registry
from ..shared_passes import Feed
from .deaths import Notice
from .listing_pace import LONGEST_SECONDS, ListingPace
from .round_work import RoundWork


def hear_listings(registry: Registry, heard: Callable[[], None]) -> None:
    """Have the event loop told when a listing, which is in another thread, finds that containers came or went."""
    registry.came_or_went = partial(call_from_thread, asyncio.get_running_loop(), heard)


class News:
    """Used in the event loop."""

    def __init__(self, feed: Feed, wake: Callable[[], None]) -> None:
        """``wake`` is called when something came or went."""
        self._feed = feed
        self._wake = wake
        self._notice = Notice(self._something)
        self._pace = ListingPace(feed.cpu_budget.apart)
        self._there = False
        self._tries = 0
        """Listings since the latest news."""
        self._started = False
        self._listing = False

    def start(self) -> None:
        """Also hear of what other requests' listings find: they take inotify's events."""
        hear_listings(self._feed.sampler.registry, self._listed_by_others)
        self._started = True

    def stop(self) -> None:
        """Hear of nothing more."""
        self._notice.close()
        if self._started:
            self._feed.sampler.registry.came_or_went = lambda: None
        self._started = self._there = False

    def listen(self) -> None:
        """Wait for inotify. What is known already stays readable until the listing, and would wake without pause."""
        if self._started and not self._there:
            self._notice.listen(self._feed.sampler.registry.news_fd)

    def due(self, looks: RoundWork) -> float:
        """When to list for it (CLOCK_MONOTONIC, seconds); infinite: there is no need to."""
        sampler = self._feed.sampler
        if self._there:
            return self._pace.due
        if not self._started or not sampler.root.live:
            return float("inf")
        if not looks.all_armed:  # a cgroup is made before there is a process in it
            return self._pace.again(self._tries)
        return float("inf") if sampler.registry.news_fd is not None else self._pace.listed + LONGEST_SECONDS

    @contextlib.contextmanager
    def listing(self, looks: RoundWork) -> Iterator[None]:
        """The containers are listed inside, for this or for another reason."""
        registry, news = self._feed.sampler.registry, self._there
        before = registry.number
        self._listing, self._there, self._tries = True, False, 0 if news else self._tries + 1
        self._pace.begun(time.monotonic())
        try:
            yield
        except (ListingFailed, ReadingFailed):
            self._there = news
            self._pace.failed()
            raise
        finally:
            self._listing = False
        self._pace.done(looks.cost_seconds, news=news, changed=registry.number != before)

    def _something(self) -> None:
        self._there = True
        self._wake()

    def _listed_by_others(self) -> None:
        if self._started and not self._listing:
            self._something()
