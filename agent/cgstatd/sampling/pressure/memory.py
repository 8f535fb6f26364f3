"""Why a container waits for memory: its own limit, one above it, or a host that is short of memory."""

from __future__ import annotations

from .looks import Grown
from .verdict import WAITS, Between, Cause, Share, Subject, Verdict, greatest, within

_REFAULTS = 100.0
"""Pages a second. Where the kernel does not say who waits (v1), a limit that was hit is no trouble by itself: every
program that reads large files hits it, and drops what it read. Reading the same again is."""
_AT_LIMIT = 0.85
"""Of a limit. The counter of v1 (memory.failcnt) stands still where memory and swap have the same limit: there, who is
at the limit in one of the looks and reads back what was dropped is held up by it. Each time memory is short some of it
is freed, up to a tenth of a limit of 24 MiB."""
_SHORT = 0.2
"""Of the host's memory: a host that has more than this left is not short of it."""
_WORTH = 1 << 20
"""Bytes. Who has less is not named."""


def verdict(subject: Subject, between: Between) -> Verdict | None:
    """None: it did not wait, or this kernel does not say."""
    stalled = subject.grown.stalled("memory")
    if stalled is not None and stalled < WAITS["memory"]:
        return None
    if stalled is None and subject.grown.a_second("refaults") < _REFAULTS:
        return None
    found = limited(subject, between)
    if found is not None or stalled is None:
        return found
    return taken(subject, between)


def limited(subject: Subject, between: Between) -> Verdict | None:
    """The limit that was hit between the looks; None: none was."""
    grown = subject.grown
    found = _looked(subject, between)._replace(cause=Cause.OWN_LIMIT)
    around = [(subject.path, grown), *between.above(subject.path)]
    for path, each in around:
        inside = [one.grown for one in between.subjects if path != subject.path and within(one.path, path)]
        hit = _hit(each, _sum(inside, "high_events"), _sum(inside, "max_events"))
        if hit is not None:
            cause = Cause.OWN_LIMIT if path == subject.path else Cause.ABOVE_LIMIT
            return found._replace(cause=cause, limit=hit[0], limit_value=hit[1], cgroup=path)
    if grown.a_second("refaults") < _REFAULTS or _short(between):
        return None
    for path, each in around:
        limit, most = each.after.memory_max, max(each.before.memory_bytes or 0, each.after.memory_bytes or 0)
        if isinstance(limit, int) and most >= _AT_LIMIT * limit:
            cause = Cause.OWN_LIMIT if path == subject.path else Cause.ABOVE_LIMIT
            return found._replace(cause=cause, limit="memory.max", limit_value=limit, cgroup=path)
    return None


def _sum(several: list[Grown], field: str) -> int:
    return sum(each.more(field) for each in several)


def _hit(grown: Grown, high_below: int, max_below: int) -> tuple[str, int] | None:
    """The limit of a cgroup that was hit, and its bytes. ``below``: the events of containers in it, which the counters
    of memory.events include."""
    for name, limit, events in (
        ("memory.max", grown.after.memory_max, grown.more("max_events") - max_below),
        ("memory.high", grown.after.memory_high, grown.more("high_events") - high_below),
    ):
        if events > 0 and isinstance(limit, int):
            return name, limit
    return None


def _looked(subject: Subject, between: Between) -> Verdict:
    """What was looked at, without a cause."""
    grown, host = subject.grown, between.after.host.memory
    return Verdict(
        subject.identity,
        "memory",
        Cause.UNKNOWN,
        grown.stalled("memory"),
        refaults=grown.a_second("refaults"),
        own=grown.after.memory_bytes,
        available=host and host.available,
        total=host and host.total,
    )


def _short(between: Between) -> bool:
    """Whether the host is short of memory: little is left of it, and the kernel looks for more. What it looked at for
    a cgroup's limit does not count there."""
    before, after = between.before.host.memory, between.after.host.memory
    if after is None or after.available >= _SHORT * after.total:
        return False
    if before is None or before.scanned is None or after.scanned is None:
        return True
    return after.scanned > before.scanned


def taken(subject: Subject, between: Between) -> Verdict:
    """Of a host that is short of memory, who has most of it; else not known."""
    found = _looked(subject, between)
    host, own = between.after.host.memory, subject.grown.after.memory_bytes
    if host is None or own is None or not _short(between):
        return found
    shares = [Share(each.identity, each.grown.after.memory_bytes or 0) for each in between.others(subject)]
    shares.append(Share(None, host.total - host.free - own - sum(share.amount for share in shares)))
    if sum(share.amount for share in shares) < own:
        return found._replace(cause=Cause.ITSELF)
    named = greatest(shares, _WORTH)
    return found._replace(cause=Cause.NEIGHBOURS if named else Cause.UNKNOWN, shares=named)
