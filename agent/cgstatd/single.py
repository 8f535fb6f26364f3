"""One container: from what a client wrote to its figures, running or not. Runs in the sampling thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from . import derive
from .container import Watched
from .lookup import Known, NotFound, merge, resolve, running
from .runtimes.base import Metadata, is_hex_id
from .sample import ContainerStats, Identity
from .sampler import Pending, Sampler

_STOPPED_SECONDS = 2.0
"""How long the list of stopped containers is believed."""
_MISSED_SECONDS = 0.2
"""The same where a name was not in it: it may have been made since, but unknown names cost nobody a look each."""
_COSTS = 20.0
"""How many times as long as making it took the list is believed at least: unknown names cost 5 % of a core at most."""


def not_running(sampler: Sampler, known: Known) -> ContainerStats:
    """The figures of a container that has no cgroup, as of now."""
    clock = sampler.root.clock()
    identity = Identity(known.id, known.name, known.runtime, known.owner_uid, known.metadata)
    return derive.stopped(identity, known.state, clock.time_ms, clock.monotonic_ns)


class Single:
    """Answers for single containers, with the list of stopped ones that is kept for it."""

    def __init__(self, sampler: Sampler, clock: Callable[[], float] = time.monotonic) -> None:
        self._sampler = sampler
        self._clock = clock
        self._stopped: tuple[float, list[Metadata]] = (-1e9, [])
        self._cost = 0.0
        """What that look took, in seconds."""

    def known(self) -> list[Known]:
        """Every container there is, stopped ones included. Raises ListingFailed."""
        return merge(self._sampler.containers(), self._on_disk(_STOPPED_SECONDS))

    @staticmethod
    def _by_whole_id(wanted: str, live: Sequence[Watched]) -> Known | None:
        """The usual question, answered without a look at what is on disk; ids that are names may be ambiguous."""
        return next((running(w) for w in live if w.identity.id == wanted and not w.identity.owner_uid), None)

    def read(self, wanted: str, freshness_seconds: float) -> ContainerStats | Pending:
        """Its figures; a reading that is not older than ``freshness_seconds`` will do.

        Raises NotFound, Ambiguous, ListingFailed, ReadingFailed.
        """
        live = self._sampler.containers()
        found = self._by_whole_id(wanted, live) if is_hex_id(wanted) else None
        found = found or self._look_up(wanted, live)
        if isinstance(found.target, Watched):
            last = found.target.last
            if last is not None and self._age_ns(last) < freshness_seconds * 1e9:
                return last
            result = self._sampler.read(found.target, self._sampler.namespaces())
            if result is not None:
                return result
            return self._stopped_now(found.id)
        return not_running(self._sampler, found)

    def _look_up(self, wanted: str, live: Sequence[Watched]) -> Known:
        try:
            return resolve(wanted, merge(live, self._on_disk(_STOPPED_SECONDS)))
        except NotFound:
            return resolve(wanted, merge(live, self._on_disk(_MISSED_SECONDS)))

    def second(self, first: Pending) -> ContainerStats:
        """The figures of a container that needed a second reading. Raises NotFound, ReadingFailed."""
        return self._sampler.second(first) or self._stopped_now(first.begun.watched.identity.id)

    def _stopped_now(self, container_id: str) -> ContainerStats:
        """It stopped while it was read: what is on disk answers for it, if anything does. Raises NotFound."""
        return not_running(self._sampler, resolve(container_id, merge([], self._on_disk(0.0))))

    def _age_ns(self, last: ContainerStats) -> int:
        return self._sampler.root.clock().monotonic_ns - last.monotonic_ns

    def _on_disk(self, max_age: float) -> list[Metadata]:
        """``max_age``: seconds; 0: now, whatever it takes."""
        at, found = self._stopped
        began = self._clock()
        if not max_age or began - at > max(max_age, _COSTS * self._cost):
            found = list(self._sampler.names.on_disk())
            self._cost = self._clock() - began
            self._stopped = (began + self._cost, found)
        return found
