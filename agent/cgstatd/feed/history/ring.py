"""The ring: what the last rounds were, within a number of rounds and a number of bytes.

Containers are input: a user may start and end thousands within the hour. Beyond the bytes the owner with the most gives
way first, with its dead before its living. A round of which anything was dropped so says that it is not complete.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from ...sampling.history_model import Life, Subject, Taken
from .series import ROWS, Series
from .track_index import TrackIndex
from .tracks import HOST, Lived, Mark, Snapshot, Track

BUDGET_BYTES = 32 << 20
"""An hour of 100 containers that work takes some 4 MB of it."""


class Ring:
    """Used in the event loop."""

    def __init__(
        self, rounds: int, interval_seconds: float, budget: int = BUDGET_BYTES, name: str = "", boot: str = ""
    ) -> None:
        """``rounds``: points of the grid that are kept; ``name``: of this run of the agent, in cursors; ``boot``: the
        kernel's id of this boot, empty where it is not known."""
        self.name = name or secrets.token_hex(4)
        self.boot = boot
        self.interval_seconds = interval_seconds
        self.rounds = rounds
        self.budget = budget
        self.host = Series(HOST)
        self.began_ns: int | None = None
        """Monotonic clock of the grid's point 0."""
        self.incomplete = -1
        """Up to this round some containers were dropped to save memory."""
        self.used = 0
        """Bytes of all tracks."""
        self._living: dict[Life, Track] = {}
        self._dead: dict[int, OrderedDict[int, Track]] = {}
        """By owner, the first that died first."""
        self._owned: dict[int, int] = {}
        """Bytes by owner."""
        self._begun = 0
        self.index = TrackIndex()

    @property
    def last(self) -> int:
        """The number of the latest round; -1: there was none."""
        return self.host.last

    @property
    def first(self) -> int:
        """The oldest round that a client may still ask for."""
        return max(self.host.first, self.last - self.rounds + 1)

    def tracks(self) -> Iterator[Track]:
        """Every life that is known, the ended ones first."""
        return chain(*(each.values() for each in self._dead.values()), self._living.values())

    def living(self) -> Collection[Track]:
        """The lives that the last round had."""
        return self._living.values()

    def lives(self, first: int, last: int, of: Iterable[Track] | None = None) -> list[Lived]:
        """Every life that had a part in these rounds, in the order in which they began; ``of``: of these alone."""
        among = chain(self.index.ended_within(first, last), self._living.values()) if of is None else of
        found = [each for each in among if each.last >= first and each.first <= last]
        return [
            Lived(each.life, each.subject, each.first, each.last, each.ended, tuple(each.marks),
                  each.series.between(first, last))
            for each in sorted(found, key=lambda each: (each.first, each.last))
        ]  # fmt: skip

    def snapshot(self, first: int, last: int, of: Iterable[Track] | None = None) -> Snapshot:
        """Rounds that the ring has, and what these have of all lives, or ``of`` some."""
        return Snapshot(
            first, last, self.incomplete, self.boot, self.host.between(first, last), self.lives(first, last, of)
        )

    def add(self, number: int, taken: Taken, gap: int) -> None:
        """A round; ``gap``: why there was none at the points of the grid before (:class:`~.gaps.Gap`)."""
        news = self.last >= 0
        for life, (subject, started_ms) in taken.listed.items():
            track = self._living.get(life)
            if track is None:
                track = self._begin(life, subject, number)
                if news:
                    track.marks.append(Mark(number, "start", _plausible(started_ms, taken.time_ms)))
                self._count(track)
            track.last = number
            if track.subject is not subject:
                name, track.subject = track.subject.name, subject
                self.index.renamed(track, name)
                self._count(track)
            self._take(track, number, taken, news)
        for end in taken.ended:
            if (track := self._living.pop(end.life, None)) is not None:
                at = _plausible(end.finished_ms, taken.time_ms)
                self._end(track, Mark(number, "exit", at, None, end.exit_code, end.oom_killed))
        row = (taken.time_ms, taken.monotonic_ns, taken.boottime_ns, gap, *taken.host)
        self.host.append(number, row)
        self._age(number - self.rounds + 1)
        self._shrink()

    def _begin(self, life: Life, subject: Subject, number: int) -> Track:
        self._begun += 1
        track = self._living[life] = Track(life, subject, number, self._begun)
        self.index.begun(track)
        return track

    def _take(self, track: Track, number: int, taken: Taken, news: bool) -> None:
        sample = taken.samples.get(track.life)
        if sample is not None:
            size = track.series.size
            track.series.append(number, sample)
            self._grow(track, track.series.size - size)
            total, before = sample.oom_kills, track.oom_kills
            if before is None and news and track.first == number:
                before = 0
            if total is not None:
                track.oom_kills = total
                if before is not None and total > before:
                    track.marks.append(Mark(number, "oom", taken.time_ms, total - before))
                    self._count(track)

    def _end(self, track: Track, mark: Mark) -> None:
        if mark.oom_killed and not any(each.event == "oom" for each in track.marks):
            track.marks.append(Mark(mark.round, "oom", mark.time_ms))
        track.marks.append(mark)
        track.ended, track.last = True, mark.round
        self.index.ended(track, mark.round)
        track.series.shut()
        self._dead.setdefault(track.life.owner_uid, OrderedDict())[track.serial] = track
        self._count(track)

    def _count(self, track: Track, now: int | None = None) -> None:
        """Bring the sums up to date; ``now``: the bytes of the track, where it is gone."""
        self._grow(track, (track.weigh() if now is None else now) - track.bytes)
        owner = track.life.owner_uid
        if not self._owned[owner]:
            del self._owned[owner]

    def _grow(self, track: Track, more: int) -> None:
        owner = track.life.owner_uid
        self.used += more
        self._owned[owner] = self._owned.get(owner, 0) + more
        track.bytes += more

    def _age(self, oldest: int) -> None:
        self.host.drop_before(oldest)
        for owner in list(self._dead):
            dead = self._dead[owner]
            while dead and next(iter(dead.values())).last < oldest:
                self._forget(owner)
        chunk = oldest % ROWS == 0  # there may be very many that are dead
        for track in self.tracks() if chunk else self._living.values():
            if track.ages < oldest:
                track.series.drop_before(oldest)
                track.marks = [mark for mark in track.marks if mark.round >= oldest]
                track.ages = min([track.series.ages, *(mark.round for mark in track.marks[:1])])
                self._count(track)

    def _forget(self, owner: int) -> Track:
        """Drop what died first of an owner's."""
        dead = self._dead[owner]
        _, track = dead.popitem(last=False)
        self.index.forgotten(track)
        self._count(track, 0)
        if not dead:
            del self._dead[owner]
        return track

    def _shrink(self) -> None:
        """Back within the budget: the owner with the most gives way."""
        while self.used + self.host.size > self.budget and self._owned:
            owner = max(self._owned, key=lambda uid: self._owned[uid])
            if owner in self._dead:
                self.incomplete = max(self.incomplete, self._forget(owner).last)
            elif not self._shorten([each for each in self._living.values() if each.life.owner_uid == owner]):
                return

    def _shorten(self, tracks: list[Track]) -> bool:
        """Compress what is not, and drop the oldest rounds of each; whether that freed anything."""
        before = self.used
        for track in tracks:
            track.series.shut()
            self._count(track)
        if self.used + self.host.size > self.budget:
            for track in tracks:
                self.incomplete = max(self.incomplete, track.series.drop_oldest())
                self._count(track)
        return self.used < before


def _plausible(recorded_ms: int | None, noticed_ms: int) -> int:
    """When it happened: what a runtime recorded is believed where it is not later than the round that noticed it."""
    return noticed_ms if recorded_ms is None or not 0 <= recorded_ms <= noticed_ms else recorded_ms
