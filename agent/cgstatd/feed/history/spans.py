"""Rounds that lie side by side, with keys that go on over all runs of the agent, and the time of each.

Times of an earlier boot of the host are put in line: what the clock said at its last round counts, unless the boot that
followed was earlier by that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...sampling.history_model import ContainerSample, HostSample, Life, Subject
from ...sampling.history_work import Clocks
from . import gaps
from .disk_model import Run, State
from .gaps import Gap
from .marks import Mark
from .rows import LifeRow, Part, RoundRow, sample_of
from .steps import moved_ms, shown_ms

_MILLION = 1_000_000


class Round(NamedTuple):
    """One round of the host."""

    key: int
    time_ms: int
    """What the wall clock said."""
    monotonic_ns: int
    boottime_ns: int
    shown_ns: int
    """The boottime of this boot at which it is shown."""
    run: int
    boot: str
    why: str | None
    """Why there was no round before it, as far as is known."""
    complete: bool
    host: HostSample


class LifeRows(NamedTuple):
    """What some rounds have of one life."""

    boot: str
    run: int
    life: Life
    subject: Subject
    first: int
    """The key of the first round that listed it, or of its first mark."""
    last: int
    """The key of the last one; before ``first``: none has."""
    samples: Iterator[tuple[int, ContainerSample]]
    """Each with the key of its round."""
    marks: list[tuple[int, Mark]]
    """Each with the key of the first round behind it, which may be still to come."""


def life_text(boot: str, life: Life) -> str:
    """Counters compare where it is the same."""
    return f"{boot}-{life.inode}" if boot else str(life.inode)


class Span(NamedTuple):
    """Rounds side by side."""

    rounds: list[Round]
    lives: list[LifeRows]
    missing: bool
    """Whether rounds right before it, or within, are lost."""


class Timeline(NamedTuple):
    """Where the rounds of each run are in time, and which run a key is of."""

    runs: dict[int, Run]
    shifts_ns: dict[int, int]
    """run -> what to add to its boottime."""
    bases: list[int]
    numbers: list[int]
    """The runs of the bases."""
    lost: bool
    """Whether the latest rounds of earlier runs are."""
    oldest: int
    """The key of the first round of all, where rounds before it are no longer kept; else -1."""

    @classmethod
    def of(cls, state: State, run: Run, began_ns: int | None, now: Clocks, oldest: int = -1) -> Timeline:
        """``run``: this one; ``began_ns``: boottime of the first round in memory."""
        shifts = {run.run: 0}
        newer_boot, newer_shift = run.boot, 0
        ceiling = shown_ms(began_ns, now) if began_ns is not None else now.time_ms
        for part in reversed(state.parts):
            number = part.run.run
            if number != run.run:
                if part.run.boot != newer_boot or not newer_boot:
                    shown = part.last_time_ms
                    if shown > ceiling:  # the clock was wrong
                        shown = ceiling - int(part.run.interval_seconds * 1000)
                    newer_shift = now.boottime_ns - part.last_boottime_ns - (now.time_ms - shown) * _MILLION
                    newer_boot = part.run.boot
                shifts[number] = newer_shift
            ceiling = min(ceiling, shown_ms(part.first_boottime_ns + shifts[number], now))
        runs = state.runs | {run.run: run}
        order = sorted(runs.values())
        bases, numbers = [each.base for each in order], [each.run for each in order]
        return cls(runs, shifts, bases, numbers, state.lost, oldest)

    def oldest_ms(self, state: State, now: Clocks) -> int | None:
        """When the oldest round on disk was taken, by the clock as it is set now; None: there is none."""
        for part in state.parts[:1]:
            boottime_ns = part.first_boottime_ns + self.shifts_ns[part.run.run]
            return part.first_time_ms + moved_ms(part.first_time_ms, boottime_ns, now)
        return None

    def run_of(self, key: int) -> Run:
        """The run that has a key."""
        return self.runs[self.numbers[max(0, bisect_right(self.bases, key) - 1)]]

    def end_of(self, run: Run) -> int:
        """The key behind all that a run can have."""
        place = bisect_right(self.bases, run.base)
        return self.bases[place] if place < len(self.bases) else 1 << 62

    def number_of(self, key: int) -> int:
        """A round's number within its run."""
        return key - self.run_of(key).base

    def why(self, each: RoundRow, place: int) -> tuple[str | None, bool]:
        """Why there was no round right before one, and whether there was and it is lost. ``place``: the key of the
        round before; below 0: there is none to go by."""
        before = each.before
        if before is None and self.lost:
            before = self.run_of(each.key).base - 1
        if before is not None and 0 <= place < min(before, each.key):
            return gaps.NO_LONGER if each.key == self.oldest else gaps.words(Gap.LOST), True
        earlier, later = self.run_of(max(0, place)), self.runs.get(each.run)
        if place >= 0 and earlier.run != each.run:
            return gaps.words(self._between(earlier, later)), False
        return (gaps.words(each.gap) if each.gap else None), False

    def _between(self, earlier: Run, later: Run | None) -> Gap:
        """Why there was no round between two runs. Others may lie between them, which stored none."""
        if later is None:
            return Gap.LOST
        in_order = all(run.ended is not None for run in self.runs.values() if earlier.run <= run.run < later.run)
        if earlier.boot != later.boot and earlier.boot and later.boot:
            return Gap.REBOOTED if in_order else Gap.CUT
        return Gap.STOPPED if in_order else Gap.KILLED

    def last_listed(self, part: Part) -> dict[int, int]:
        """life -> the key of the last round that listed it, as far as any of its run is there."""
        return {
            each.id: self.end_of(self.run_of(each.first)) - 1 if each.last is None else each.last
            for each in part.lives
            if each.first is not None
        }

    def span(self, part: Part, place: int = -1) -> Span:
        """What was read. ``place``: the key of the round before; below 0: there is none to go by."""
        rounds, missing = [], False
        for each in part.rounds:
            why, lost = self.why(each, place)
            missing |= lost
            place = each.key
            boot = self.runs[each.run].boot if each.run in self.runs else ""
            shown_ns = each.boottime_ns + self.shifts_ns.get(each.run, 0)
            rounds.append(Round(each.key, *each[3:6], shown_ns, each.run, boot, why, bool(each.complete), each.host))
        return Span(rounds, self._lives(part), missing)

    def _lives(self, part: Part) -> list[LifeRows]:
        rows = defaultdict[int, list[tuple[Any, ...]]](list)
        for row in part.samples:
            rows[row[1]].append(row)
        last, found = self.last_listed(part), []
        for each in part.lives:
            marks = part.marks.get(each.id, [])
            begun = marks[0][0] if each.first is None else each.first
            run = self.run_of(begun)
            end = last.get(each.id, begun - 1)
            samples = _samples(part.rounds, rows[each.id], begun, end)
            found.append(LifeRows(run.boot, run.run, each.life, each.subject, begun, end, samples, marks))
        return found


def _samples(
    rounds: Sequence[RoundRow], rows: Sequence[tuple[Any, ...]], first: int, last: int
) -> Iterator[tuple[int, ContainerSample]]:
    """Of one life, in each round that has one."""
    held, place = None, 0
    for each in rounds:
        while place < len(rows) and rows[place][0] <= each.key:
            held, place = rows[place], place + 1
        if first <= each.key <= last and (sample := sample_of(held, each)) is not None:
            yield each.key, sample


__all__ = ["LifeRow", "LifeRows", "Round", "Span", "Timeline", "life_text"]
