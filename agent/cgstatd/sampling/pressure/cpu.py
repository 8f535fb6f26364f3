"""Why a container waits for a processor: a quota, a CPU set, its own threads, or its neighbours."""

from __future__ import annotations

from .looks import Grown
from .verdict import WAITS, Between, Cause, Share, Subject, Verdict, greatest

_OF_THE_STALL = 0.5
"""Throttling is the cause if it is at least this part of the wait; else the wait is for other programs."""
_PERIODS = 0.1
"""And if at least these of the quota's periods ran out. ``throttled_usec`` alone says little: it is summed up over the
processors, and on many of them soon larger than the wait."""
_FULL = 0.7
"""A CPU set is the cause if so much of it is in use by the container itself."""
_TAKES = 0.1
"""Of the host's processors: neighbours that take less are not the cause."""
_WORTH = 0.02
"""Processors. Who takes less is not named."""


def verdict(subject: Subject, between: Between) -> Verdict | None:
    """None: it did not wait, or this kernel does not say."""
    stalled = subject.grown.stalled("cpu")
    if stalled is not None and stalled < WAITS["cpu"]:
        return None
    limited = _limited(subject, between, stalled)
    if limited is not None or stalled is None:
        return limited
    return _contended(subject, between, stalled)


def _throttled(grown: Grown, stalled: float | None) -> bool:
    """Whether a cgroup's quota explains the wait."""
    if grown.quota_cores is None or grown.throttled_share < _PERIODS:
        return False
    return stalled is None or grown.a_second("throttled_nsec") / 1e9 >= _OF_THE_STALL * stalled


def _limited(subject: Subject, between: Between, stalled: float | None) -> Verdict | None:
    own = [(subject.path, subject.grown), *between.above(subject.path)]
    found = Verdict(subject.identity, "cpu", Cause.OWN_LIMIT, stalled, own=subject.grown.cores)
    for path, grown in own:
        cause = Cause.OWN_LIMIT if path == subject.path else Cause.ABOVE_LIMIT
        if _throttled(grown, stalled):
            throttled, cores = grown.throttled_share, grown.quota_cores
            return found._replace(cause=cause, limit="cpu.max", limit_value=cores, cgroup=path, throttled=throttled)
    if stalled is None:
        return None
    for path, grown in own:
        cpus = grown.after.cpus
        if cpus:  # the nearest one that is restricted: it is the tightest
            if len(cpus) < between.after.host.cores and subject.grown.cores >= _FULL * len(cpus):
                cause = Cause.OWN_LIMIT if path == subject.path else Cause.ABOVE_LIMIT
                return found._replace(cause=cause, limit="cpuset.cpus", limit_value=len(cpus), cgroup=path)
            break
    return None


def _contended(subject: Subject, between: Between, stalled: float) -> Verdict:
    cores, own = between.after.host.cores, subject.grown.cores
    shares = [Share(each.identity, each.grown.cores) for each in between.others(subject)]
    busy = _busy_cores(between)
    if busy is not None:
        shares.append(Share(None, busy - own - sum(share.amount for share in shares)))
    taken = sum(max(0.0, share.amount) for share in shares)
    if taken >= max(_TAKES * cores, own / 4):
        cause = Cause.NEIGHBOURS
    else:
        cause = Cause.ITSELF if own >= cores / 2 else Cause.UNKNOWN
    named = greatest(shares, _WORTH) if cause is Cause.NEIGHBOURS else ()
    return Verdict(subject.identity, "cpu", cause, stalled, own=own, shares=named)


def _busy_cores(between: Between) -> float | None:
    """How many processors all programs of the host used together; None: not known."""
    before, after = between.before.host.busy_share, between.after.host.busy_share
    if before is None or after is None or after[1] <= before[1] or after[0] < before[0]:
        return None
    return (after[0] - before[0]) / (after[1] - before[1]) * between.after.host.cores
