"""GET /api/containers/{id}/detail: every value with its unit and source, or the reason why there is none."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cgroupfs import Absent, Limit, Limits, Max, Missing, Stall

from ..derive import round_half_up
from ..detail import Detail
from .follow import FollowExit
from .identity import ContainerIdentity, container_identity, milliseconds

MEMORY_OFF = "memory controller disabled: add cgroup_enable=memory to the kernel command line"
MEMORY_NOT_HERE = "the memory controller is not enabled for this cgroup"
_UNITS = {"usec": "microseconds", "bytes": "bytes", "percent": "percent"}
_COUNTS = ("pg", "workingset_")


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Either ``value`` (``"max"``: a limit set to none) or ``absent``: the reason in words."""

    value: int | float | str | list[int] | UnsetType = UNSET
    absent: str | UnsetType = UNSET
    unit: str | UnsetType = UNSET
    source: str
    """The file, or how it is computed."""


class InterfaceDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One network interface, seen from inside the container, since it was made."""

    name: str
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class Partner(msgspec.Struct, frozen=True):
    """Another container in the same network namespace: its figures are the same ones."""

    id: str
    name: str


class NetworkDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Sums are over the interfaces without ``lo``."""

    rx_bytes: Value
    tx_bytes: Value
    interfaces: list[InterfaceDetail]
    shared_with: list[Partner]


class DeviceDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One block device. null: not counted."""

    device: str
    name: str | None
    stacked: bool
    """dm, md, loop: the device below counts the same, so sums leave this one out."""
    read_bytes: int | None
    write_bytes: int | None
    reads: int | None
    writes: int | None
    discard_bytes: int | None
    discards: int | None


class BlockDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Sums leave stacked devices out (the documented endpoints count all, as Docker does)."""

    read_bytes: Value
    write_bytes: Value
    devices: list[DeviceDetail]


class LimitDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One limit: the container's own, and the tightest of its own and its ancestors' with the cgroup that has it."""

    own: Value
    tightest: Value
    tightest_cgroup: str | None


class ContainerDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that is known of one container. Of one that does not run: its identity, and its last words."""

    container: ContainerIdentity
    timestamp: int
    cgroup: str | None
    started: Value | None = None
    cpu: dict[str, Value] = {}
    memory: dict[str, Value] = {}
    memory_stat: dict[str, Value] = {}
    memory_events: dict[str, Value] = {}
    pids: dict[str, Value] = {}
    pressure: dict[str, Value] = {}
    network: NetworkDetail | None = None
    block: BlockDetail | None = None
    limits: dict[str, LimitDetail] = {}
    last_words: FollowExit | None = None
    """The last figures of its last end, where somebody followed and it was in the last ten minutes."""


def _absent(reason: str, source: str, unit: str | UnsetType = UNSET) -> Value:
    return Value(absent=reason, source=source, unit=unit)


def _unit(field: str) -> str | UnsetType:
    return _UNITS.get(field.rpartition("_")[2], UNSET)


class _Records:
    """Makes values out of one record's fields."""

    def __init__(self, detail: Detail, name: str, missing: tuple[Missing, ...]) -> None:
        self._detail = detail
        self._name = name
        self._missing = {each.field: each for each in missing}

    def value(self, field: str, value: Any, key: str, unit: str | UnsetType = UNSET) -> Value:
        """``field``: as in ``missing``; ``key``: as the library names its source."""
        if value is None:
            missing = self._missing.get(field)
            reason = missing.reason if missing else Absent.FILE_ABSENT
            source = missing.path if missing else self._detail.cgroup.source(key)
            return _absent(self._words(reason), source, unit)
        if isinstance(value, Max):
            value = "max"
        elif isinstance(value, frozenset):
            value = sorted(value)
        return Value(value=value, unit=unit, source=self._detail.cgroup.source(key))

    def _words(self, reason: Absent) -> str:
        if self._name != "memory":
            return reason.value
        if not self._detail.memory_controller:
            return MEMORY_OFF
        if self._detail.memory.usage_bytes is None and reason in (Absent.FILE_ABSENT, Absent.CONTROLLER_OFF):
            return MEMORY_NOT_HERE
        return reason.value

    def all(self, record: Any, prefix: str, unit: str | UnsetType | None = None) -> dict[str, Value]:
        """Every plain field of a record, by its camel-case name."""
        found = {}
        for field in fields(record):
            if field.name not in ("missing", "stat", "events"):
                value = getattr(record, field.name)
                of = _unit(field.name) if unit is None else unit
                if unit == "bytes" and field.name.startswith(_COUNTS):
                    of = UNSET
                found[camel(field.name)] = self.value(field.name, value, f"{prefix}.{field.name}", of)
        return found


