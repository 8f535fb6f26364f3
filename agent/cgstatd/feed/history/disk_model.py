"""What is said of the rounds on disk: immutable, so that any thread may read it. No I/O here."""

from __future__ import annotations

from typing import NamedTuple

from .schema import Row


class DiskFailed(Exception):
    """The history cannot be written, or read; the text says why."""


class Moved(Exception):
    """A file turned out to be broken and was set aside: what was read of it does not count."""


class Run(NamedTuple):
    """One run of the agent, as it is stored."""

    run: int
    """Its number, from 1."""
    name: str
    """As in cursors."""
    boot: str
    """The kernel's id of the boot; empty: not known, and then no other run is of the same."""
    interval_seconds: float
    base: int
    """The key of its round 0. The next run's is larger than any key of this one."""
    ended: int | None = None
    """The key of its last round (below ``base``: it had none), once it has ended in order."""


class RunPart(NamedTuple):
    """What a file has of one run of the agent."""

    run: Run
    first: int
    """Keys."""
    last: int
    first_boottime_ns: int
    last_boottime_ns: int
    first_time_ms: int
    """What the wall clock said."""
    last_time_ms: int

    @property
    def seconds(self) -> float:
        """The time that it is about."""
        return max(0, self.last_boottime_ns - self.first_boottime_ns) / 1e9 + self.run.interval_seconds


class Contents(NamedTuple):
    """What a file holds."""

    path: str
    parts: tuple[RunPart, ...]
    """Of each run of which it has rounds; the oldest first."""
    runs: tuple[Run, ...]
    """Each run that it knows of."""
    lives: int
    """The largest number of a life."""

    def with_rounds(self, run: Run, first: Row, last: Row, lives: int) -> Contents:
        """With the rows of more rounds of a run; ``lives``: the largest number of a life of theirs."""
        others = list(self.parts)
        part = RunPart(run, first[0], last[0], first[5], last[5], first[3], last[3])
        if others and others[-1].run.run == run.run:
            part = others.pop()._replace(last=last[0], last_boottime_ns=last[5], last_time_ms=last[3])
        return self._replace(parts=(*others, part), lives=max(self.lives, lives))

    @property
    def first(self) -> int:
        """The key of its first round."""
        return self.parts[0].first

    @property
    def last(self) -> int:
        """The key of its last round; -1: there is none."""
        return self.parts[-1].last if self.parts else -1


class State(NamedTuple):
    """What is on disk."""

    trouble: str = ""
    """Why rounds are not stored; empty: they are."""
    opened: bool = False
    """Whether the files have been looked at."""
    run: Run = Run(0, "", "", 0.0, 0)
    """This run of the agent; number 0: not known yet."""
    files: tuple[Contents, ...] = ()
    bytes: int = 0
    """Of all files, those that were set aside included."""
    set_aside: int = 0
    """Files, since the agent was started."""
    lost: bool = False
    """Whether the latest rounds of earlier runs are lost."""

    @property
    def last(self) -> int:
        """The key of the latest round; -1: there is none."""
        return max((each.last for each in self.files), default=-1)

    @property
    def runs(self) -> dict[int, Run]:
        """Every run that is known by its number, in order, those that stored no round too; the last is this one, where
        its number is known."""
        known = {run.run: run for each in self.files for run in each.runs}
        return dict(sorted((known | ({self.run.run: self.run} if self.run.run else {})).items()))

    @property
    def parts(self) -> list[RunPart]:
        """Each run that has rounds once, the oldest first."""
        found: list[RunPart] = []
        for part in (part for each in self.files for part in each.parts):
            if found and found[-1].run.run == part.run.run:
                last = {"last": part.last, "last_boottime_ns": part.last_boottime_ns, "last_time_ms": part.last_time_ms}
                found[-1] = found[-1]._replace(**last, run=part.run)  # the newest file knows whether it has ended
            else:
                found.append(part)
        return found
