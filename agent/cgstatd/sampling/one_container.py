"""One container: from what a client wrote to its figures, running or not. Runs in the sampling thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from ..basics.text import printable
from ..host.identity import Identity, short
from ..host.runtimes.base import Metadata, State, is_hex_id
from . import rates
from .container import Container
from .lived import Lived, with_end
from .lookup import Known, candidates, doubled, merge, resolve, running
from .model import ContainerStats
from .network import Namespaces
from .sampler import Pending, Sampler

_STOPPED_SECONDS = 2.0
"""How long the list of stopped containers is believed."""
_NEW_SECONDS = 0.01
"""Seconds. The same where a name was not in the list (it may have been made since), or where state files were
written."""
_COSTS = 20.0
"""The list is believed for at least this many times as long as making it took: unknown names cost 5 % of a core at
most."""
_TRIES = 3
_LOOKED_AT = 10
"""If a name or prefix fits several, the state files of so many are looked at again."""


def identity_of(known: Known) -> Identity:
    """Of a container that has no cgroup, as answers show it."""
    name = printable(known.name) or short(known.id)
    return Identity(printable(known.id), name, known.runtime, known.owner_uid, known.metadata)


def ended_as(known: Known, lived: Lived) -> tuple[Identity, State]:
    """The same with the end that the agent saw, where the runtime keeps none; and the state that follows from it."""
    identity = identity_of(known)
    metadata = None if known.metadata is None else with_end(known.metadata, identity.id, lived.last)
    return identity._replace(metadata=metadata), metadata.state if metadata else known.state


def not_running(sampler: Sampler, known: Known) -> ContainerStats:
    """The figures of a container that has no cgroup, as of now."""
    clock = sampler.root.clock()
    identity = identity_of(known)
    return rates.stopped(identity, known.state, clock.time_ms, clock.monotonic_ns)


class _Identified(Protocol):
    @property
    def identity(self) -> Identity: ...


T = TypeVar("T", bound=_Identified)


def by_whole_id(wanted: str, those: Iterable[T]) -> Iterator[T]:
    """What is of the system's container with this whole id: the usual question, answered without a look at the disk.
    Nothing where it is none, or only users have it. An id that is a name may be ambiguous."""
    if is_hex_id(wanted):
        yield from (each for each in those if each.identity.id == wanted and not each.identity.owner_uid)


class ToRead(NamedTuple):
    """A running container, and what its reading shares with others."""

    container: Container
    namespaces: Namespaces


class OneContainer:
    """Answers for single containers, with the list of stopped ones that is kept for it."""

    def __init__(self, sampler: Sampler, clock: Callable[[], float] = time.monotonic) -> None:
        self._sampler = sampler
        self._clock = clock
        self._stopped: tuple[float, list[Metadata], int] = (-1e9, [], 0)
        """When, what, and how often state files had been written by then."""
        self._cost = 0.0
        """What making that list took, in seconds."""

    def outdated(self) -> bool:
        """Whether state files were written since the list of stopped containers was made. Any thread may ask."""
        return self._stopped[2] != self._sampler.registry.written

    def known(self) -> list[Known]:
        """Every container there is, stopped ones included. Raises ListingFailed."""
        live = self._sampler.containers()
        same = self._stopped[2] == self._sampler.registry.written
        known = self._merged(live, _STOPPED_SECONDS if same else _NEW_SECONDS)
        if self._anything_new(doubled(known)):
            known = self._merged(self._sampler.containers(), 0.0)
        return known

    def find(self, wanted: str) -> Known:
        """The container that a client means, by its state files. Raises NotFound, Ambiguous, ListingFailed.

        Before a name is answered or called ambiguous, the state files of the containers that it fits are looked at
        again. Where it fits none, everything that may have changed is.
        """
        live = self._sampler.containers()
        found = next((each for each in by_whole_id(wanted, live) if not each.over), None)
        if found is not None:
            return running(found)
        max_age, hurry = _STOPPED_SECONDS, False
        for _ in range(_TRIES):
            known = self._merged(self._sampler.containers(hurry), max_age)
            fits = candidates(wanted, known)
            if (fits and not self._anything_new(fits[:_LOOKED_AT])) or (hurry and not fits):
                break
            max_age, hurry = (0.0 if fits else _NEW_SECONDS), True
        return resolve(wanted, known)

    def _merged(self, live: Sequence[Container], max_age: float) -> list[Known]:
        return merge([each for each in live if not each.over], self._on_disk(max_age))

    def _anything_new(self, several: Sequence[Known]) -> bool:
        """Whether the state files of any of these say something else by now."""
        live = [each.target for each in several if isinstance(each.target, Container)]
        stored = [each.target for each in several if isinstance(each.target, Metadata)]
        changed = self._sampler.registry.look_again(live) if live else False
        return any([self._sampler.names.again(each) != each for each in stored]) or changed

    def find_to_read(self, wanted: str, freshness_seconds: float) -> ToRead | ContainerStats:
        """What is to be read for its figures; a reading that is not older than ``freshness_seconds`` will do.

        Raises NotFound, Ambiguous, ListingFailed.
        """
        found = self.find(wanted)
        if not isinstance(found.target, Container):
            return not_running(self._sampler, found)
        last = found.target.last
        same = last is not None and last.identity is found.target.identity
        if last is not None and same and self._age_ns(last) < freshness_seconds * 1e9:
            return last
        return ToRead(found.target, self._sampler.namespaces())

    def read(self, found: ToRead | ContainerStats) -> ContainerStats | Pending:
        """Its figures. Raises NotFound, ReadingFailed."""
        if isinstance(found, ContainerStats):
            return found
        return self._sampler.read(*found) or self._stopped_now(found.container.identity.id)

    def second(self, first: Pending) -> ContainerStats:
        """The figures of a container that needed a second reading. Raises NotFound, ReadingFailed."""
        return self._sampler.second(first) or self._stopped_now(first.begun.container.identity.id)

    def _stopped_now(self, container_id: str) -> ContainerStats:
        """It stopped while it was read: the state on disk answers for it, if there is any. Raises NotFound."""
        return not_running(self._sampler, resolve(container_id, merge([], self._on_disk(0.0))))

    def _age_ns(self, last: ContainerStats) -> int:
        return self._sampler.root.clock().monotonic_ns - last.monotonic_ns

    def _on_disk(self, max_age: float) -> list[Metadata]:
        """``max_age``: seconds; 0: now, whatever it takes."""
        at, found, _ = self._stopped
        began = self._clock()
        if not max_age or began - at > max(max_age, _COSTS * self._cost):
            written = self._sampler.registry.written
            found = list(self._sampler.names.on_disk())
            self._cost = self._clock() - began
            self._stopped = (began + self._cost, found, written)
        return found
