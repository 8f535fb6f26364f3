"""Rounds to steps: which step a round is in, and what the rounds of a step come to. Pure: any thread may use it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from ...outputs.history_types import HistoryGap, Steps
from ...sampling.history_model import ContainerSample, HostSample
from ...sampling.history_work import Clocks
from ...sampling.model import CpuReading
from ...sampling.rates import MOST_CORES, bytes_per_second, cpu_percent, memory_usage, round_half_up

MOST_STEPS = 2000
"""Of one answer. Where there would be more, the steps are longer."""
_MILLION = 1_000_000


class RoundTimes(NamedTuple):
    """A round in memory, without what the host was like."""

    round: int
    time_ms: int
    monotonic_nsec: int
    boottime_nsec: int


class Grid(NamedTuple):
    """The steps of an answer. Each holds the rounds of the points of the history's grid behind the step before."""

    first_ms: int
    """The last point of the first step."""
    step_ms: int
    many: int
    """How many steps."""
    half_ms: int
    """Half of the history's interval: a round is somewhat earlier or later than its point."""

    @property
    def timestamps(self) -> list[int]:
        """The last point of each step."""
        return [self.first_ms + self.step_ms * number for number in range(self.many)]

    def step_of(self, time_ms: int) -> int:
        """The number of the step that has a round of this time; below 0, or ``many`` and more: none has."""
        return -((self.first_ms + self.half_ms - time_ms) // self.step_ms)


def shown_ms(boottime_ns: int, now: Clocks) -> int:
    """The time of a round as the clock is set now: one that was set meanwhile moves nothing against the rest."""
    return now.time_ms - (now.boottime_ns - boottime_ns) // _MILLION


_SET_MS = 1000
"""By so much a clock must differ to have been set: the three clocks of a round are read one after the other."""


def moved_ms(time_ms: int, boottime_ns: int, now: Clocks) -> int:
    """How far the clock was set since it said a time: what to add to that. A round that is asked for twice has the same
    time, unless it was."""
    moved = shown_ms(boottime_ns, now) - time_ms
    return moved if abs(moved) >= _SET_MS else 0


def grid(interval_ms: int, point_ms: int, since_ms: int, until_ms: int, step_seconds: float) -> Grid:
    """The steps that cover a time; ``point_ms``: of any point of the history's grid."""
    each = max(1, math.ceil(step_seconds * 1000 / interval_ms - 1e-9))
    points = (until_ms - since_ms) // interval_ms + 1
    each = max(each, math.ceil(points / MOST_STEPS))
    step = each * interval_ms
    # Steps end at multiples of the step where the grid allows, so that those of two answers are the same.
    phase = point_ms % interval_ms
    first = (since_ms - phase - 1) // step * step + step + phase
    return Grid(first, step, max(1, -((first - until_ms) // step) + 1), interval_ms // 2)


class _Rate:
    def __init__(self, count: int) -> None:
        self._amount = [0.0] * count
        self._time = [0.0] * count
        self._max: list[float | None] = [None] * count

    def add(self, step: int, rate: float | None, elapsed: float) -> None:
        if rate is not None and elapsed > 0:
            self._amount[step] += rate * elapsed
            self._time[step] += elapsed
            largest = self._max[step]
            self._max[step] = rate if largest is None else max(largest, rate)

    def raise_to(self, step: int, value: float | None) -> None:
        largest = self._max[step]
        if value is not None and (largest is None or value > largest):
            self._max[step] = value

    def steps(self) -> Steps:
        mean = [_two(a / t) if t else None for a, t in zip(self._amount, self._time, strict=True)]
        return Steps(mean=mean, max=[None if each is None else _two(each) for each in self._max])


def _two(value: float) -> float:
    return round_half_up(value)


CONTAINER_RATES = ("cpuPercent", "networkRxRate", "networkTxRate", "blockReadRate", "blockWriteRate", "throttledRate")
CONTAINER_GAUGES = ("memoryUsage", "memoryRaw", "memoryLimit", "pids")
HOST_RATES = ("cpuPercent",)
HOST_GAUGES = ("memoryUsed", "swapUsed", "load1", "containers")


class Figures:
    """Gathers the figures of some steps, by name."""

    def __init__(self, names: Sequence[str], count: int) -> None:
        self._of = {name: _Rate(count) for name in names}

    def add(self, name: str, step: int, value: float | None, weight: float = 1.0) -> None:
        """A rate over ``weight`` nanoseconds, or a gauge."""
        self._of[name].add(step, value, weight)

    def raise_to(self, name: str, step: int, value: float | None) -> None:
        """Something has seen as much, between two rounds."""
        self._of[name].raise_to(step, value)

    def steps(self) -> dict[str, Steps]:
        """The result."""
        return {name: each.steps() for name, each in self._of.items()}


def _cpu(before: ContainerSample, now: ContainerSample) -> float | None:
    if before.cpu_usage_nsec is None or now.cpu_usage_nsec is None:
        return None
    earlier = CpuReading(before.cpu_usage_nsec, before.monotonic_ns)
    return cpu_percent(earlier, CpuReading(now.cpu_usage_nsec, now.monotonic_ns), MOST_CORES)


def _grown(before: int | None, now: int | None, elapsed_ns: int) -> float | None:
    if bytes_per_second(before, now, elapsed_ns) is None or now is None or before is None:
        return None
    return (now - before) * 1e9 / elapsed_ns


def add_container(
    found: Figures, before: ContainerSample | None, now: ContainerSample, step: int, *, born: bool = False
) -> None:
    """One round of a container; ``before``: the round before of the same life; ``born``: there is none since it began
    behind that."""
    for name, (rate, elapsed_ns) in _rates(before, now).items():
        found.add(name, step, rate, elapsed_ns)
    for name, gauge in container_gauges(now).items():
        found.add(name, step, gauge)
    found.raise_to("memoryRaw", step, _peak(before, now, born))
    cpu = now.highest_cpu_hundredths
    for name, seen in (
        ("cpuPercent", None if cpu is None else cpu / 100),
        ("memoryUsage", now.highest_memory_usage_bytes),
        ("memoryRaw", now.highest_memory_raw_bytes),
        ("networkRxRate", now.highest_network_rx_rate),
        ("networkTxRate", now.highest_network_tx_rate),
        ("blockReadRate", now.highest_block_read_rate),
        ("blockWriteRate", now.highest_block_write_rate),
    ):
        found.raise_to(name, step, seen)


def _peak(before: ContainerSample | None, now: ContainerSample, born: bool) -> int | None:
    """Where the kernel's own peak has grown since the round before, memory was as much in between."""
    peak, earlier = now.memory_peak_bytes, 0 if born else before and before.memory_peak_bytes
    return peak if peak is not None and earlier is not None and peak > earlier else None


def container_rates(before: ContainerSample | None, now: ContainerSample) -> dict[str, float | None]:
    """Between two rounds of the same life; empty where there is none before."""
    return {name: rate for name, (rate, _) in _rates(before, now).items()}


def _rates(before: ContainerSample | None, now: ContainerSample) -> dict[str, tuple[float | None, int]]:
    """Each with the time between its own two readings, in nanoseconds."""
    if before is None or (elapsed := now.monotonic_ns - before.monotonic_ns) <= 0:
        return {}
    network = _elapsed(before.network_ns, now.network_ns, elapsed)
    block = _elapsed(before.block_ns, now.block_ns, elapsed)
    grown = (
        (before.network_rx_bytes, now.network_rx_bytes, network),
        (before.network_tx_bytes, now.network_tx_bytes, network),
        (before.block_read_bytes, now.block_read_bytes, block),
        (before.block_write_bytes, now.block_write_bytes, block),
    )
    throttled = _grown(before.cpu_throttled_nsec, now.cpu_throttled_nsec, elapsed)
    others = [(_grown(earlier, later, each), each) for earlier, later, each in grown]
    others.append((None if throttled is None else throttled / 1e9, elapsed))
    return dict(zip(CONTAINER_RATES, ((_cpu(before, now), elapsed), *others), strict=True))


def _elapsed(before: int | None, now: int | None, otherwise: int) -> int:
    return otherwise if before is None or now is None else now - before


def container_gauges(now: ContainerSample) -> dict[str, float | None]:
    """Of one round."""
    usage = memory_usage(now.memory_usage_bytes, now.inactive_file_bytes)
    return dict(zip(CONTAINER_GAUGES, (usage, now.memory_usage_bytes, now.memory_limit_bytes, now.pids), strict=True))


def _without(whole: int | None, part: int | None) -> int | None:
    return None if whole is None or part is None else max(0, whole - part)


def add_host(found: Figures, before: HostSample | None, now: HostSample, step: int) -> None:
    """One round of the host."""
    if before is not None and None not in (before.cpu_total_ticks, now.cpu_total_ticks, now.cores):
        ticks = (now.cpu_total_ticks or 0) - (before.cpu_total_ticks or 0)
        busy = (now.cpu_busy_ticks or 0) - (before.cpu_busy_ticks or 0)
        if ticks > 0 and 0 <= busy <= ticks:
            found.add("cpuPercent", step, busy / ticks * 100 * (now.cores or 0), ticks)
    found.add("memoryUsed", step, _without(now.memory_total_bytes, now.memory_available_bytes))
    found.add("swapUsed", step, _without(now.swap_total_bytes, now.swap_free_bytes))
    found.add("load1", step, None if now.load1_hundredths is None else now.load1_hundredths / 100)
    found.add("containers", step, now.containers)


def gaps(timestamps: Sequence[int], reasons: Sequence[str | None]) -> list[HistoryGap]:
    """The steps that have a reason, those side by side with the same one together."""
    found = []
    for reason, group in groupby(zip(timestamps, reasons, strict=True), lambda pair: pair[1]):
        times = [time for time, _ in group]
        if reason is not None:
            found.append(HistoryGap(since=times[0], until=times[-1], reason=reason))
    return found
