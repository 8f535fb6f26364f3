"""The largest figures of a container that readings for clients saw since the last round of the history. No I/O here."""

from __future__ import annotations

from typing import NamedTuple

from .model import ContainerStats
from .rates import CpuWindow, bytes_per_second, memory_usage


class Highest(NamedTuple):
    """None: no reading said it."""

    cpu_hundredths: int | None = None
    """Of a percent."""
    memory_usage_bytes: int | None = None
    memory_raw_bytes: int | None = None
    network_rx_rate: int | None = None
    network_tx_rate: int | None = None
    block_read_rate: int | None = None
    block_write_rate: int | None = None


class HighestSeen:
    """Of one container. Used in the sampling thread, for each container of each pass: most say nothing new."""

    __slots__ = ("_base", "_cpu", "_rates", "_raw", "_usage")

    def __init__(self) -> None:
        self._base: ContainerStats | None = None
        """What rates are compared with."""
        self._begin()

    def _begin(self) -> None:
        self._cpu, self._usage, self._raw = -1.0, -1, -1
        self._rates = [-1, -1, -1, -1]

    def add(self, now: ContainerStats) -> None:
        """Another reading."""
        if now.cpu_percent is not None and now.cpu_percent > self._cpu:
            self._cpu = now.cpu_percent
        raw = now.memory_usage_bytes
        if raw is not None and raw > self._usage:  # else neither is more
            self._raw = max(raw, self._raw)
            self._usage = max(memory_usage(raw, now.inactive_file_bytes) or 0, self._usage)
        base = self._base
        if base is None:
            self._base = now
        elif now.monotonic_ns - base.monotonic_ns >= CpuWindow.PREFERRED_NS:
            self._base = now
            self._add_rates(base, now)

    def _add_rates(self, before: ContainerStats, now: ContainerStats) -> None:
        """Over about a second at least: what moved within less is a burst, and no rate."""
        if (
            now.network_rx_bytes == before.network_rx_bytes
            and now.network_tx_bytes == before.network_tx_bytes
            and now.block_read_bytes == before.block_read_bytes
            and now.block_write_bytes == before.block_write_bytes
        ):
            return  # nothing is no more than what the rounds say
        network, block = now.network_ns - before.network_ns, now.block_ns - before.block_ns
        found = (
            bytes_per_second(before.network_rx_bytes, now.network_rx_bytes, network),
            bytes_per_second(before.network_tx_bytes, now.network_tx_bytes, network),
            bytes_per_second(before.block_read_bytes, now.block_read_bytes, block),
            bytes_per_second(before.block_write_bytes, now.block_write_bytes, block),
        )
        self._rates = [max(old, -1 if new is None else new) for old, new in zip(self._rates, found, strict=True)]

    def take(self) -> Highest:
        """What was seen since the last time."""
        cpu = None if self._cpu < 0 else round(self._cpu * 100)
        found = (None if each < 0 else each for each in (self._usage, self._raw, *self._rates))
        taken = Highest(cpu, *found)
        self._begin()
        return taken
