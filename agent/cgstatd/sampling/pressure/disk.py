"""Why a container waits for I/O: a limit, too little memory for what it reads, its own I/O, or its neighbours'."""

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import DeviceIo, DeviceLimit

from . import memory
from .looks import Grown
from .verdict import EXPLAINS, WAITS, Between, Cause, Share, Subject, Verdict, greatest

_PAGE = 4096
_OPERATION = 16 << 10
"""Bytes that one operation is worth where devices are compared: small ones keep a disk busy, too."""
_AT_LIMIT = 0.5
"""Of a limit in io.max: who does so much of it while it waits is held up by it."""
_CERTAIN = 0.9
"""The same where the kernel does not say whether it waits (v1), unless one operation more would be beyond the limit."""
_WORTH = 16 << 10
"""Bytes a second. Who does less is not named."""


class Rate(NamedTuple):
    """What one cgroup did on one device, in a second."""

    read: float = 0.0
    written: float = 0.0
    reads: float = 0.0
    writes: float = 0.0

    @property
    def bytes(self) -> float:
        """Read and written."""
        return self.read + self.written

    @property
    def weight(self) -> float:
        """What it costs the device, in bytes of large operations."""
        return self.bytes + _OPERATION * (self.reads + self.writes)


def verdict(subject: Subject, between: Between) -> Verdict | None:
    """None: it did not wait, or this kernel does not say."""
    stalled = subject.grown.stalled("io")
    if stalled is not None and stalled < WAITS["io"]:
        return None
    found = Verdict(subject.identity, "io", Cause.UNKNOWN, stalled)
    own = _rates(subject.grown, between.after.host.stacked)
    if stalled is None:
        return _thrashing(subject, between, own, found) or _limited(subject, between, found)
    return _thrashing(subject, between, own, found) or _limited(subject, between, found) or _shared(
        subject, between, own, found
    )  # fmt: skip


def _rates(grown: Grown, stacked: frozenset[str] = frozenset()) -> dict[str, Rate]:
    return _between(grown.before.devices or (), grown.after.devices or (), grown.seconds, stacked)


def _between(
    before: tuple[DeviceIo, ...], after: tuple[DeviceIo, ...], seconds: float, stacked: frozenset[str]
) -> dict[str, Rate]:
    known = {each.device: each for each in before}
    nothing = DeviceIo("")
    found = {}
    for each in after:
        if each.device not in stacked:
            was = known.get(each.device, nothing)
            pairs = ((each.rbytes, was.rbytes), (each.wbytes, was.wbytes), (each.rios, was.rios), (each.wios, was.wios))
            found[each.device] = Rate(*[max(0, (now or 0) - (then or 0)) / seconds for now, then in pairs])
    return found


def _thrashing(subject: Subject, between: Between, own: dict[str, Rate], found: Verdict) -> Verdict | None:
    """Where most of what it reads are pages that were dropped for want of memory, it waits for what took it: a limit,
    or on a host that is short of memory who has it."""
    read = sum(rate.read for rate in own.values())
    refaults = subject.grown.a_second("refaults")
    if not refaults or refaults * _PAGE < read / 2:
        return None
    by = memory.limited(subject, between)
    if by is None and found.stalled is not None:
        by = memory.taken(subject, between)
    if by is None or by.cause is Cause.UNKNOWN:
        return None
    return by._replace(resource="io", stalled=found.stalled)


def _limited(subject: Subject, between: Between, found: Verdict) -> Verdict | None:
    for path, grown in [(subject.path, subject.grown), *between.above(subject.path)]:
        rates, known = _rates(grown), {each.device: each for each in grown.after.devices or ()}
        for limit in grown.after.io_limits or ():
            busy = _busy(limit.device, between, subject.grown.seconds)
            idle = _idle(busy, 1.0 if found.stalled is None else found.stalled)
            size = known.get(limit.device, DeviceIo("")) if idle else DeviceIo("")
            hit = _at(limit, rates.get(limit.device, Rate()), size, grown.seconds, found.stalled is None)
            if hit is not None:
                cause = Cause.OWN_LIMIT if path == subject.path else Cause.ABOVE_LIMIT
                return found._replace(
                    cause=cause, limit=f"io.max {hit[0]}", limit_value=hit[1], cgroup=path, device=limit.device
                )
    return None