def camel(name: str) -> str:
    """``usage_usec`` -> ``usageUsec``"""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _ratio(part: float | None, whole: float | None, source: str, lacking: str) -> Value:
    if part is None or not whole:
        return _absent(lacking, source, "percent")
    return Value(value=round_half_up(part / whole * 100), unit="percent", source=source)


def _cpu(detail: Detail) -> dict[str, Value]:
    cpu, percent = detail.cpu, detail.stats.cpu_percent if detail.stats else None
    found = _Records(detail, "cpu", cpu.missing).all(cpu, "cpu")
    used = None if percent is None else percent / 100
    found["percent"] = (
        _absent("no earlier reading to compare with", "CPU time over elapsed time, 100 per core", "percent")
        if percent is None
        else Value(
            value=round_half_up(percent), unit="percent", source="CPU time over elapsed time, 100 per core"
        )
    )
    found["percentOfHost"] = _ratio(used, detail.cores, "percent / cores of the host", "not known")
    quota = detail.limits[0][1].cpu_cores
    found["percentOfQuota"] = _ratio(used, quota, "percent / the container's own quota", "it has no quota")
    found["throttledPercent"] = _ratio(
        cpu.nr_throttled, cpu.nr_periods, "nrThrottled / nrPeriods since it started", "it has no quota"
    )
    return found


def _memory(detail: Detail) -> dict[str, Value]:
    memory = detail.memory
    found = _Records(detail, "memory", memory.missing).all(memory, "memory")
    usage, cache = memory.usage_bytes, memory.stat.inactive_file
    rule = "usage - inactive_file, not below 0"
    if usage is None or cache is None:
        found["workingSetBytes"] = _absent(
            (found["usageBytes"].absent or "") if usage is None else "no inactive_file", rule, "bytes"
        )
    else:
        found["workingSetBytes"] = Value(value=max(0, usage - cache), unit="bytes", source=rule)
    stat = _Records(detail, "memory", memory.missing)
    found["rssBytes"] = stat.value("anon", memory.stat.anon, "memory.stat.anon", "bytes")
    own = detail.own_memory
    if own is not None:
        part = "" if own.complete else ", not all could be read"
        rule = f"sum over {own.processes} processes of /proc/<pid>/status RssAnon + RssShmem{part}: not the cgroup's"
        found["processesBytes"] = Value(value=own.memory.anon + own.memory.shmem, unit="bytes", source=rule)
    return found


def _pressure(detail: Detail) -> dict[str, Value]:
    record, found = detail.pressure, {}
    missing = {each.field: each for each in record.missing}
    for field in (f.name for f in fields(record) if f.name != "missing"):
        stall: Stall | None = getattr(record, field)
        for name in ("avg10", "avg60", "avg300", "total_usec"):
            unit = "microseconds" if name == "total_usec" else "percent"
            if stall is None:
                why = missing[field]
                found[camel(f"{field}_{name}")] = _absent(why.reason.value, why.path, unit)
            else:
                source = detail.cgroup.source(f"pressure.{field.partition('_')[0]}")
                found[camel(f"{field}_{name}")] = Value(value=getattr(stall, name), unit=unit, source=source)
    return found


def _network(detail: Detail) -> NetworkDetail:
    network = detail.network
    if detail.identity.metadata is not None and detail.identity.metadata.network_mode == "host":
        network = network._replace(interfaces=None, reason=Absent.HOST_NETWORK)
    interfaces = network.interfaces

    def total(of: str) -> Value:
        if interfaces is None:
            reason = network.reason or Absent.READ_FAILED
            return _absent(reason.value, network.source, "bytes")
        return Value(value=sum(getattr(each, of) for each in interfaces), unit="bytes", source=network.source)

    return NetworkDetail(
        rx_bytes=total("rx_bytes"),
        tx_bytes=total("tx_bytes"),
        interfaces=[InterfaceDetail(**_interface(each)) for each in interfaces or ()],
        shared_with=[Partner(each.id, each.name) for each in detail.partners],
    )


