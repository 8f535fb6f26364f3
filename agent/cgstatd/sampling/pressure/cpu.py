"""Why a container waits for a processor: a quota, a CPU set, its own threads, or its neighbours."""

from __future__ import annotations

from .looks import Grown
from .verdict import EXPLAINS, WAITS, Between, Cause, Share, Subject, Verdict, greatest

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
    """The processors that it may use are the cause only if they were busy while it waited."""
    allowed, own = _allowed(subject, between), subject.grown.cores
    cores = len(allowed) or between.after.host.cores
    busy, stolen = _in_use(allowed, between)
    found = Verdict(subject.identity, "cpu", Cause.UNKNOWN, stalled, own=own, busy=busy, stolen=stolen)
    if busy is None or busy < EXPLAINS * stalled:
        return found
    rest = busy * cores - own
    shares = [
        Share(each.identity, each.grown.cores)
        for each in between.others(subject)
        if not allowed or not (theirs := _allowed(each, between)) or allowed & theirs
    ]
    shares.append(Share(None, rest - sum(share.amount for share in shares)))
    taken = min(rest, sum(max(0.0, share.amount) for share in shares))
    if taken >= max(_TAKES * cores, own / 4):
        named = greatest(shares, _WORTH)
        return found._replace(cause=Cause.NEIGHBOURS if named else Cause.UNKNOWN, shares=named)
    return found._replace(cause=Cause.ITSELF if own >= cores / 2 else Cause.UNKNOWN)


def _allowed(subject: Subject, between: Between) -> frozenset[int]:
    """The processors that it may use, of those that are online; empty: all of them."""
    online = between.after.host.cpus
    for grown in (subject.grown, *(above for _, above in between.above(subject.path))):
        if grown.after.cpus:  # the nearest one that is restricted
            return frozenset(cpu for cpu in grown.after.cpus if cpu in online or not online)
    return frozenset()


def _in_use(allowed: frozenset[int], between: Between) -> tuple[float | None, float | None]:
    """For which shares of the time these processors were busy, and taken by a hypervisor; None: not known."""
    before, after = between.before.host, between.after.host
    known = [cpu for cpu in after.cpus if cpu in before.cpus and (not allowed or cpu in allowed)]
    grown = [
        [now - then for now, then in zip(after.cpus[cpu], before.cpus[cpu], strict=True)] for cpu in known
    ]  # fmt: skip
    busy, stolen, total = [sum(column) for column in zip(*grown, strict=True)] or (0, 0, 0)
    if total <= 0 or busy < 0:
        return None, None
    return busy / total, max(0, stolen) / total
