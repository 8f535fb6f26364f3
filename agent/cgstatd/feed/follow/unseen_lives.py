"""Lives that were over before their cgroup could be looked at: inotify names the container, its record tells the end.

A container that exits at once has a cgroup for some hundredths of a second, on a busy host for less than it takes to
look. Its runtime writes a start and an end that are later than every end that is known of the container. A cgroup
without such a record was none of a life (a program that is missing), or one of a container that was removed at once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from ...host.discovery import CgroupRef
from ...host.identity import Identity, Names
from ...host.runtimes.base import Metadata, State
from ...sampling.history_model import Life
from ...sampling.lived import ambiguous
from ...sampling.round import Changes, Ended, Killed
from .followed_container import NOTHING

WAIT_SECONDS = 15.0
"""A busy engine takes some seconds to write an end."""
_BEFORE_SECONDS = 10.0
"""A cgroup came at most so long before it is heard of."""
MOST_WAITING = 256
MOST_ENDS = 2000
"""Containers whose latest ends are remembered."""
_ENDED = (State.EXITED, State.RESTARTING)


class UnseenLives:
    """Used in the sampling thread."""

    def __init__(self, names: Names, clock: Callable[[], float] = time.time) -> None:
        self._names = names
        self._clock = clock
        self._waiting: dict[str, tuple[CgroupRef, float]] = {}
        """By path: whose record is waited for, and since when (Unix time)."""
        self._ends: OrderedDict[str, float] = OrderedDict()
        """By the id of a container of the system's: Unix time of its latest end that was told."""

    @property
    def waiting(self) -> bool:
        """Whether a record is waited for."""
        return bool(self._waiting)

    def came_and_went(self, those: Iterable[CgroupRef]) -> None:
        """Cgroups that were made and removed between two listings."""
        now = self._clock()
        for ref in those:
            if len(self._waiting) < MOST_WAITING:
                self._waiting[ref.path] = ref, now

    def told(self, those: Iterable[Ended]) -> None:
        """Ends that are told."""
        for each in those:
            if each.life is not None and not each.life.owner_uid:
                record = each.metadata.finished_seconds if each.metadata else None
                self._remember(each.identity.id, max(record or 0.0, each.noticed_seconds or 0.0))

    def _remember(self, container_id: str, seconds: float) -> None:
        self._ends[container_id] = max(seconds, self._ends.pop(container_id, 0.0))
        if len(self._ends) > MOST_ENDS:
            self._ends.popitem(last=False)

    def look(self, seen: Collection[str]) -> list[Changes]:
        """The starts and ends that have been recorded, in order. ``seen``: ids of the cgroups of lives whose ends are
        still to be told: a record may be theirs."""
        found = []
        for path, (ref, since) in list(self._waiting.items()):
            if self._clock() - since > WAIT_SECONDS:
                del self._waiting[path]
            elif ref.match.id not in seen and (end := self._end(ref, since - _BEFORE_SECONDS)) is not None:
                del self._waiting[path]
                found += end
        return found

    def _end(self, ref: CgroupRef, since: float) -> list[Changes] | None:
        """The start and the end of a life that is not known; None: there is no record of one."""
        identity = self._names.identify(ref)
        record = identity.metadata
        if record is None or record.state not in _ENDED or record.exit_code is None:
            return None
        started, finished = record.started_seconds, record.finished_seconds
        if started is None or finished is None or finished < since or started < self._ends.get(identity.id, 0.0):
            return None
        life = Life(identity.owner_uid, identity.runtime, identity.id, 0)
        began = replace(record, state=State.RUNNING, exit_code=None, oom_killed=None, finished_seconds=None)
        end = _ended(identity, record, life)
        self.told([end])
        return [Changes(started=[identity._replace(metadata=began)], begun=[life]), Changes(ended=[end])]


def _ended(identity: Identity, record: Metadata, life: Life) -> Ended:
    code = record.exit_code
    return Ended(
        identity,
        last=None,
        metadata=record,
        exit_code=code,
        absent=None,
        signal=None,
        signal_absent=None if code is None else ambiguous(code),
        oom_killed=record.oom_killed,
        started_seconds=record.started_seconds,
        killed=Killed(identity, None, None, NOTHING, None, life) if record.oom_killed else None,
        life=life,
    )
