"""Rounds that lie side by side, from disk or from memory, in one form: with keys that go on over all runs of the agent.

Times of an earlier boot of the host are put in line: what the clock said at its last round counts, unless the boot that
followed was earlier by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from ...sampling.history_model import Life, Subject
from ...sampling.history_work import Clocks
from . import gaps
from .disk_model import RunPart, Segment, State
from .gaps import Gap
from .sealed import key_of, run_of
from .series import Row
from .steps import HostRow, host_row, shown_ms
from .tracks import Lived, Mark, Snapshot

_MILLION = 1_000_000


class Round(NamedTuple):
    """One round of the host. ``row`` has a key in place of its number, and a boottime of this boot."""

    row: HostRow
    values: Row
    run: int
    boot: str
    why: str | None
    """Why there was no round before it, as far as is known."""
    boottime_ns: int
    """As it was read."""
    incomplete: bool


class LifeRows(NamedTuple):
    """What some rounds have of one life."""

    boot: str
    life: Life
    subject: Subject
    first: int
    """The key of the first of these rounds that listed it."""
    last: int
    rows: Iterator[Row]
    """With keys in place of numbers."""
    marks: list[tuple[int, Mark]]
    """Each with the key of the first round behind it, which may be still to come."""

    @property
    def life_text(self) -> str:
        """Counters compare where it is the same."""
        return f"{self.boot}-{self.life.inode}" if self.boot else str(self.life.inode)


class Span(NamedTuple):
    """Rounds side by side."""

    rounds: list[Round]
    lives: list[LifeRows]
    missing: bool
    """Whether rounds right before it, or within, are lost."""


class Place(NamedTuple):
    """Where the reading is: what the next round is compared with."""

    key: int = -1
    """Of the round before; below 0: there is none to go by."""

    def why(self, key: int, gap: int, missing: bool, runs: Mapping[int, tuple[str, bool]]) -> str | None:
        """Why there was no round right before one. ``runs``: run -> (boot, whether it ended in order)."""
        if missing:
            return gaps.words(Gap.LOST)
        if self.key >= 0 and run_of(self.key) != run_of(key) and (before := runs.get(run_of(self.key))) is not None:
            boot, ended = before
            now = runs.get(run_of(key), ("", False))[0]
            if boot != now or not boot:
                return gaps.words(Gap.REBOOTED if boot and now else Gap.STOPPED)
            return gaps.words(Gap.STOPPED if ended else Gap.KILLED)
        return gaps.words(gap) if gap else None


class Timeline(NamedTuple):
    """Where the rounds of each run are in time."""

    runs: dict[int, tuple[str, bool]]
    """run -> (boot, whether it ended in order)."""
    shifts_ns: dict[int, int]
    """run -> what to add to its boottime."""

    @classmethod
    def of(cls, parts: Sequence[RunPart], current: int, boot: str, began_ns: int | None, now: Clocks) -> Timeline:
        """``parts``: each run once, the oldest first; ``began_ns``: boottime of the first round in memory."""
        runs, shifts = {current: (boot, True)}, {current: 0}
        newer_boot, newer_shift = boot, 0
        ceiling = shown_ms(began_ns, now) if began_ns is not None else now.time_ms
        for part in reversed(parts):
            if part.run != current:
                runs[part.run] = (part.what.boot, part.what.ended is not None)
                if part.what.boot != newer_boot or not part.what.boot:
                    shown = min(part.last_time_ms, ceiling - int(part.what.interval_seconds * 1000))
                    newer_shift = now.boottime_ns - part.last_boottime_ns - (now.time_ms - shown) * _MILLION
                    newer_boot = part.what.boot
                shifts[part.run] = newer_shift
            ceiling = min(ceiling, shown_ms(part.first_boottime_ns + shifts[part.run], now))
        return cls(runs, shifts)


def memory(what: Snapshot, base: int, place: Place, timeline: Timeline, hole: bool = False) -> Span:
    """What the ring has. ``base``: the key of its round 0; ``hole``: rounds between disk and these are lost."""
    found: list[Round] = []
    run = run_of(base)
    missing = what.first > 0 and place.key >= 0 and max(place.key, base - 1) < base + what.first - 1
    missing |= hole and 0 <= place.key < base
    for each in what.host:
        row, values = host_row(each)
        if what.first <= row.number <= what.last:
            key = base + row.number
            why = place.why(key, row.gap, missing and not found, timeline.runs)
            dropped = row.number <= what.incomplete
            found.append(Round(row._replace(number=key), values, run, what.boot, why, row.boottime_ns, dropped))
            place = Place(key)
    return Span(found, [_lived(each, what, base) for each in what.lives], missing)


def _lived(each: Lived, what: Snapshot, base: int) -> LifeRows:
    first, last = what.first, what.last
    rows = ((base + (number or 0), *values) for number, *values in each.rows if first <= (number or 0) <= last)
    marks = [(base + mark.round, mark) for mark in each.marks if first <= mark.round <= last + 1]
    begin, end = each.listed or (each.first, each.first - 1)
    return LifeRows(what.boot, each.life, each.subject, base + begin, base + end, rows, marks)


def disk(segments: Sequence[Segment], after: int, until: int, place: Place, timeline: Timeline, most: int = 0) -> Span:
    """What was read from the files, without what is not behind ``after`` and up to ``until``; ``most``: rounds, 0 for
    all."""
    if most:
        keys = (row[0] or 0 for segment in segments for row in segment.rounds.rows())
        until = min([until, *islice((key for key in keys if key > after), most - 1, most)])
    rounds: list[Round] = []
    lives: list[LifeRows] = []
    lost = False
    for segment in segments:
        whole = segment.rounds
        run = run_of(whole.first)
        boot = timeline.runs.get(run, ("", False))[0]
        missing = place.key >= 0 and place.key < whole.first and (whole.lost or whole.before > place.key)
        lost |= missing
        shift = timeline.shifts_ns.get(run, 0)
        for each in whole.rows():
            row, values = host_row(each)
            if not after < row.number <= until:
                continue
            why = place.why(row.number, row.gap, missing, timeline.runs)
            place, missing = Place(row.number), False
            moved = row._replace(boottime_ns=row.boottime_ns + shift)
            rounds.append(Round(moved, values, run, boot, why, row.boottime_ns, row.number <= whole.incomplete))
        lives += _stored(segment, run, boot, after, until)
    return Span(rounds, lives, lost)


def _stored(segment: Segment, run: int, boot: str, after: int, until: int) -> list[LifeRows]:
    """In the order in which the marks were stored, which is that of what happened. Lives that nobody saw may share a
    track: one that has marks on both sides of another's is there twice."""
    base = key_of(run, 0)
    marked = [each for each in segment.rounds.marked() if each.track in segment.tracks]
    marked = [each for each in marked if after < base + each.mark.round <= until]
    groups = [
        (track, [(base + each.mark.round, each.mark) for each in those])
        for track, those in groupby(marked, key=lambda each: each.track)
    ]
    listed = {part.track: (track, part) for track, part in segment.parts}
    without = listed.keys() - {key for key, _ in groups}
    found = []
    for key, marks in [*((key, []) for key in sorted(without)), *groups]:
        track, part = listed.pop(key, (None, None))
        if track is None or part is None:
            track, first = segment.tracks[key], marks[0][0]
            found.append(LifeRows(boot, track.life, track.subject, first, first - 1, iter(()), marks))
            continue
        rows = (
            (base + (number or 0), *values) for number, *values in part.rows() if after < base + (number or 0) <= until
        )
        found.append(LifeRows(boot, track.life, track.subject, base + part.first, base + part.last, rows, marks))
    return found


def base_of(state: State) -> int:
    """The key of round 0 of this run."""
    return key_of(state.run, 0)
