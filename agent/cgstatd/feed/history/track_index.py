"""Finds lives by their id, the beginning of it, their name, or their rounds, without a look at the others.

Containers are input: a user may start and end tens of thousands within the hour, and then ask for one that is none.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TypeVar

from ...sampling.history_model import Subject
from ...sampling.lookup import Ambiguous
from .disk_model import Wanted, Who, Workload
from .tracks import Track

K = TypeVar("K")
_MOST_FITS = 100
"""Of so many ids with the same beginning the latest is looked for; where there are more, a client has to say more."""


class TrackIndex:
    """Used in the event loop."""

    def __init__(self) -> None:
        self._lives: dict[str, list[Track]] = {}
        """By id, in the order in which they began."""
        self._ids: list[str] = []
        """In order."""
        self._workloads: dict[str, list[Track]] = {}
        self._named: dict[tuple[str, bool, bool], list[Track]] = {}
        """By name, whether it is the system's, whether it has not ended. The latest is the last."""
        self._ended: dict[int, list[Track]] = {}
        """By the last round that has a part of it."""
        self._earliest: dict[int, int] = {}
        """The same rounds: the first round of any of these lives."""

    def begun(self, track: Track) -> None:
        """A new life."""
        known = self._lives.get(track.life.id)
        if known is None:
            self._lives[track.life.id] = [track]
            insort(self._ids, track.life.id)
        else:
            known.append(track)
        self._describe(track)

    def ended(self, track: Track, change: int) -> None:
        """A life has ended, and this is the last round that has a part of it."""
        if track.ended is not None:
            self._leave(track)
            track.ended = change
        else:
            self._undescribe(track, track.subject)
            track.ended = change
            self._describe(track)
        self._ended.setdefault(change, []).append(track)
        self._earliest[change] = min(track.first, self._earliest.get(change, track.first))

    def described(self, track: Track, before: Subject) -> None:
        """What is remembered of it was ``before``."""
        self._undescribe(track, before)
        self._describe(track)

    def forgotten(self, track: Track) -> None:
        """An ended life that is not kept any more."""
        self._undescribe(track, track.subject)
        self._leave(track)
        track.ended = None  # it may still have marks that wait for their round
        _remove(self._lives, track.life.id, track)
        if track.life.id not in self._lives:
            del self._ids[bisect_left(self._ids, track.life.id)]

    def _leave(self, track: Track) -> None:
        if track.ended is not None:
            _remove(self._ended, track.ended, track)
            if track.ended not in self._ended:
                del self._earliest[track.ended]

    def _describe(self, track: Track) -> None:
        self._named.setdefault(_key(track, track.subject), []).append(track)
        if track.subject.workload is not None:
            self._workloads.setdefault(track.subject.workload, []).append(track)

    def _undescribe(self, track: Track, subject: Subject) -> None:
        _remove(self._named, _key(track, subject), track)
        if subject.workload is not None:
            _remove(self._workloads, subject.workload, track)

    # -- what is asked for

    def lives_of(self, wanted: Wanted) -> list[Track]:
        """Every life of a container, or of a workload."""
        if isinstance(wanted, Workload):
            return self._workloads.get(wanted.text, [])
        return [each for each in self._lives.get(wanted[2], ()) if each.life[:3] == wanted]

    def ended_within(self, first: int, last: int) -> Iterator[Track]:
        """Those whose last round is this one or later, where some began by another."""
        for change, tracks in self._ended.items():
            if change >= first and self._earliest[change] <= last:
                yield from tracks

    def newest(self, wanted: str) -> Who | None:
        """The container with an id, a name or the beginning of an id; the latest where several fit, the system's first.

        Raises Ambiguous.
        """
        if wanted in self._lives:
            return _latest(self._lives[wanted]).life[:3]
        for system, living in ((True, True), (True, False), (False, True), (False, False)):
            if found := self._named.get((wanted, system, living)):
                return found[-1].life[:3]
        begin = bisect_left(self._ids, wanted)
        end = bisect_left(self._ids, f"{wanted}\U0010ffff", begin)
        if end - begin > _MOST_FITS:
            raise Ambiguous(f"{wanted} is the beginning of the ids of {end - begin} containers")
        fits = [_latest(self._lives[each]) for each in self._ids[begin:end]]
        return _latest(fits).life[:3] if fits else None


def _key(track: Track, subject: Subject) -> tuple[str, bool, bool]:
    return subject.name, not track.life.owner_uid, track.ended is None


def _latest(tracks: list[Track]) -> Track:
    return max(tracks, key=lambda each: (not each.life.owner_uid, each.last))


def _remove(lists: dict[K, list[Track]], key: K, track: Track) -> None:
    """What is not kept any more is mostly the oldest: the first of its list."""
    found = lists[key]
    found.remove(track)
    if not found:
        del lists[key]
