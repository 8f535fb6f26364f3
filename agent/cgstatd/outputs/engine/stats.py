"""GET /containers/{id}/stats: one object, raw counters. What the kernel does not say is left out.

The formula of the docker CLI (``cli/command/container/stats_helpers.go``) ends at the agent's own figures: the
difference of ``cpu_stats`` and ``precpu_stats`` is that of the reading that the agent itself compares with.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from ...basics.text import is_number
from ...host.procfs.net_dev import Interface
from ...sampling.engine_figures import EngineCpu, EngineFigures
from .names import ZERO_TIME, id_of, rfc3339_ns


class Pids(msgspec.Struct, frozen=True):
    current: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET


class BlockEntry(msgspec.Struct, frozen=True):
    major: int
    minor: int
    op: str
    value: int


class Block(msgspec.Struct, frozen=True):
    io_service_bytes_recursive: list[BlockEntry] | None = None
    io_serviced_recursive: list[BlockEntry] | None = None
    io_queue_recursive: list[BlockEntry] | None = None
    io_service_time_recursive: list[BlockEntry] | None = None
    io_wait_time_recursive: list[BlockEntry] | None = None
    io_merged_recursive: list[BlockEntry] | None = None
    io_time_recursive: list[BlockEntry] | None = None
    sectors_recursive: list[BlockEntry] | None = None


class CpuUsage(msgspec.Struct, frozen=True):
    total_usage: int = 0
    usage_in_kernelmode: int | UnsetType = UNSET
    usage_in_usermode: int | UnsetType = UNSET


class Throttling(msgspec.Struct, frozen=True):
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuStats(msgspec.Struct, frozen=True):
    cpu_usage: CpuUsage
    throttling_data: Throttling = Throttling()
    system_cpu_usage: int | UnsetType = UNSET
    online_cpus: int | UnsetType = UNSET


NO_CPU = CpuStats(CpuUsage(0, 0, 0))


class Memory(msgspec.Struct, frozen=True):
    usage: int | UnsetType = UNSET
    max_usage: int | UnsetType = UNSET
    stats: dict[str, int] | UnsetType = UNSET
    failcnt: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET


class Network(msgspec.Struct, frozen=True):
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class Nothing(msgspec.Struct, frozen=True):
    pass


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The whole object."""

    read: str = ZERO_TIME
    preread: str = ZERO_TIME
    pids_stats: Pids = Pids()
    blkio_stats: Block = Block()
    num_procs: int = 0
    storage_stats: Nothing = Nothing()
    cpu_stats: CpuStats = NO_CPU
    precpu_stats: CpuStats = NO_CPU
    memory_stats: Memory = Memory()
    name: str
    id: str
    networks: dict[str, Network] | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode


def stopped(name: str, container_id: str) -> bytes:
    """Of a container that does not run: zeros."""
    return _encode(Stats(name=f"/{name}", id=container_id)) + b"\n"


def encode(found: EngineFigures, before: EngineCpu | None) -> bytes:
    """One reading and a line end; ``before``: the reading that a client compares it with, None: none."""
    known = found.encoded.get(before)
    if known is None:
        known = found.encoded[before] = _encode(_stats(found, before)) + b"\n"
    return known


def _stats(found: EngineFigures, before: EngineCpu | None) -> Stats:
    networks = found.interfaces
    return Stats(
        read=rfc3339_ns(found.time_ns),
        preread=ZERO_TIME if before is None else rfc3339_ns(before.time_ns),
        pids_stats=Pids(_said(found.pids), _said(found.pids_limit)),
        blkio_stats=_block(found),
        cpu_stats=_cpu(found.cpu, found.cores),
        precpu_stats=_cpu(before, found.cores),
        memory_stats=_memory(found),
        name=f"/{found.identity.name}",
        id=id_of(found.identity),
        networks=UNSET if networks is None else {each.name: _network(each) for each in networks},
    )


def _said(value: int | None) -> int | UnsetType:
    return UNSET if value is None else value


def _cpu(cpu: EngineCpu | None, cores: int | None) -> CpuStats:
    if cpu is None:
        return NO_CPU
    return CpuStats(
        CpuUsage(cpu.usage_nsec, _said(cpu.system_nsec), _said(cpu.user_nsec)),
        Throttling(cpu.periods or 0, cpu.throttled_periods or 0, cpu.throttled_nsec or 0),
        _said(cpu.host_nsec),
        _said(cores),
    )


def _memory(found: EngineFigures) -> Memory:
    if found.memory_usage_bytes is None:
        return Memory()
    old = found.legacy_memory
    return Memory(
        usage=found.memory_usage_bytes,
        max_usage=_said(found.memory_peak_bytes) if old else UNSET,
        stats=dict(found.memory_stat),
        failcnt=_said(found.memory_failcnt) if old and found.memory_failcnt else UNSET,
        limit=_said(found.memory_limit_bytes),
    )


def _block(found: EngineFigures) -> Block:
    entries: list[BlockEntry] = []
    for device in found.block:
        major, _, minor = device.device.partition(":")
        for operation, value in (("read", device.rbytes), ("write", device.wbytes)):
            if value is not None and is_number(major) and is_number(minor):
                shown = operation.capitalize() if found.legacy_block else operation
                entries.append(BlockEntry(int(major), int(minor), shown, value))
    return Block(entries)


def _network(each: Interface) -> Network:
    return Network(
        each.rx_bytes, each.rx_packets, each.rx_errs, each.rx_drop,
        each.tx_bytes, each.tx_packets, each.tx_errs, each.tx_drop,
    )  # fmt: skip
