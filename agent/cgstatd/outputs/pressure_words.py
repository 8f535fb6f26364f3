"""From verdicts to the event ``pressure``, each with a sentence that says what waits for what, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..basics.text import printable
from ..sampling.pressure.looks import Look
from ..sampling.pressure.verdict import Cause, Share, Verdict
from .pressure_types import FollowPressure, PressureShare, PressureWait
from .unknown import shown

MOST_WAITS = 20
NAMES = {"cpu": "CPU", "memory": "memory", "io": "the disk"}
_UNITS = {"cpu": "cores", "memory": "bytes", "io": "bytes per second"}
_NOTICED_SECONDS = 4.0
"""A trigger fires within its window of 2 s, and so do the looks after it."""
_PATH = 128
_STOLEN = 0.01
"""Of the time. What a hypervisor takes less is not named."""


def pressure_event(
    resources: Sequence[str],
    before: Look,
    after: Look,
    found: Sequence[Verdict],
    pause_seconds: float,
    device_name: Callable[[str], str],
    time_ms: int,
) -> FollowPressure:
    """``pause_seconds``: until it may be looked again."""
    seconds = (_first_ns(after) - _first_ns(before)) / 1e9
    return FollowPressure(
        resources=list(resources),
        seconds=round(seconds, 3),
        valid_seconds=round(pause_seconds + seconds + _NOTICED_SECONDS, 1),
        waits=[_wait(each, device_name, after.host.cores) for each in found[:MOST_WAITS]],
        more=max(0, len(found) - MOST_WAITS),
        timestamp=time_ms,
    )


def _first_ns(look: Look) -> int:
    return min((counted.monotonic_ns for _, _, counted in look.containers.values()), default=0)


def _wait(said: Verdict, device_name: Callable[[str], str], cores: int) -> PressureWait:
    device = device_name(said.device) if said.device else None
    return PressureWait(
        id=said.identity.id,
        name=said.identity.name,
        runtime=said.identity.runtime,
        resource=said.resource,
        stalled_percent=_percent(said.stalled),
        cause=said.cause.value,
        limit=said.limit or None,
        limit_value=said.limit_value,
        cgroup=shown(said.cgroup),
        throttled_percent=_percent(said.throttled),
        refaults_per_second=None if said.refaults is None else round(said.refaults, 1),
        device=device,
        unit=_UNITS[said.lacks],
        own=None if said.own is None else round(said.own, 3),
        neighbours=[
            PressureShare(
                id=share.identity and share.identity.id,
                name=share.identity and share.identity.name,
                amount=round(share.amount, 3),
            )
            for share in said.shares
        ],
        text=sentence(said, device, cores),
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else round(share * 100, 2)


def sentence(said: Verdict, device: str | None, cores: int) -> str:
    """``web waits for CPU 62 % of the time: its own limit of 0.5 cores (cpu.max) is used up.``"""
    waits = f"{said.identity.name} waits for {NAMES[said.resource]}"
    if said.stalled is not None:
        waits += f" {said.stalled * 100:.0f} % of the time"
    return f"{waits}: {_why(said, device or 'a disk', cores)}"


def _why(said: Verdict, device: str, cores: int) -> str:
    match said.cause:
        case Cause.OWN_LIMIT | Cause.ABOVE_LIMIT:
            return _limit(said, device)
        case Cause.NEIGHBOURS:
            return _neighbours(said, device)
        case Cause.ITSELF:
            if said.lacks == "io":
                return f"{device} is busy with its own {_amount('io', said.own or 0.0)}"
            if said.lacks == "cpu":
                return f"it has more to run than the host's {_cores(cores)}, and others take little"
            return f"the host is short of memory{_left(said)}, and it has the most"
        case _:
            return f"not known why; {_looked(said, device)}"


def _looked(said: Verdict, device: str) -> str:
    """What was looked at, where no cause was found."""
    if said.resource == "cpu":
        limits = "no quota and no CPU set explains it"
        if said.busy is None:
            return f"{limits}, and the host does not say how busy its processors were"
        stolen = f", a hypervisor took {said.stolen * 100:.0f} %" if said.stolen and said.stolen >= _STOLEN else ""
        return f"{limits}, and its processors were busy {said.busy * 100:.0f} % of the time{stolen}"
    if said.resource == "memory":
        limits = "no memory limit of it or above it is reached"
        if said.available is None or said.total is None:
            return f"{limits}, and the host does not say how much memory it has left"
        return f"{limits}, and the host has {_bytes(said.available)} of {_bytes(said.total)} left"
    if not said.device:
        return "no limit of it is reached, and the kernel counts no disk I/O of it (it may wait for a network)"
    if said.busy is None:
        return f"no limit of it is reached, and the host does not say how busy {device} was"
    return f"no limit of it is reached, and {device} was busy {said.busy * 100:.0f} % of the time"


def _left(said: Verdict) -> str:
    return "" if said.available is None else f" ({_bytes(said.available)} left)"


def _limit(said: Verdict, device: str) -> str:
    whose = (
        "its own limit" if said.cause is Cause.OWN_LIMIT else f"the limit of {printable(said.cgroup, _PATH)} above it"
    )
    value = said.limit_value or 0.0
    if said.limit == "cpu.max":
        return f"{whose}, {value:.3g} cores (cpu.max), ran out in {(said.throttled or 0) * 100:.0f} % of the periods"
    if said.limit == "cpuset.cpus":
        return f"{whose} to {_cores(round(value))} (cpuset.cpus), which it uses up"
    if said.limit.startswith("io.max"):
        unit = "operations" if said.limit.endswith("iops") else "bytes"
        much = f"{value:.0f} operations/s" if unit == "operations" else f"{_bytes(value)}/s"
        return f"{whose}, {much} on {device} ({said.limit})"
    again = f", and it reads back {said.refaults:.0f} pages a second" if said.refaults and said.refaults >= 1 else ""
    return f"{whose}, {_bytes(value)} ({said.limit}), is hit{again}"


def _neighbours(said: Verdict, device: str) -> str:
    others = ", ".join(f"{_who(share)} {_amount(said.lacks, share.amount)}" for share in said.shares)
    own = _amount(said.lacks, said.own or 0.0)
    if said.lacks == "cpu":
        return f"others take the processors ({others}), it gets {own}"
    if said.lacks == "io":
        return f"{device} is busy with others ({others}), with its own {own}"
    return f"the host is short of memory{_left(said)}, and others have most of it ({others}), it has {own}"


def _who(share: Share) -> str:
    return "other processes" if share.identity is None else share.identity.name


def _amount(resource: str, amount: float) -> str:
    if resource == "cpu":
        return f"{amount:.2f}"
    return _bytes(amount) + ("/s" if resource == "io" else "")


def _cores(count: int) -> str:
    return f"{count} processor{'' if count == 1 else 's'}"


def _bytes(amount: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} GiB"