def _interface(each: Any) -> dict[str, Any]:
    names = {"rx_errs": "rx_errors", "rx_drop": "rx_dropped", "tx_errs": "tx_errors", "tx_drop": "tx_dropped"}
    return {names.get(key, key): value for key, value in each._asdict().items()}


def _block(detail: Detail) -> BlockDetail:
    io = detail.io
    devices = [
        DeviceDetail(
            device=each.device,
            name=detail.devices[each.device].name,
            stacked=detail.devices[each.device].stacked,
            read_bytes=each.rbytes,
            write_bytes=each.wbytes,
            reads=each.rios,
            writes=each.wios,
            discard_bytes=each.dbytes,
            discards=each.dios,
        )
        for each in io.devices or ()
    ]
    why = next((each for each in io.missing if each.field == "devices"), None)

    def total(of: str) -> Value:
        if why is not None:
            return _absent(why.reason.value, why.path, "bytes")
        parts = [getattr(each, of) for each in devices if not each.stacked]
        return Value(value=sum(part or 0 for part in parts), unit="bytes", source=io.source)

    return BlockDetail(read_bytes=total("read_bytes"), write_bytes=total("write_bytes"), devices=devices)


def _limit(detail: Detail, name: str, unit: str | UnsetType, of: Any, key: str) -> LimitDetail:
    """``of``: Limits -> the limit in the unit that is compared."""
    chain: list[tuple[str, Limit | float]] = [(path, of(limits)) for path, limits in detail.limits]
    own = chain[0][1]
    record = _Records(detail, name, detail.limits[0][1].missing)
    numbers = [(value, path) for path, value in chain if isinstance(value, int | float)]
    value, path = min(numbers, key=lambda pair: pair[0]) if numbers else ("max", None)
    rule = "the smallest of its own and its ancestors'"
    return LimitDetail(
        own=record.value(_LIMIT_FIELDS[name], own, key, unit),
        tightest=Value(value=value, unit=unit, source=rule),
        tightest_cgroup=path,
    )


_LIMIT_FIELDS = {"cpu": "cpu_quota_usec", "memory": "memory_max_bytes", "pids": "pids_max"}


def _cores(limits: Limits) -> Limit | float:
    return limits.cpu_quota_usec if isinstance(limits.cpu_quota_usec, Max) else limits.cpu_cores


def _limits(detail: Detail) -> dict[str, LimitDetail]:
    return {
        "cpu": _limit(detail, "cpu", "cores", _cores, "cpu.quota_usec"),
        "memory": _limit(detail, "memory", "bytes", lambda each: each.memory_max_bytes, "memory.max_bytes"),
        "pids": _limit(detail, "pids", UNSET, lambda each: each.pids_max, "pids.max"),
    }


def _started(detail: Detail) -> Value:
    rule = "/proc/<pid>/stat of its oldest process, and btime of /proc/stat"
    if detail.started_seconds is None:
        return _absent("no process is visible in the cgroup", rule, "milliseconds since the epoch")
    return Value(
        value=milliseconds(detail.started_seconds) or 0, unit="milliseconds since the epoch", source=rule
    )


def container_detail(detail: Detail, last_words: FollowExit | None) -> ContainerDetail:
    """The answer for a container that has a cgroup."""
    memory = detail.memory
    records = _Records(detail, "memory", memory.missing)
    return ContainerDetail(
        container=container_identity(detail.identity, detail.state, detail.pids.current),
        timestamp=detail.time_ms,
        cgroup=detail.cgroup.path,
        started=_started(detail),
        cpu=_cpu(detail),
        memory=_memory(detail),
        memory_stat=records.all(memory.stat, "memory.stat", "bytes"),
        memory_events=records.all(memory.events, "memory.events", UNSET),
        pids=_Records(detail, "pids", detail.pids.missing).all(detail.pids, "pids"),
        pressure=_pressure(detail),
        network=_network(detail),
        block=_block(detail),
        limits=_limits(detail),
        last_words=last_words,
    )
