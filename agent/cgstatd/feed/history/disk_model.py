"""What is said of the rounds on disk: immutable, so that any thread may read it. No I/O here."""

from __future__ import annotations

from typing import NamedTuple

from ...sampling.history_model import Life, Subject
from .sealed import Part, Rounds, Run, Track

Who = tuple[int, str, str]
"""Owner, runtime and id of a container."""


class Workload(NamedTuple):
    """All lives of what stays the same when a container is made anew."""

    text: str


Wanted = Who | Workload


def fits(wanted: Wanted, life: Life, subject: Subject) -> bool:
    """Whether a life is one of those that are asked for."""
    return subject.workload == wanted.text if isinstance(wanted, Workload) else life[:3] == wanted


class DiskFailed(Exception):
    """The history cannot be written, or read; the text says why."""


class Moved(Exception):
    """A file turned out to be broken and was set aside: what was read of it does not count."""


class RunPart(NamedTuple):
    """What a file has of one run of the agent."""

    run: int
    what: Run
    first: int
    """Keys."""
    last: int
    first_boottime_ns: int
    last_boottime_ns: int
    first_time_ms: int
    """What the wall clock said."""
    last_time_ms: int


class Contents(NamedTuple):
    """What a file holds."""

    path: str
    runs: tuple[RunPart, ...]
    before: int
    """The key of the round that was stored before its first; 0: none was."""
    tracks: int
    """How many it has."""
    begun: tuple[tuple[int, Run], ...] = ()
    """Runs of which it has no round (yet), by number. Where it has no other either, there is no first and no last."""

    @property
    def first(self) -> int:
        """The key of its first round."""
        return self.runs[0].first

    @property
    def last(self) -> int:
        """The key of its last round."""
        return self.runs[-1].last


class Segment(NamedTuple):
    """Rounds that were asked for, with the containers that were."""

    rounds: Rounds
    parts: list[tuple[Track, Part]]
    tracks: dict[int, Track]
    """Those of the marks."""


class Fetched(NamedTuple):
    """A part of what was asked for; ``more``: whether there is anything behind it."""

    segments: list[Segment]
    more: bool


class State(NamedTuple):
    """What is on disk."""

    trouble: str = ""
    """Why rounds are not stored; empty: they are."""
    opened: bool = False
    """Whether the files have been looked at."""
    run: int = 0
    """The number of this run of the agent; 0: not known yet."""
    files: tuple[Contents, ...] = ()
    bytes: int = 0
    """Of all files, those that were set aside included."""
    set_aside: int = 0
    """Files, since the agent was started."""
    hole: bool = False
    """Whether rounds between those of earlier runs and this run's are lost."""

    @property
    def last(self) -> int:
        """The key of the latest round; 0: there is none."""
        return next((each.last for each in reversed(self.files) if each.runs), 0)

    @property
    def named(self) -> dict[int, Run]:
        """Every run that is known by its number, those that stored no round too."""
        found = dict(pair for each in self.files for pair in each.begun)
        return found | {part.run: part.what for each in self.files for part in each.runs}

    @property
    def runs(self) -> list[RunPart]:
        """Each run once, the oldest first."""
        found: list[RunPart] = []
        for part in (part for each in self.files for part in each.runs):
            if found and found[-1].run == part.run:
                begun = found.pop()
                found.append(
                    part._replace(
                        first=begun.first, first_boottime_ns=begun.first_boottime_ns, first_time_ms=begun.first_time_ms
                    )
                )
            else:
                found.append(part)
        return found
