"""What happened while no client followed, for clients that come back: as far as the rounds of the history tell.

Following costs a pass each interval, so it pauses some time after the last client has left. What clients had been told
by then is kept. When following goes on, the lives of that time are compared with those that are there now: each life
that is in one of the two alone has begun or ended meanwhile, and is told once. The history has the lives that both
began and ended meanwhile, and how the others ended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from ...host.identity import Identity
from ...host.runtimes.base import Metadata
from ...host.runtimes.labels import PROJECTS
from ...sampling.history_model import Life
from ...sampling.lived import ambiguous
from ...sampling.round import Changes, Ended, Killed
from ..history.ring import Ring
from ..history.tracks import Mark, Track
from .followed_container import NOTHING

MOST_LIVES = 2000
"""More containers are not remembered through a pause."""
NOT_RECORDED = "its runtime had not recorded it when the history looked"
NOT_SEEN = "it ended while no client followed, after the last round of the history"
OFF = "no client followed for a time, and history = 0: what happened meanwhile is not known"
TOO_LONG = "no client followed for longer than the history reaches back"
DROPPED = "no client followed for a time, and the history of it was dropped to save memory"
UNKNOWN = "the agent does not know this id: it was started anew since, or its clients were away for too long"
FORGOTTEN = "more has happened since than the agent remembers"


class Told(NamedTuple):
    """What clients were told of a life that goes on."""

    identity: Identity
    oom_kills: int | None
    """How many were told, or were there before; None: not known."""
    oom_told: bool


class Standing(NamedTuple):
    """The lives that clients know of, at an instant."""

    monotonic_ns: int
    """Before the containers were listed."""
    lives: Mapping[Life, Told]


class Pause(NamedTuple):
    """A time without a client, of which the history tells."""

    left: Standing
    round: int
    """The last round of the history before it."""

    @property
    def seconds(self) -> float:
        """How long it has been until now."""
        return (time.monotonic_ns() - self.left.monotonic_ns) / 1e9


def pause_since(left: Standing, ring: Ring | None) -> Pause | str:
    """The pause that ends now, or why it is not known what happened in it."""
    if ring is None:
        return OFF
    rows = ring.host.between(ring.first, ring.last)
    before = [row[0] or 0 for row in rows if (row[0] or 0) >= ring.first and (row[2] or 0) <= left.monotonic_ns]
    if not before:
        return TOO_LONG
    return DROPPED if ring.incomplete > before[-1] else Pause(left, before[-1])


def sentence(seconds: float, ring: Ring | None) -> str:
    """What may be missing among the events of a pause."""
    apart = 0.0 if ring is None else ring.interval_seconds
    return (
        f"no client followed for {seconds:.0f} s: of that time the history tells, by rounds {apart:g} s apart. A "
        "container that started and ended between two of them is not told"
    )


def missed(pause: Pause, now: Standing, ring: Ring, time_ms: int) -> list[tuple[int, Changes]]:
    """(milliseconds since the epoch, what happened), in order; ``time_ms``: now.

    Kills of lives that go on are left to the look that finds them: it knows how many were told.
    """
    tracks = {track.life: track for track in ring.tracks()}
    found: list[tuple[int, Changes]] = []
    for life, told in pause.left.lives.items():
        if life not in now.lives:
            found += _end(tracks.get(life), told, time_ms)
    for life, track in tracks.items():
        if track.first > pause.round and track.ended and life not in pause.left.lives and life not in now.lives:
            found += _whole(track, time_ms)
    ends = _ends(found)
    for life, told in now.lives.items():
        if life not in pause.left.lives:
            when = max(_started_ms(told.identity) or time_ms, ends.get(life[:3], 0))
            found.append((when, Changes(started=[told.identity])))
    return sorted(found, key=lambda each: each[0])


def _ends(found: list[tuple[int, Changes]]) -> dict[tuple[int, str, str], int]:
    """When each container ended last: its next life is told after that, whatever its runtime says of its start."""
    ends: dict[tuple[int, str, str], int] = {}
    for when, changes in found:
        for identity in (ended.identity for ended in changes.ended):
            key = (identity.owner_uid, identity.runtime, identity.id)
            ends[key] = max(when, ends.get(key, 0))
    return ends


def _started_ms(identity: Identity) -> int | None:
    found = identity.metadata.started_seconds if identity.metadata else None
    return None if found is None else int(found * 1000)


def _mark(track: Track | None, event: str) -> Mark | None:
    return next((mark for mark in track.marks if mark.event == event), None) if track else None


def _end(track: Track | None, told: Told, time_ms: int) -> list[tuple[int, Changes]]:
    """The end of a life that clients know of."""
    mark = _mark(track, "exit")
    before = told.oom_kills
    total = track.oom_kills if track else None
    kills = None
    if total is not None and before is not None and total > before:
        kills = Killed(told.identity, total - before, total, NOTHING, None)
    elif mark is not None and mark.oom_killed and not told.oom_told:
        kills = Killed(told.identity, None, None, NOTHING, None)
    return [(time_ms if mark is None else mark.time_ms, Changes(ended=[_ended(told.identity, mark, kills)]))]


def _whole(track: Track, time_ms: int) -> list[tuple[int, Changes]]:
    """A life that clients have not heard of, from its start to its end."""
    life, subject = track.life, track.subject
    labels = {} if subject.project is None else {PROJECTS[0]: subject.project}
    metadata = Metadata(life.runtime, life.id, subject.name, image=subject.image, labels=labels)
    identity = Identity(life.id, subject.name, life.runtime, life.owner_uid, metadata)
    told = Told(identity, 0, oom_told=False)
    start = _mark(track, "start")
    (ended, changes), *_ = _end(track, told, time_ms)
    return [(min(start.time_ms if start else ended, ended), Changes(started=[identity])), (ended, changes)]


def _ended(identity: Identity, mark: Mark | None, killed: Killed | None) -> Ended:
    code = None if mark is None else mark.exit_code
    absent = None if code is not None else NOT_SEEN if mark is None else NOT_RECORDED
    return Ended(
        identity,
        last=None,
        metadata=None,
        exit_code=code,
        absent=absent,
        signal=None,
        signal_absent=None if code is None else ambiguous(code),
        oom_killed=None if mark is None else mark.oom_killed,
        started_seconds=identity.metadata.started_seconds if identity.metadata else None,
        killed=killed,
    )
