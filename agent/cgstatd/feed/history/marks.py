"""From what the watch of first processes tells to the marks of the history: each start, end and OOM kill, in order.

The watch tells an end before the start that follows it, whatever the runtime wrote, and so do the marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...host.identity import Identity
from ...host.runtimes.base import State
from ...sampling.history_model import Life, Subject
from ...sampling.history_work import subject_of
from ...sampling.round import Changes, Ended

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


def stored(mark: Mark) -> tuple[int | float | str | None, ...]:
    """The columns of a row."""
    return (*mark[:7], *(mark.wait or (None,) * len(Wait._fields)), mark.health)


def mark_of(row: Sequence[Any]) -> Mark:
    """From the columns of a row."""
    event, time_ms, kills, code, killed, signal, restarting, *wait, health = row
    flags = (None if each is None else bool(each) for each in (killed, restarting))
    return Mark(event, time_ms, kills, code, next(flags), signal, next(flags), Wait(*wait) if wait[0] else None, health)


class Happened(NamedTuple):
    """Something that happened to a life. The round of its mark is not known yet."""

    life: Life
    subject: Subject
    mark: Mark


def happened(found: Changes, now_ms: int) -> Iterator[Happened]:
    """In order; ``now_ms``: milliseconds since the epoch."""
    begun = [*found.begun, *map(_unseen, found.started[len(found.begun) :])]
    starts = [_plausible(_started(identity), now_ms) for identity in found.started]
    came_back = {life[:3]: when for life, when in zip(begun, starts, strict=True)}
    for each in found.ended:
        yield from _end(each, came_back, now_ms)
    for identity, life, when in zip(found.started, begun, starts, strict=True):
        yield Happened(life, subject_of(identity), Mark("start", when))
    for killed in found.killed:
        life = killed.life or _unseen(killed.identity)
        yield Happened(life, subject_of(killed.identity), Mark("oom", now_ms, killed.kills))


def _unseen(identity: Identity) -> Life:
    """A life whose cgroup was not seen."""
    return Life(identity.owner_uid, identity.runtime, identity.id, 0)


def _end(each: Ended, came_back: Mapping[tuple[int, str, str], int], now_ms: int) -> Iterator[Happened]:
    """``came_back``: when the next life of a container began, which is after its end."""
    life, subject = each.life or _unseen(each.identity), subject_of(each.identity)
    by_ms = came_back.get(life[:3], now_ms)
    record = each.metadata
    recorded = None if record is None else record.finished_seconds
    when = _plausible(each.noticed_seconds if recorded is None else recorded, by_ms)
    restarting = None if record is None else record.state is State.RESTARTING
    if each.killed is not None:
        yield Happened(life, subject, Mark("oom", when, each.killed.kills))
    mark = Mark("exit", when, None, each.exit_code, each.oom_killed, each.signal, restarting)
    yield Happened(life, subject, mark)


def _started(identity: Identity) -> float | None:
    return identity.metadata.started_seconds if identity.metadata else None


def _plausible(seconds: float | None, by_ms: int) -> int:
    """When it happened, in milliseconds: what was recorded is believed where it is not later than it can be."""
    return by_ms if seconds is None or not 0 <= seconds * 1000 <= by_ms else int(seconds * 1000)
