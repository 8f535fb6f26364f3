"""The sampling thread's part of following: who is there, who came and went, and the figures beyond a pass' own."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping

from cgroupfs import CgroupGone, Max, Vitals, VitalsReader

from ..container import Watched
from ..recorded import RecordedRoot
from ..runtimes.base import State
from ..sample import ContainerStats
from ..sampler import Sampler
from .round import Ended, Killed, Look, OwnLimits, Round

LIMITS_NS = 15_000_000_000
"""Limits are read again after this time: they are set when a container is made and rarely changed."""
DYING_NS = 2_000_000_000
"""How long an end is held back until its runtime has written how it ended."""
_NOTHING = Vitals(None, None, None)


class _Follower:
    """What is remembered of one container."""

    __slots__ = ("armed", "dead_ns", "last", "limits", "limits_ns", "oom_kills", "reader")

    def __init__(self, oom_kills: int | None) -> None:
        self.reader: VitalsReader | None = None
        self.armed = False
        """Whether its first process' death will be noticed at once."""
        self.oom_kills = oom_kills
        self.last: Look | None = None
        self.limits = OwnLimits(None, None)
        self.limits_ns = -LIMITS_NS
        self.dead_ns: int | None = None


class Looks:
    """Used in the sampling thread; a second thread (the first hangs) finds it busy and does without."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._busy = threading.Lock()
        self._followed: dict[Watched, _Follower] = {}
        self._dying: dict[Watched, _Follower] = {}
        self._begun = False
        self.all_armed = False
        """Whether every container's death will be noticed at once."""
        # The processes of a recorded tree are none of this host's.
        self._pidfds = not isinstance(sampler.root, RecordedRoot)

    def take(self, stats: Mapping[str, ContainerStats]) -> Round | None:
        """The round that goes with a pass' figures (by id); None: an earlier one still hangs. Raises ListingFailed."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            round_ = Round(mem_total_bytes=self._sampler.mem_total())
            listed = self._sampler.containers()
            self._compare(listed, round_)
            for watched in listed:
                figures = stats.get(watched.identity.id)
                last = watched.last  # None: it came back under the same id after the pass
                if figures is not None and last is not None and figures.monotonic_ns <= last.monotonic_ns:
                    self._look(watched, figures, round_)
            self.all_armed = all(known.armed for known in self._followed.values())
            self._bury({watched.identity.id for watched in listed}, round_)
            return round_
        finally:
            self._busy.release()

    def killed(self) -> list[Killed]:
        """Only whether processes were killed since, and the peaks: cheap, and often before the cgroup is removed."""
        if not self._busy.acquire(blocking=False):
            return []
        try:
            round_ = Round()
            for watched, known in self._followed.items():
                if known.reader is None or known.last is None:
                    continue
                with contextlib.suppress(CgroupGone):
                    vitals = known.reader.memory(known.last.vitals.pids)
                    if vitals != known.last.vitals:
                        known.last = known.last._replace(vitals=vitals)
                        self._oom(watched, known, vitals, round_)
            return round_.killed
        finally:
            self._busy.release()

    def disarm(self, watched: Watched) -> None:
        """Its first process has died: if it lives on, another one is to be looked at. Called in the event loop."""
        known = self._followed.get(watched)
        if known is not None:
            known.armed = False

    def _compare(self, listed: list[Watched], round_: Round) -> None:
        for watched in listed:
            if watched not in self._followed:
                # One that was made while somebody follows has killed nobody before: its first count is news.
                self._followed[watched] = _Follower(0 if self._begun else None)
                if self._begun:
                    round_.started.append(watched.identity)
        self._begun = True
        for gone in self._followed.keys() - set(listed):
            known = self._dying[gone] = self._followed.pop(gone)
            known.dead_ns = time.monotonic_ns()
            if known.reader is not None:
                known.reader.close()

    def _look(self, watched: Watched, stats: ContainerStats, round_: Round) -> None:
        known = self._followed[watched]
        try:
            if known.reader is None:
                known.reader = watched.cgroup.vitals(watched.descriptors)
            vitals = known.reader.read()
            self._refresh_limits(watched, known)
        except (CgroupGone, OSError):
            vitals = known.last.vitals if known.last else _NOTHING
        if self._pidfds and not known.armed and (fd := _pidfd(watched)) is not None:
            known.armed = True
            round_.pidfds.append((watched, fd))
        self._oom(watched, known, vitals, round_)
        known.last = Look(watched, stats, vitals, known.limits)
        round_.looks.append(known.last)

    @staticmethod
    def _refresh_limits(watched: Watched, known: _Follower) -> None:
        now = time.monotonic_ns()
        if now - known.limits_ns > LIMITS_NS:
            known.limits_ns = now
            limits = watched.cgroup.limits()
            pids = limits.pids_max
            known.limits = OwnLimits(limits.cpu_cores, None if isinstance(pids, Max) else pids)

    @staticmethod
    def _oom(watched: Watched, known: _Follower, vitals: Vitals, round_: Round) -> None:
        total, before = vitals.oom_kills, known.oom_kills
        if total is None:
            return
        known.oom_kills = total
        if before is not None and total > before:
            round_.killed.append(Killed(watched.identity, total - before, total, vitals, watched.last))

    def _bury(self, alive: set[str], round_: Round) -> None:
        """Tell the end of those whose runtime has said how it was, who run again, or who have waited long enough."""
        now = time.monotonic_ns()
        for watched, known in list(self._dying.items()):
            found = self._sampler.names.identify(watched.ref).metadata
            told = found is None or found.state not in (State.RUNNING, State.PAUSED)
            again = watched.identity.id in alive
            if not told and not again and now - (known.dead_ns or 0) < DYING_NS:
                continue
            del self._dying[watched]
            if found is not None and found.oom_killed and not known.oom_kills and not again:
                vitals = known.last.vitals if known.last else _NOTHING
                round_.killed.append(Killed(watched.identity, None, None, vitals, watched.last))
            last = known.last
            if last is None and watched.last is not None:
                last = Look(watched, watched.last, _NOTHING, known.limits)
            round_.ended.append(Ended(watched.identity, last, found))

    def close(self) -> None:
        """Release what is kept open; nothing where a hung thread still looks."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            for known in self._followed.values():
                if known.reader is not None:
                    known.reader.close()
            self._followed.clear()
            self._dying.clear()
        finally:
            self._busy.release()


def _pidfd(watched: Watched) -> int | None:
    """A descriptor that tells when the container's first process dies; None where that cannot be had (before 5.3)."""
    pids = watched.cgroup.procs()
    if not pids or watched.descriptors.used >= watched.descriptors.limit:
        return None
    try:
        return os.pidfd_open(min(pids))
    except OSError:
        return None
