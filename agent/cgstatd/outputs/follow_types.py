"""The events of GET /api/containers/stats/follow. Here null means: not known (the detail says why)."""

from __future__ import annotations

import msgspec

MINIMUM_SECONDS = 0.25
"""The shortest interval. Not less: CPU figures over shorter windows are the scheduler's noise (the quota's period alone
is 0.1 s), and each point costs the host a pass."""
MAXIMUM_SECONDS = 60.0


class FollowHello(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``hello``: the first event on every connection."""

    env: int
    interval: float
    """Seconds between rounds: as asked for, rounded up to a quarter of a second; where too many other intervals are in
    use, the nearest one."""
    version: str
    resumed: bool
    """The starts, ends and OOM kills since the Last-Event-ID follow; figures as far as they are still held."""
    missed: str | None = None
    """Why they do not follow; null: they do, or there was no Last-Event-ID."""


class FollowStat(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``stat``: one container in one round. The first ten figures are those of the documented stream."""

    id: str
    name: str
    runtime: str
    state: str
    owner_uid: int
    project: str | None
    cpu_percent: float | None
    """100 per fully used core, over the time since the container's stat event before."""
    memory_usage: int | None
    memory_raw: int | None
    memory_cache: int | None
    memory_limit: int | None
    memory_percent: float | None
    network_rx: int | None
    network_tx: int | None
    block_read: int | None
    block_write: int | None
    network_rx_rate: int | None
    """Bytes a second since the container's stat event before."""
    network_tx_rate: int | None
    block_read_rate: int | None
    block_write_rate: int | None
    network_absent: str | None
    """Why there are no network figures."""
    network_namespace: int | None = None
    """Containers with the same number share a network and its figures: a sum counts them once."""
    memory_limited: bool | None
    """Whether memoryLimit is the container's own limit rather than the host's memory."""
    memory_peak: int | None
    cpu_limit: float | None
    """Its CPU quota in cores; null: none."""
    cpu_limit_percent: float | None
    """The share of that quota in use."""
    pids: int | None
    pids_limit: int | None
    """null: none."""
    oom_kills: int | None
    """Processes killed for want of memory since the container started."""
    timestamp: int


class FollowRound(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``round``: every stat event of the round has been sent. A gap in ``round``: the client was too slow."""

    round: int
    interval: float
    effective_interval: float
    """Seconds between rounds at present: more than the interval where readings cost more than max_cpu allows."""
    containers: int
    """How many stat events it has."""
    seconds: float
    """How long the reading took."""
    overruns: int
    """Points in time at which there was no round because the one before was still under way."""
    late: list[str] = []
    """Ids of containers that are there and have no stat event in this round: they could not be read, or not within a
    second. Their latest figures are those of an earlier round."""
    timestamp: int


class FollowFailed(msgspec.Struct, frozen=True, kw_only=True):
    """``failed``: there is no round this time; the next one is tried."""

    error: str
    timestamp: int


class FollowOom(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``oom``: processes of a container were killed for want of memory."""

    id: str
    name: str
    runtime: str
    kills: int | None
    """How many since the look before; null: the counter was gone already, the runtime says that it was so."""
    total: int | None
    memory_limit: int | None
    memory_peak: int | None
    timestamp: int


class FollowExit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``exit``: a container's cgroup is gone."""

    id: str
    name: str
    runtime: str
    exit_code: int | None
    exit_code_absent: str | None = None
    """Why the exit code is not known."""
    signal: int | None = None
    """What ended its first process, by the kernel's word; null: it exited by itself, or that is not known."""
    signal_absent: str | None = None
    """Why it is not known, where the exit code is."""
    oom_killed: bool | None
    """An ``oom`` event came before it."""
    started: int | None = None
    """Milliseconds since the epoch, as its runtime recorded it."""
    finished: int | None = None
    restarts: int | None = None
    """How often its runtime had restarted it by itself when it recorded this end."""
    last: FollowStat | None
    """The last figures that were read."""
    timestamp: int
