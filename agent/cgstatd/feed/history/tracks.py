"""What is known of one life of a container over some rounds."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from ...sampling.history_model import ContainerSample, HostSample, Life, Subject
from .series import ROWS, Layout, Rows, Series

_TRACK_BYTES = 600
"""What Python takes for a container of which next to nothing is known, beside its series and its words."""
_MARK_BYTES = 260
CONTAINER = Layout(len(ContainerSample._fields), first=14)
HOST = Layout(len(HostSample._fields) + 4, first=13)


RUNS = ("start", "exit")
"""The marks that say whether a container runs."""


class Wait(NamedTuple):
    """What a container waits for."""

    resource: str
    """cpu, memory or io."""
    cause: str
    """The value of a :class:`~cgstatd.sampling.pressure.verdict.Cause`."""
    seconds: float | None = None
    """How long it was seen to, once it is over; None: it has just begun."""
    limit: str | None = None
    """The kernel's file of the limit that is the cause."""
    throttled_percent: float | None = None
    """Of its quota's periods that it was throttled in; once it is over, the most that was seen."""


class Mark(NamedTuple):
    """Something that happened to a container."""

    round: int
    """The number of the first round behind it."""
    event: str
    """start, exit, oom, pressure or health."""
    time_ms: int
    """Milliseconds since the epoch: as the runtime recorded it, else when the agent noticed it."""
    kills: int | None = None
    """oom: how many processes were killed; None: only the runtime knows of it."""
    exit_code: int | None = None
    oom_killed: bool | None = None
    signal: int | None = None
    """exit: what ended the first process; None: it exited by itself, or that is not known."""
    restarting: bool | None = None
    """exit: whether its runtime was to start it again; None: it did not say."""
    wait: Wait | None = None
    """pressure: what it waits for."""
    health: str | None = None
    """health: what its check says from now on."""


class Track:
    """What is kept of one life of a container."""

    __slots__ = (
        "ages", "bytes", "ended", "first", "health", "last", "life", "listed", "marks", "over", "serial", "series",
        "subject",
    )  # fmt: skip

    def __init__(self, life: Life, subject: Subject, first: int, serial: int) -> None:
        """``serial``: its number among all tracks."""
        self.life = life
        self.serial = serial
        self.subject = subject
        self.series = Series(CONTAINER, 1 + serial % ROWS)
        self.first = first
        """The first round that listed it, or is behind its first mark."""
        self.last = first
        """The last round that listed it, found it gone, or is behind its last mark."""
        self.listed: tuple[int, int] | None = None
        """The first and the last round that listed it; None: it was too short for one."""
        self.over = False
        """Whether the latest mark is its end."""
        self.ended: int | None = None
        """The last round that has a part of it, of one that has ended; kept by the index."""
        self.health: str | None = None
        """What its check said last; None: that is not known."""
        self.marks: list[Mark] = []
        self.ages = first
        """Nothing of it is to be forgotten before this round is too old."""
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
    listed: tuple[int, int] | None
    """As a :class:`Track` has it."""
    marks: tuple[Mark, ...]
    rows: Rows


class Snapshot(NamedTuple):
    """What the ring has of some rounds. Nothing in it changes: any thread may read it."""

    first: int
    last: int
    incomplete: int
    boot: str
    host: Rows
    lives: list[Lived]
