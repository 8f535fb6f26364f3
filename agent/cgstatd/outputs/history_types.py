"""The answers of the history. Times are milliseconds since the epoch; null means: not known."""

from __future__ import annotations

import msgspec

from .follow_types import MAXIMUM_SECONDS

MOST_ROUNDS = 1000
"""Of one page of /api/history."""
MOST_TIME = 253_402_300_799_999
"""Milliseconds since the epoch: the end of the year 9999."""
MOST_STEP = 86_400.0
MOST_WORKLOAD = 2048
"""Characters."""
MINIMUM_INTERVAL = 1.0
MAXIMUM_INTERVAL = 10 * MAXIMUM_SECONDS


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """A figure in each step, as ``timestamps`` has them. null: see ``gaps``, or the kernel does not say."""

    mean: list[float | None]
    """Of a rate: the counter's growth over the time in which it grew. Of a gauge: of the rounds of the step."""
    max: list[float | None]
    """The largest that was seen: of a round, of a rate between two rounds; in between by readings for clients, as those
    of a stream, and of memoryRaw by the kernel's own peak."""


class HistoryGap(msgspec.Struct, frozen=True, kw_only=True):
    """Steps without figures, and why."""

    since: int
    """The first such step, as in ``timestamps``."""
    until: int
    """The last one."""
    reason: str


class HistoryMark(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something that happened to a container."""

    event: str
    """start, exit, oom, pressure or health."""
    id: str
    name: str
    timestamp: int
    """As its runtime recorded it, else when the agent noticed it; by the clock as it is set now."""
    kills: int | None = None
    """Of an oom: how many processes were killed; absent: only the runtime knows of it."""
    exit_code: int | None = None
    signal: int | None = None
    """Of an exit: what ended the first process."""
    oom_killed: bool | None = None
    restarting: bool | None = None
    """Of an exit: whether its runtime was to start it again."""
    resource: str | None = None
    """Of a pressure: what it waits for, ``cpu``, ``memory`` or ``io``."""
    cause: str | None = None
    """Of a pressure: why, as the event ``pressure`` says it."""
    seconds: float | None = None
    """Of a pressure: how long it waited, now that it is over; absent: the wait has just begun."""
    limit: str | None = None
    """Of a pressure: the kernel's file of the limit that is the cause."""
    throttled_percent: float | None = None
    """Of a pressure: of its quota's periods those that it was throttled in; once it is over, the most that was seen."""
    health: str | None = None
    """Of a health: what its check says from now on, ``starting``, ``healthy`` or ``unhealthy``."""


class ContainerCounters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One container in one round: raw counters and gauges."""

    id: str
    name: str
    runtime: str
    owner_uid: int
    image: str | None
    project: str | None
    life: str
    """Counters of the same container compare where this is the same: after a restart, its own or the host's, they begin
    anew."""
    state: str
    """running or paused."""
    monotonic_nsec: int | None
    """When its CPU time was read, on the host's monotonic clock: what to divide by for a rate of it."""
    cpu_usage_nsec: int | None
    memory_usage: int | None
    memory_raw: int | None
    memory_cache: int | None
    memory_limit: int | None
    network_rx: int | None
    network_tx: int | None
    network_namespace: int | None
    block_read: int | None
    block_write: int | None
    pids: int | None
    oom_kills: int | None
    memory_peak: int | None
    network_monotonic_nsec: int | None
    """When its network figures were read; null: there are none."""
    block_monotonic_nsec: int | None
    """The same of block I/O."""
    cpu_throttled_nsec: int | None
    """For how long its CPU quota held it up; null: it has none."""


class HostCounters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The host in one round."""

    cpu_busy_ticks: int | None
    cpu_total_ticks: int | None
    """Of all cores; busy / total is the share in use."""
    cores: int | None
    memory_total: int | None
    memory_available: int | None
    swap_total: int | None
    swap_free: int | None
    load1: float | None
    containers: int | None


class HistoryHead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The first line of a page."""

    interval: float
    """Seconds between two points of the grid."""
    truncated: bool
    """Whether rounds after the cursor are no longer there."""
    oldest: str | None
    """Cursor of the oldest round that is there."""
    latest: str | None
    """Cursor of the latest; the last line of a page with this one has caught up."""


class HistoryRound(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of a page: one round."""

    cursor: str
    """To go on behind this round."""
    round: int
    """Its point of the grid, from 0 in each run of the agent. A number that is left out: there was no round, and
    ``gap`` of the next says why."""
    timestamp: int
    """By the host's clock as it is set now."""
    monotonic_nsec: int | None
    boottime_nsec: int | None
    boot: str | None
    """Of the host. Its clocks above and its counters compare where this is the same; null: it does not say."""
    gap: str | None
    complete: bool
    """false: figures of some containers were dropped to save memory or disk."""
    host: HostCounters
    containers: list[ContainerCounters]
    marks: list[HistoryMark]


class ContainerHistory(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A container in steps."""

    id: str
    name: str
    runtime: str
    owner_uid: int
    interval: float
    step: float
    since: int
    until: int
    timestamps: list[int]
    """Of each step: the point of the grid at which it ends."""
    figures: dict[str, Steps]
    gaps: list[HistoryGap]
    marks: list[HistoryMark]
    first: ContainerCounters | None
    """The counters of the first round within these steps. The growth from there to ``last`` is exact."""
    last: ContainerCounters | None


class ContainerLines(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One container in few steps."""

    id: str
    name: str
    runtime: str
    owner_uid: int
    figures: dict[str, list[float | None]]
    """In each step, as ``timestamps`` has them: a rate since the step before, a gauge as the step's last round had
    it."""


class HistoryLines(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All containers that are there, in few steps."""

    interval: float
    step: float
    since: int
    until: int
    timestamps: list[int]
    gaps: list[HistoryGap]
    """Steps without a round. A null that is in none of them: the container was not there, or it is not known."""
    containers: list[ContainerLines]


class HostHistory(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The same of the host."""

    interval: float
    step: float
    since: int
    until: int
    timestamps: list[int]
    figures: dict[str, Steps]
    gaps: list[HistoryGap]
