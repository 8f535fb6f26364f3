"""Why a container waits for I/O: a limit, pages that its memory limit drove out, its own I/O, or its neighbours'."""

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import DeviceIo, DeviceLimit

from . import memory
from .looks import Grown
from .verdict import WAITS, Between, Cause, Share, Subject, Verdict, greatest

_PAGE = 4096
_OPERATION = 16 << 10
"""Bytes that one operation is worth where devices are compared: small ones keep a disk busy, too."""
_AT_LIMIT = 0.5
"""Of a limit in io.max: who does so much of it while it waits is held up by it."""
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
    if stalled is None or stalled < WAITS["io"]:
        return None
    stacked = between.after.host.stacked
    own = _rates(subject.grown, stacked)
    found = Verdict(subject.identity, "io", Cause.UNKNOWN, stalled)
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
    """Where most of what it reads are pages that a memory limit drove out, that limit is the cause."""
    read = sum(rate.read for rate in own.values())
    refaults = subject.grown.a_second("refaults")
    if not refaults or refaults * _PAGE < read / 2:
        return None
    by = memory.limited(subject, between)
    if by is None:
        return None
    return by._replace(resource="io", stalled=found.stalled)


def _limited(subject: Subject, between: Between, found: Verdict) -> Verdict | None:
    for path, grown in [(subject.path, subject.grown), *between.above(subject.path)]:
        rates = _rates(grown)
        for limit in grown.after.io_limits or ():
            hit = _at(limit, rates.get(limit.device, Rate()))
            if hit is not None:
                cause = Cause.OWN_LIMIT if path == subject.path else Cause.ABOVE_LIMIT
                return found._replace(
                    cause=cause, limit=f"io.max {hit[0]}", limit_value=hit[1], cgroup=path, device=limit.device
                )
    return None


def _at(limit: DeviceLimit, rate: Rate) -> tuple[str, int] | None:
    for name, most, now in (
        ("rbps", limit.rbps, rate.read),
        ("wbps", limit.wbps, rate.written),
        ("riops", limit.riops, rate.reads),
        ("wiops", limit.wiops, rate.writes),
    ):
        if most is not None and now >= _AT_LIMIT * most:
            return name, most
    return None


def _shared(subject: Subject, between: Between, own: dict[str, Rate], found: Verdict) -> Verdict:
    stacked = between.after.host.stacked
    others = [(each.identity, _rates(each.grown, stacked)) for each in between.others(subject)]
    whole = _between(
        between.before.host.devices or (), between.after.host.devices or (), subject.grown.seconds, stacked
    )
    device = _busiest([own]) or _busiest([whole]) or _busiest([rates for _, rates in others])
    if not device:
        return found
    mine = own.get(device, Rate())
    there = [(identity, rates[device]) for identity, rates in others if device in rates]
    shares = [Share(identity, rate.bytes) for identity, rate in there]
    weight = sum(rate.weight for _, rate in there)
    if device in whole:
        shares.append(Share(None, whole[device].bytes - mine.bytes - sum(share.amount for share in shares)))
        weight = max(weight, whole[device].weight - mine.weight)
    named = greatest(shares, _WORTH) if weight > mine.weight else ()
    cause = Cause.NEIGHBOURS if named else Cause.ITSELF if mine.weight else Cause.UNKNOWN
    return found._replace(cause=cause, device=device, own=mine.bytes, shares=named)


def _busiest(several: list[dict[str, Rate]]) -> str:
    """The device with the most to do; empty: none has anything."""
    weights: dict[str, float] = {}
    for rates in several:
        for device, rate in rates.items():
            weights[device] = weights.get(device, 0.0) + rate.weight
    device, weight = max(weights.items(), key=lambda each: each[1], default=("", 0.0))
    return device if weight else ""
