"""What is known of one life of a container over some rounds."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from ...sampling.history_model import ContainerSample, HostSample, Life, Subject
from .series import ROWS, Layout, Rows, Series

_TRACK_BYTES = 600
"""What Python takes for a container of which next to nothing is known, beside its series and its words."""
_MARK_BYTES = 260
CONTAINER = Layout(len(ContainerSample._fields))
HOST = Layout(len(HostSample._fields) + 4)


class Mark(NamedTuple):
    """Something that happened to a container."""

    round: int
    """The number of the round that noticed it."""
    event: str
    """start, exit or oom."""
    time_ms: int
    """Milliseconds since the epoch: as the runtime recorded it, else when the round noticed it."""
    kills: int | None = None
    """oom: processes killed since the round before; None: only the runtime knows of it."""
    exit_code: int | None = None
    oom_killed: bool | None = None


class Track:
    """What is kept of one life of a container."""

    __slots__ = ("ages", "bytes", "ended", "first", "last", "life", "marks", "oom_kills", "serial", "series", "subject")

    def __init__(self, life: Life, subject: Subject, first: int, serial: int) -> None:
        """``serial``: its number among all tracks."""
        self.life = life
        self.serial = serial
        self.subject = subject
        self.series = Series(CONTAINER, 1 + serial % ROWS)
        self.first = first
        """The round that had it first."""
        self.last = first
        """The round that had it last."""
        self.ended = False
        self.marks: list[Mark] = []
        self.ages = first
        """Nothing of it is to be forgotten before this round is too old."""
        self.oom_kills: int | None = None
        self.bytes = 0
        """As counted in the budget."""

    def weigh(self) -> int:
        """Bytes that it takes now."""
        words = chain(self.life[1:3], (text for text in self.subject if text))
        return self.series.size + _TRACK_BYTES + len(self.marks) * _MARK_BYTES + sum(4 * len(word) for word in words)


class Lived(NamedTuple):
    """A life as the ring had it when it was asked: any thread may read it."""

    life: Life
    subject: Subject
    first: int
    last: int
    ended: bool
    marks: tuple[Mark, ...]
    rows: Rows

    @property
    def last_listed(self) -> int:
        """The last round that had it, as far as is known."""
        return self.last - 1 if self.ended else self.last


class Snapshot(NamedTuple):
    """What the ring has of some rounds. Nothing in it changes: any thread may read it."""

    first: int
    last: int
    incomplete: int
    boot: str
    host: Rows
    lives: list[Lived]
