"""GET /api/containers/{id}/detail: the records as an answer."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from msgspec import UNSET, UnsetType

from cgroupfs import Absent, Limit, Limits, Max, Stall

from ..basics.text import printable
from ..sampling.container_detail import Detail
from ..sampling.lived import NOTHING, Lived
from ..sampling.rates import round_half_up
from .detail_types import (
    BlockDetail,
    ContainerDetail,
    DeviceDetail,
    InterfaceDetail,
    LimitDetail,
    NetworkDetail,
    Partner,
    Value,
)
from .detail_values import Records, absent, camel, ratio
from .follow_types import FollowExit
from .identity_json import container_identity, milliseconds

_PATH = 1024


def _cpu(detail: Detail) -> dict[str, Value]:
    cpu, percent = detail.cpu, detail.stats.cpu_percent if detail.stats else None
    found = Records(detail, "cpu", cpu.missing).all(cpu, "cpu")
    used = None if percent is None else percent / 100
    found["percent"] = (
        absent("no earlier reading to compare with", "CPU time over elapsed time, 100 per core", "percent")
        if percent is None
        else Value(value=round_half_up(percent), unit="percent", source="CPU time over elapsed time, 100 per core")
    )
    found["percentOfHost"] = ratio(used, detail.cores, "percent / cores of the host", "not known")
    quota = detail.limits[0][1].cpu_cores
    found["percentOfQuota"] = ratio(used, quota, "percent / the container's own quota", "it has no quota")
    found["throttledPercent"] = ratio(
        cpu.nr_throttled, cpu.nr_periods, "nrThrottled / nrPeriods since it started", "it has no quota"
    )
    return found


def _memory(detail: Detail) -> dict[str, Value]:
    memory = detail.memory
    found = Records(detail, "memory", memory.missing).all(memory, "memory")
    usage, inactive_file = memory.usage_bytes, memory.stat.inactive_file
    rule = "usage - inactive_file, not below 0"
    if usage is None or inactive_file is None:
        found["workingSetBytes"] = absent(
            (found["usageBytes"].absent or "") if usage is None else "no inactive_file", rule, "bytes"
        )
    else:
        found["workingSetBytes"] = Value(value=max(0, usage - inactive_file), unit="bytes", source=rule)
    stat = Records(detail, "memory", memory.missing)
    found["rssBytes"] = stat.value("memory.stat.anon", memory.stat.anon)
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
                why = missing[f"pressure.{field}"]
                found[camel(f"{field}_{name}")] = absent(why.reason.value, why.path, unit)
            else:
                source = detail.cgroup.source(f"pressure.{field}")
                found[camel(f"{field}_{name}")] = Value(value=getattr(stall, name), unit=unit, source=source)
    return found


def _network(detail: Detail) -> NetworkDetail:
    network = detail.network
    if detail.identity.metadata is not None and detail.identity.metadata.network_mode == "host":
        network = network._replace(listed=None, reason=Absent.HOST_NETWORK)
    listed = network.listed

    def total(of: str) -> Value:
        if listed is None:
            reason = network.reason or Absent.READ_FAILED
            return absent(reason.value, network.source, "bytes")
        return Value(value=getattr(listed, of), unit="bytes", source=network.source)

    return NetworkDetail(
        rx_bytes=total("rx_bytes"),
        tx_bytes=total("tx_bytes"),
        interfaces=[InterfaceDetail(**_interface(each)) for each in listed.interfaces] if listed else [],
        interfaces_left_out=listed.left_out if listed else 0,
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
    source = detail.cgroup.file("io", io.source)
    why = next((each for each in io.missing if each.field == "io.devices"), None)

    def total(of: str) -> Value:
        if why is not None:
            return absent(why.reason.value, detail.cgroup.host_path(why.path), "bytes")
        parts = [getattr(each, of) for each in devices if not each.stacked]
        return Value(value=sum(part or 0 for part in parts), unit="bytes", source=source)

    return BlockDetail(read_bytes=total("read_bytes"), write_bytes=total("write_bytes"), devices=devices)


def _limit(detail: Detail, field: str, unit: str | UnsetType, of: Any) -> LimitDetail:
    """``of``: Limits -> the limit in the unit that is compared."""
    name = field.partition(".")[0]
    chain: list[tuple[str, Limit | float]] = [(path, of(limits)) for path, limits in detail.limits]
    own = Records(detail, name, detail.limits[0][1].missing).value(field, chain[0][1], unit)
    if name == "memory" and not isinstance(chain[0][1], int) and detail.promised_limit is not None:
        chain[0] = (chain[0][0], detail.promised_limit)
        own = Value(value=detail.promised_limit, unit="bytes", source="its engine's state: about to be set")
    numbers = [(value, path) for path, value in chain if isinstance(value, int | float)]
    value, path = min(numbers, key=lambda pair: pair[0]) if numbers else ("max", None)
    rule = "the smallest of its own and its ancestors'"
    return LimitDetail(
        own=own,
        tightest=Value(value=value, unit=own.unit, source=rule),
        tightest_cgroup=path,
    )


def _cores(limits: Limits) -> Limit | float:
    return limits.cpu_quota_usec if isinstance(limits.cpu_quota_usec, Max) else limits.cpu_cores


def _limits(detail: Detail) -> dict[str, LimitDetail]:
    return {
        "cpu": _limit(detail, "cpu.quota_usec", "cores", _cores),
        "memory": _limit(detail, "memory.max_bytes", UNSET, lambda each: each.memory_max_bytes),
        "pids": _limit(detail, "pids.max", UNSET, lambda each: each.pids_max),
    }


def _log(detail: Detail) -> dict[str, Value]:
    size, why, path = detail.log
    if size is None:
        return {"bytes": absent(why, printable(path, _PATH) or "the engine's state", "bytes")}
    source = f"{printable(size.path, _PATH)}, as of the last minute"
    return {
        "bytes": Value(value=size.size_bytes, unit="bytes", source=source),
        "files": Value(value=size.files, source=source),
    }


def _started(detail: Detail) -> Value:
    rule = "/proc/<pid>/stat of its oldest process, and btime of /proc/stat"
    if detail.started_seconds is None:
        return absent("no process is visible in the cgroup", rule, "milliseconds since the epoch")
    return Value(value=milliseconds(detail.started_seconds) or 0, unit="milliseconds since the epoch", source=rule)


def _uptime(detail: Detail) -> float | None:
    metadata = detail.identity.metadata
    started = metadata.started_seconds if metadata else None
    started = detail.started_seconds if started is None else started
    return None if started is None else detail.time_ms / 1000 - started


def container_detail(detail: Detail, last_words: FollowExit | None, lived: Lived = NOTHING) -> ContainerDetail:
    """The answer for a container that has a cgroup."""
    memory = detail.memory
    records = Records(detail, "memory", memory.missing)
    return ContainerDetail(
        container=container_identity(
            detail.identity,
            detail.state,
            detail.pids.current,
            lived,
            uptime_seconds=_uptime(detail),
            health=detail.health,
        ),
        timestamp=detail.time_ms,
        cgroup=detail.cgroup.path,
        started=_started(detail),
        cpu=_cpu(detail),
        memory=_memory(detail),
        memory_stat=records.all(memory.stat, "memory.stat"),
        memory_events=records.all(memory.events, "memory.events"),
        pids=Records(detail, "pids", detail.pids.missing).all(detail.pids, "pids"),
        pressure=_pressure(detail),
        network=_network(detail),
        block=_block(detail),
        limits=_limits(detail),
        log=_log(detail),
        last_words=last_words,
    )
