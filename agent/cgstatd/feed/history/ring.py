"""The ring: what the last rounds were, within a number of rounds and a number of bytes.

Containers are input: a user may start and end thousands within the hour. Beyond the bytes the owner with the most gives
way first, with its dead before its living. A round of which anything was dropped so says that it is not complete.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain

from ...sampling.history_model import Life, Subject, Taken
from ...sampling.pressure.found import Found
from ...sampling.round import Changes
from .marks import happened
from .series import ROWS, Series
from .tracks import HOST, RUNS, Lived, Mark, Snapshot, Track
from .waits import FOREVER_NS, Waits

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
        self._short: dict[Life, Track] = {}
        """Those of the living that no round has listed yet."""
        self._unexplained: dict[Life, Track] = {}
        """Those of the dead whose end is not told yet."""
        self._unplaced: list[Track] = []
        """Those that have marks since the latest round."""
        self._owned: dict[int, int] = {}
        """Bytes by owner."""
        self._begun = 0
        self._waits = Waits()

    @property
    def last(self) -> int:
        """The number of the latest round; -1: there was none."""
        return self.host.last

    @property
    def first(self) -> int:
        """The oldest round that a client may still ask for."""
        return max(self.host.first, self.last - self.rounds + 1)

    @property
    def living(self) -> Collection[Life]:
        """The lives that go on, as far as is known."""
        return self._living.keys()

    def tracks(self) -> Iterator[Track]:
        """Every life that is known, the ended ones first."""
        return chain(*(each.values() for each in self._dead.values()), self._living.values())

    def lives(self, first: int, last: int, fits: Callable[[Track], bool] = lambda _: True) -> list[Lived]:
        """Every life that had a part in these rounds, or begins behind them, in the order in which they began."""
        found = self.where(lambda each: each.last >= first and each.first <= last + 1 and fits(each))
        return [
            Lived(each.life, each.subject, each.first, each.last, each.listed, tuple(each.marks),
                  each.series.between(first, last))
            for each in found
        ]  # fmt: skip

    def snapshot(self, first: int, last: int, fits: Callable[[Track], bool] = lambda _: True) -> Snapshot:
        """Rounds that the ring has, and what these have of the containers that fit."""
        return Snapshot(
            first, last, self.incomplete, self.boot, self.host.between(first, last), self.lives(first, last, fits)
        )

    def add(self, number: int, taken: Taken, gap: int) -> None:
        """A round; ``gap``: why there was none at the points of the grid before (:class:`~.gaps.Gap`)."""
        self._note(self._waits.expired(taken.monotonic_ns))
        self._place_marks(number)
        for life, subject in taken.listed.items():
            track = self._living.get(life) or self._begin(life, subject, number)
            self._short.pop(life, None)
            track.listed = number if track.listed is None else track.listed[0], number
            track.last = number
            if track.subject is not subject:
                track.subject = subject
                self._count(track)
            if (sample := taken.samples.get(life)) is not None:
                size = track.series.size
                track.series.append(number, sample)
                self._grow(track, track.series.size - size)
        for life in (*taken.gone, *(life for life, each in self._short.items() if each.first < number)):
            self._bury(life, number)
        row = (taken.time_ms, taken.monotonic_ns, taken.boottime_ns, gap, *taken.host)
        self.host.append(number, row)
        self._age(number - self.rounds + 1)
        self._shrink()

    def hear(self, found: Changes, now_ms: int) -> None:
        """What happened, whether or not a round sees the lives; ``now_ms``: milliseconds since the epoch."""
        for life, subject, mark in happened(found, now_ms):
            track = self._living.get(life) or self._unexplained.get(life)
            if track is None:
                track = self._short[life] = self._begin(life, subject, self.last + 1)
            self._mark(track, mark)
            if mark.event in RUNS:
                track.over = mark.event == "exit"
            if track.over:
                self._unexplained.pop(life, None)
                if track.listed is None:
                    self._bury(life, self.last + 1)
        self._shrink()

    def looked(self, found: Found) -> None:
        """What waits, and why."""
        self._note(self._waits.looked(found))

    def checked(self, found: Iterable[tuple[Life, str]], now_ms: int) -> None:
        """What the health checks of containers say now; a change is a mark."""
        for life, health in found:
            track = self._living.get(life)
            if track is not None and track.health != health:
                if track.health is not None:
                    self._mark(track, Mark(0, "health", now_ms, health=health))
                track.health = health
        self._shrink()

    def _note(self, marks: Iterable[tuple[Life, Mark]]) -> None:
        """Of lives that go on; of others nothing more is kept."""
        for life, mark in marks:
            if (track := self._living.get(life)) is not None:
                self._mark(track, mark)
        self._shrink()

    def _mark(self, track: Track, mark: Mark) -> None:
        before_ms = track.marks[-1].time_ms if track.marks else 0
        track.marks.append(mark._replace(round=self.last + 1, time_ms=max(before_ms, mark.time_ms)))
        self._reach(track, track.first, self.last + 1)
        self._unplaced.append(track)
        self._count(track)

    def settle(self) -> None:
        """No round will follow: what has happened since the last one goes with it, and no wait is seen any longer."""
        self._note(self._waits.expired(FOREVER_NS))
        if self.last >= 0:
            self._place_marks(self.last)

    def _place_marks(self, number: int) -> None:
        """Those since the round before are told by this one, whichever points of the grid had none."""
        expected = self.last + 1
        for track in self._unplaced if number != expected else ():
            track.marks = [each._replace(round=number) if each.round == expected else each for each in track.marks]
            self._reach(track, *(number if each == expected else each for each in (track.first, track.last)))
        self._unplaced.clear()

    @staticmethod
    def _reach(track: Track, first: int, last: int) -> None:
        """Other rounds are its first and its last, also of one that is dead."""
        track.first, track.last = first, last

    def _begin(self, life: Life, subject: Subject, number: int) -> Track:
        self._begun += 1
        track = self._living[life] = Track(life, subject, number, self._begun)
        self._count(track)
        return track

    def _bury(self, life: Life, number: int) -> None:
        self._short.pop(life, None)
        track = self._living.pop(life, None)
        if track is not None:
            track.last = number
            track.series.shut()
            self._dead.setdefault(life.owner_uid, OrderedDict())[track.serial] = track
            if not track.over:
                self._unexplained[life] = track
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
        if self._unexplained.get(track.life) is track:
            del self._unexplained[track.life]
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

    def where(self, fits: Callable[[Track], bool]) -> list[Track]:
        """The lives that fit, in the order in which they began."""
        return sorted((each for each in self.tracks() if fits(each)), key=lambda each: (each.first, each.serial))
