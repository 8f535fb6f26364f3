"""Which ends of containers are known, so that those of the time in which the agent did not run are found afterwards.

A runtime's record has the time of the latest end. It is compared with the one that was kept, never with a clock: a
clock that was set makes no end old or new. A clock is asked of containers alone that were not there before, and for
ends that are too old to be news.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ..host.identity import Identity
from ..host.runtimes.base import Metadata, State
from ..host.workload import container_key
from ..sampling.lived import ambiguous
from ..sampling.lookup import Known
from ..sampling.one_container import identity_of
from ..sampling.round import Changes, Ended

NEWS_SECONDS = 86_400.0
"""An end that is longer ago is none, when the agent begins to run."""
MOST, FEWER = 4400, 4000
"""Containers that are remembered, some 0.1 kB each: where there are more, the owner with the most gives way first."""
_LATE_SECONDS = 5.0
"""A runtime's time of an end may be so much later than its first process' death."""
STARTED_AGAIN = "it was started again while the agent did not run"


class LatestEnd(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a container's latest end. Times are Unix seconds."""

    owner_uid: int
    finished: float | None = None
    """As its runtime has recorded it; None: there was none, or it did not say."""
    heard: float | None = None
    """When the agent noticed it, where its runtime had not recorded it yet."""
    restarts: int | None = None
    """The runtime's count."""


class Missed(NamedTuple):
    """A container ended while the agent did not run."""

    ended: Ended
    times: int
    """How often, as its runtime has counted; the record is of the latest."""
    failed: bool
    """Whether its runtime itself started it again: then it was no stop by hand, whatever its code was."""


class KnownEnds:
    """Used in the event loop."""

    def __init__(self, known: dict[str, LatestEnd] | None = None, since: float | None = None) -> None:
        """``since``: until when (Unix seconds) ``known`` was complete; None: nothing was kept, and what is on disk is
        no news."""
        self.known = known or {}
        self.since = since
        self.looked = False
        """Whether the records on disk have been compared."""
        self._found: dict[str, float] = {}
        """The ends that were found on disk: the watch may tell them once more."""

    def hear(self, found: Changes, now: float) -> Changes:
        """What the watch tells, without the ends that were found on disk before."""
        news = Changes(started=found.started, begun=found.begun, killed=found.killed)
        for each in found.ended:
            key, record = container_key(each.identity), each.metadata
            finished = record.finished_seconds if record else None
            if finished is None or self._found.get(key) != finished:
                news.ended.append(each)
            restarts = record.restarts if record else None
            self._keep(key, LatestEnd(each.identity.owner_uid, finished, None if finished else now, restarts))
        for identity in found.started:
            before, metadata = self.known.get(container_key(identity)), identity.metadata
            before = before or LatestEnd(identity.owner_uid)
            if metadata is not None:
                before = msgspec.structs.replace(before, restarts=metadata.restarts)
            self._keep(container_key(identity), before)
        return news

    def compare(self, on_disk: Iterable[Known], now: float) -> list[Missed]:
        """The ends that are on disk and were not known, the earliest first."""
        found = [self._compared(identity_of(each), each.metadata, now) for each in on_disk if each.metadata is not None]
        self.looked = True
        news = [each for each in found if each is not None]
        return sorted(news, key=lambda each: (each.ended.metadata.finished_seconds or 0) if each.ended.metadata else 0)

    def _compared(self, identity: Identity, record: Metadata, now: float) -> Missed | None:
        key, finished = container_key(identity), record.finished_seconds
        before = self.known.get(key)
        news = self.since is not None and _is_news(before, finished, self.since) and finished is not None
        if not news and before is not None and before.heard is not None:
            return None  # what was heard says more than this record, which may be older
        self._keep(key, LatestEnd(identity.owner_uid, finished, None, record.restarts))
        if not news or finished is None or now - finished > NEWS_SECONDS:
            return None
        self._found[key] = finished
        return _missed(identity, record, before)

    def _keep(self, key: str, known: LatestEnd) -> None:
        self.known.pop(key, None)
        self.known[key] = known
        if len(self.known) > MOST:
            self._drop()

    def _drop(self) -> None:
        owners = Counter(each.owner_uid for each in self.known.values())
        while len(self.known) > FEWER:
            most, those = owners.most_common(1)[0]
            fewer = max(1, min(those, len(self.known) - FEWER) // 2)
            for key in [key for key, each in self.known.items() if each.owner_uid == most][:fewer]:
                del self.known[key]
            owners[most] -= fewer


def _is_news(before: LatestEnd | None, finished: float | None, since: float) -> bool:
    if finished is None:
        return False
    if before is None:
        return finished > since
    if before.heard is not None and finished <= before.heard + _LATE_SECONDS:
        return False
    return finished != before.finished


def _missed(identity: Identity, record: Metadata, before: LatestEnd | None) -> Missed:
    more = 0
    if before is not None and before.restarts is not None and record.restarts is not None:
        more = max(0, record.restarts - before.restarts)
    runs = record.state in (State.RUNNING, State.PAUSED)
    code = None if runs else record.exit_code
    absent = STARTED_AGAIN if runs else None if code is not None else "its runtime's record does not say it"
    ended = Ended(
        identity=identity,
        last=None,
        metadata=record,
        exit_code=code,
        absent=absent,
        signal=None,
        signal_absent=None if code is None else ambiguous(code),
        oom_killed=None if runs else record.oom_killed,
        started_seconds=record.started_seconds,
        killed=None,
    )
    times = more + (record.state is State.EXITED)
    return Missed(ended, max(1, times), failed=runs and more > 0)
