"""What is known of workloads across the lives of their containers: how often each came back, how it ended last, and how
many of its processes were killed for want of memory.

It hears the starts, ends and kills that the follower notices, with or without clients, and the kills that a scrape
counts. A workload that never ended, and of which nothing was killed, takes nothing. The engine's own count of restarts
counts where it keeps one. A container that is made anew begins that count anew: the agent adds what it saw under
earlier ids.

The rule of ``flapping``: the workload came back at least :data:`FLAPS` times within the last 15 minutes. A start counts
if the end before it was a failure (another code than 0, a signal, for want of memory, or not known how), or if the
engine's count of restarts says that it is one. So a job that a timer runs each minute and that exits with 0 does not.
Lives that are too short to be seen are in the engine's count alone. It tells them as long as it is known when they
were: since the agent heard of the container last, or since the container was made.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ..basics.fullest_owner import oldest_of_fullest
from ..host.identity import Identity
from ..host.runtimes.base import State
from ..host.workload import key_of, workload
from ..sampling.history_model import Life
from ..sampling.lived import COMPLETED, Lived, Terminated
from ..sampling.round import Changes, Ended, Killed

FLAPS = 3
FLAPPING_SECONDS = 900.0
KEPT = 2000
"""Workloads that are remembered, some 1 kB each; the owner with the most gives way first, with its oldest."""
GONE_SECONDS = 3600.0
"""A workload of which nothing is left but what is remembered is told of for so long after its latest end."""


class _Workload(NamedTuple):
    owner_uid: int
    latest: str
    """The id of its latest container."""
    counted: int | None = None
    """What the engine had counted of that container, where it counts."""
    before: int = 0
    """Restarts under earlier ids, or by the agent's own count."""
    came_back: tuple[float, ...] = ()
    """When (monotonic), the latest FLAPS times."""
    last: Terminated | None = None
    heard: float = 0.0
    """When (monotonic) the engine's count was taken."""
    rose: bool = False
    """Whether the engine's count rose with the latest end: its next start is counted already."""
    name: str = ""
    """Of its latest container."""
    ended: float = 0.0
    """When (monotonic) the latest end was heard."""
    kills: int = 0
    """How many of its processes were killed for want of memory."""
    counted_kills: tuple[Life | None, int] = (None, 0)
    """The latest life that had some, and its cgroup's own count of them."""

    def again(self, now: float, times: int) -> tuple[float, ...]:
        """``came_back`` with so many more."""
        return (*self.came_back, *[now] * min(times, FLAPS))[-FLAPS:]


class Gone(NamedTuple):
    """A workload that ended, and what is remembered of it."""

    workload: str
    name: str
    owner_uid: int
    lived: Lived
    kills: int


class View(NamedTuple):
    """What was known at one instant: any thread may read it."""

    known: Mapping[str, _Workload]
    complete: bool
    """Whether ends are noticed without clients, too: then what was not seen did not happen."""
    since: float
    """What came back later (monotonic) flaps."""
    made_since: float
    """Restarts of what was made later (Unix time) flap."""
    gone_since: float
    """What ended later (monotonic) is told of."""

    def gone(self) -> Iterator[Gone]:
        """The workloads that ended lately. Some may be there again."""
        for key, each in self.known.items():
            if each.name and each.last is not None and each.ended > self.gone_since:
                flapping = sum(when > self.since for when in each.came_back) >= FLAPS
                lived = Lived(each.before + (each.counted or 0), flapping, each.last)
                yield Gone(key, each.name, each.owner_uid, lived, each.kills)

    def of(self, identity: Identity) -> Lived:
        """What is known of a container's workload."""
        return self._of(identity, self.known.get(key_of(identity)) if self.known else None)

    def with_kills(self, identity: Identity) -> tuple[Lived, int | None]:
        """The same, and how many of its processes were killed for want of memory; None: that is not known."""
        known = self.known.get(key_of(identity)) if self.known else None
        none = 0 if self.complete else None
        return self._of(identity, known), none if known is None else known.kills

    def _of(self, identity: Identity, known: _Workload | None) -> Lived:
        engines = identity.metadata.restarts if identity.metadata else None
        own, unseen = (0, False) if self.complete else (None, None)
        young = _restarts_since(identity, self.made_since)
        if known is None or known.last is None:
            return Lived(own if engines is None else engines, True if young >= FLAPS else unseen)
        came_back = sum(when > self.since for when in known.came_back)
        if identity.id != known.latest:  # another one has taken its place
            return Lived(own if engines is None else engines, max(came_back, young) >= FLAPS, known.last)
        if engines is not None and known.counted is not None and known.heard > self.since:
            came_back += max(0, engines - known.counted)
        return Lived(known.before + (engines or 0), max(came_back, young) >= FLAPS, known.last)