def _at(limit: DeviceLimit, rate: Rate, done: DeviceIo, seconds: float, certain: bool) -> tuple[str, int] | None:
    """The limit that is used most, if it is used so much that it is the cause.

    ``done``: all that the cgroup ever did on the device, where the device stood idle meanwhile. The kernel lets an
    operation through as a whole, and up to some MiB are one: under a low limit it takes longer than there is between
    the looks, and nothing is counted in it. Then the usual size counts.
    """
    used = []
    for name, most, now, size in (
        ("rbps", limit.rbps, rate.read, _each(done.rbytes, done.rios)),
        ("wbps", limit.wbps, rate.written, _each(done.wbytes, done.wios)),
        ("riops", limit.riops, rate.reads, 1.0 if done.rios else 0.0),
        ("wiops", limit.wiops, rate.writes, 1.0 if done.wios else 0.0),
    ):
        if most:
            share, soon = now / most, (now + size / seconds) / most
            reached = share >= _AT_LIMIT and (not certain or share >= _CERTAIN or soon >= 1.0)
            used.append((reached, soon, name, most))
    reached, soon, name, most = max(used, default=(False, 0.0, "", 0))
    return (name, most) if reached or (soon >= _AT_LIMIT and not certain) else None


def _each(total: int | None, operations: int | None) -> float:
    return total / operations if total and operations else 0.0


def _busy(device: str, between: Between, seconds: float) -> float | None:
    """The share of the time in which a device had something to do; None: not known."""
    before, after = between.before.host.disk_busy_ms.get(device), between.after.host.disk_busy_ms.get(device)
    return None if before is None or after is None or after < before else min(1.0, (after - before) / 1e3 / seconds)


def _idle(busy: float | None, stalled: float | None) -> bool:
    """Whether a device is not what is waited for."""
    return busy is not None and stalled is not None and busy < EXPLAINS * stalled


def _shared(subject: Subject, between: Between, own: dict[str, Rate], found: Verdict) -> Verdict:
    """A device is the cause only if it was busy while the container waited, and it is one that it uses."""
    stacked, seconds = between.after.host.stacked, subject.grown.seconds
    others = [(each.identity, _rates(each.grown, stacked)) for each in between.others(subject)]
    whole = _between(between.before.host.devices or (), between.after.host.devices or (), seconds, stacked)
    used = [each.device for each in subject.grown.after.devices or () if each.device not in stacked and _any(each)]
    used.sort(key=lambda each: (own.get(each, Rate()).weight, whole.get(each, Rate()).weight), reverse=True)
    device = next((each for each in used if not _idle(_busy(each, between, seconds), found.stalled)), "".join(used[:1]))
    mine = own.get(device, Rate())
    busy = _busy(device, between, seconds)
    found = found._replace(device=device, own=mine.bytes if used else None, busy=busy)
    if busy is None or _idle(busy, found.stalled):
        return found
    there = [(identity, rates[device]) for identity, rates in others if device in rates]
    shares = [Share(identity, rate.bytes) for identity, rate in there]
    weight = sum(rate.weight for _, rate in there)
    if device in whole:
        shares.append(Share(None, whole[device].bytes - mine.bytes - sum(share.amount for share in shares)))
        weight = max(weight, whole[device].weight - mine.weight)
    named = greatest(shares, _WORTH) if weight > mine.weight else ()
    cause = Cause.NEIGHBOURS if named else Cause.ITSELF if mine.weight else Cause.UNKNOWN
    return found._replace(cause=cause, shares=named)


def _any(device: DeviceIo) -> bool:
    return any((device.rbytes, device.wbytes, device.rios, device.wios))
