"""Why a container waits for memory: its own limit, one above it, or a host that is short of memory."""

from __future__ import annotations

from .looks import Grown
from .verdict import WAITS, Between, Cause, Share, Subject, Verdict, greatest, within

_REFAULTS = 100.0
"""Pages a second. Where the kernel does not say who waits (v1), a limit that was hit is no trouble by itself: every
program that reads large files hits it, and drops what it read. Reading the same again is."""
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
    return _short(subject, between, stalled)


def limited(subject: Subject, between: Between) -> Verdict | None:
    """The limit that was hit between the looks; None: none was."""
    grown = subject.grown
    found = Verdict(
        subject.identity, "memory", Cause.OWN_LIMIT, grown.stalled("memory"), refaults=grown.a_second("refaults"),
        own=grown.after.memory_bytes,
    )  # fmt: skip
    own = _hit(grown, 0, 0)
    if own is not None:
        return found._replace(limit=own[0], limit_value=own[1], cgroup=subject.path)
    for path, above in between.above(subject.path):
        inside = [each.grown for each in between.subjects if within(each.path, path)]
        hit = _hit(above, _sum(inside, "high_events"), _sum(inside, "max_events"))
        if hit is not None:
            return found._replace(cause=Cause.ABOVE_LIMIT, limit=hit[0], limit_value=hit[1], cgroup=path)
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


def _short(subject: Subject, between: Between, stalled: float) -> Verdict:
    """The host itself is short of memory: who has most of it."""
    own = subject.grown.after.memory_bytes or 0
    shares = [Share(each.identity, each.grown.after.memory_bytes or 0) for each in between.others(subject)]
    named = greatest(shares, _WORTH)
    cause = Cause.UNKNOWN
    if named or own:
        cause = Cause.NEIGHBOURS if sum(share.amount for share in shares) >= own else Cause.ITSELF
    return Verdict(
        subject.identity,
        "memory",
        cause,
        stalled,
        refaults=subject.grown.a_second("refaults"),
        own=own,
        shares=named if cause is Cause.NEIGHBOURS else (),
    )