def _restarts_since(identity: Identity, when: float) -> int:
    """The engine's count of restarts of a container that was made since (Unix time); 0 of another."""
    made = identity.metadata
    if made is None or made.created_seconds is None or made.created_seconds < when:
        return 0
    return made.restarts or 0


class Lives:
    """Used in the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._now = now
        self._known: OrderedDict[str, _Workload] = OrderedDict()
        self.complete = False
        """As in :class:`View`."""

    def view(self) -> View:
        """What is known now."""
        return self._view(dict(self._known))

    def of(self, identity: Identity) -> Lived:
        """What is known now of one container's workload."""
        return self._view(self._known).of(identity)

    def _view(self, known: Mapping[str, _Workload]) -> View:
        now = self._clock()
        return View(known, self.complete, now - FLAPPING_SECONDS, self._made_since(), now - GONE_SECONDS)

    def _made_since(self) -> float:
        return self._now() - FLAPPING_SECONDS

    def hear(self, found: Changes) -> None:
        """What happened since the last time, in order."""
        for ended in found.ended:
            self._ended(ended)
        for identity in found.started:
            self._started(identity)
        for killed in found.killed:
            self._killed(killed)

    def counted(self, identity: Identity, life: Life, before: int, total: int) -> None:
        """What a scrape read of a life's own count of kills, and read of it before."""
        known = self._of(identity)
        seen = known.counted_kills[1] if known.counted_kills[0] == life else 0
        new = total - max(before, seen)
        if new > 0:
            self._keep(identity, known._replace(kills=known.kills + new, counted_kills=(life, total)))

    def _killed(self, killed: Killed) -> None:
        known = self._of(killed.identity)
        if killed.total is not None and killed.kills is not None and killed.life is not None:
            self.counted(killed.identity, killed.life, killed.total - killed.kills, killed.total)
        elif killed.life is None or known.counted_kills[0] != killed.life:
            self._keep(killed.identity, known._replace(kills=known.kills + (killed.kills or 1)))

    def _ended(self, ended: Ended) -> None:
        identity, record = ended.identity, ended.metadata
        known, rose = self._counted(self._of(identity), identity)
        if not rose and record is not None and record.state is State.RESTARTING:
            known, rose = known._replace(came_back=known.again(self._clock(), 1)), True
        finished = record.finished_seconds if record else None
        last = Terminated(
            identity.id, ended.exit_code, ended.absent, ended.signal, ended.signal_absent, ended.oom_killed,
            ended.started_seconds, self._now() if finished is None else finished,
        )  # fmt: skip
        self._keep(identity, known._replace(last=last, rose=rose, ended=self._clock()))
        if ended.killed is not None:
            self._killed(ended.killed)

    def _started(self, identity: Identity) -> None:
        if key_of(identity) not in self._known:
            return
        known, rose = self._counted(self._of(identity), identity)
        if known.last is not None and known.ended <= self._clock() - GONE_SECONDS:  # its series may have gone meanwhile
            known = known._replace(kills=0)
        engines = identity.metadata.restarts if identity.metadata else None
        other, failed = identity.id != known.latest, known.last is not None and known.last.reason != COMPLETED
        before = known.before + (known.counted or 0 if other else 0) + (failed and (other or engines is None))
        unseen = _restarts_since(identity, self._made_since()) if other else 0
        now = self._clock()
        came_back = known.again(now, unseen + (failed and not rose and not known.rose))
        self._keep(
            identity,
            known._replace(
                latest=identity.id, counted=engines, before=before, came_back=came_back, heard=now, rose=False
            ),
        )

    def _counted(self, known: _Workload, identity: Identity) -> tuple[_Workload, bool]:
        """With the engine's own count of restarts; whether that has risen."""
        engines = identity.metadata.restarts if identity.metadata else None
        if engines is None or identity.id != known.latest:
            return known, False
        now, first = self._clock(), known.counted is None
        more = _restarts_since(identity, self._made_since()) if first else engines - (known.counted or 0)
        if more < 0:  # started by hand: the engine counts anew
            known = known._replace(before=known.before + (known.counted or 0))
        return known._replace(counted=engines, heard=now, came_back=known.again(now, max(0, more))), more > 0

    def _of(self, identity: Identity) -> _Workload:
        return self._known.get(key_of(identity)) or _Workload(identity.owner_uid, identity.id)

    def _keep(self, identity: Identity, known: _Workload) -> None:
        key = key_of(identity)
        self._known[key] = known._replace(name=identity.name if workload(identity) else "")
        self._known.move_to_end(key)
        if len(self._known) > KEPT:
            del self._known[oldest_of_fullest(self._known)]
