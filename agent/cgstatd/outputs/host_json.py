"""GET /api/host: the host, the containers' sums, and the agent itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from .. import __version__
from ..basics.text import printable
from ..host.runtimes.base import State
from ..sampling.host_figures import AgentCost, HostFacts
from ..sampling.model import ContainerStats
from ..sampling.rates import memory_usage, round_half_up
from .own_metrics import DiskFigures
from .pressure_types import NOT_WATCHED, PressureFacts
from .unknown import shown


class Controller(msgspec.Struct, frozen=True, kw_only=True):
    """A cgroup controller and where it is."""

    name: str
    version: int
    mount: str


class Cgroups(msgspec.Struct, frozen=True, kw_only=True):
    """``mode``: unified (v2), legacy (v1) or hybrid. A controller that is not listed is off."""

    mode: str
    controllers: list[Controller]


class ContainerSums(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Over all running and paused containers; what several share counts once."""

    running: int
    paused: int
    cpu_percent: float
    memory_usage: int
    network_rx: int
    network_tx: int
    block_read: int
    block_write: int
    """Without stacked devices (dm, md, loop)."""


class HistoryDisk(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The history on disk (``history_dir``)."""

    trouble: str | None
    """Why rounds are not stored there; null: they are."""
    bytes: int
    failures: int
    """How often rounds could not be stored, since the agent was started."""
    set_aside: int
    """Files that were broken, or of another program."""
    oldest: int | None
    """When the oldest round was taken, in milliseconds since the epoch, by the clock as it is set now."""


class PressureWatched(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the agent learns at once when programs of this host wait (``pressure`` of follow)."""

    watched: list[str]
    """``cpu``, ``memory``, ``io``."""
    absent: dict[str, str]
    """Those that are not watched, and why."""
    looks: int
    """How often it looked for what waits, since it was started."""


class AgentFacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The agent's version and its own cost since it started."""

    version: str
    uptime_seconds: float
    cpu_seconds: float
    rss: int
    threads: int
    descriptors: int
    passes: int
    pass_cpu_seconds: float | None
    """CPU time of a usual pass; null: there were too few."""
    pass_interval_seconds: float | None
    """How far apart passes are kept for what they cost; null: as they are asked for."""
    overruns: int
    """How often a reading hung and its thread was left behind."""
    stuck: int
    """Threads held by a hung reading now."""
    hung: list[str]
    """The files that these wait for."""
    followers: int
    history_seconds: float
    """How far back the history goes now; 0: there is no round."""
    history_keep_seconds: float
    """How far back it goes once the agent has run for long enough; 0: there is none."""
    history_interval_seconds: float | None
    """How far apart its rounds are; null: there is none."""
    history_disk: HistoryDisk | None
    """null: no history is kept on disk."""
    pressure: PressureWatched


class HostAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """null: the host does not say. Memory in bytes, times in milliseconds since the epoch."""

    env: int
    hostname: str | None
    kernel: str | None
    cores: int | None
    cpu_percent: float | None
    """100 per fully used core."""
    cpu_percent_of_host: float | None
    """100: every core is fully used."""
    cpu_window_seconds: float | None
    load: list[float] | None
    """Over 1, 5 and 15 minutes."""
    memory_total: int | None
    memory_available: int | None
    memory_used: int | None
    """Total without what is available."""
    swap_total: int | None
    swap_used: int | None
    uptime_seconds: float | None
    boot_time: int | None
    cgroups: Cgroups
    containers: ContainerSums
    agent: AgentFacts
    timestamp: int


def _difference(memory: Mapping[str, int], whole: str, part: str) -> int | None:
    return max(0, memory[whole] - memory[part]) if whole in memory and part in memory else None


def sums(stats: Sequence[ContainerStats], block: tuple[int, int]) -> ContainerSums:
    """``block``: bytes read and written, from the devices that count."""
    networks = {
        each.network_namespace: (each.network_rx_bytes or 0, each.network_tx_bytes or 0)
        for each in stats
        if each.network_namespace is not None and each.network_rx_bytes is not None
    }
    paused = sum(each.state is State.PAUSED for each in stats)
    return ContainerSums(
        running=len(stats) - paused,
        paused=paused,
        cpu_percent=round_half_up(sum(each.cpu_percent or 0.0 for each in stats)),
        memory_usage=sum(memory_usage(each.memory_usage_bytes, each.inactive_file_bytes) or 0 for each in stats),
        network_rx=sum(rx for rx, _ in networks.values()),
        network_tx=sum(tx for _, tx in networks.values()),
        block_read=block[0],
        block_write=block[1],
    )


class PassFacts(NamedTuple):
    """What the passes were like."""

    number: int
    cpu_seconds: float | None
    interval_seconds: float | None
    overruns: int
    stuck: int
    hung: list[str]


class HistoryFacts(NamedTuple):
    """What is kept of the rounds."""

    seconds: float
    interval_seconds: float | None
    reached_seconds: float = 0.0
    """How far back those go that there are."""


NO_HISTORY = HistoryFacts(0.0, None)


def _seconds(history: HistoryFacts, disk: DiskFigures | None) -> float:
    """How far back the rounds may go, those on disk included."""
    return history.seconds if disk is None else max(history.seconds, disk.seconds)


def agent_facts(
    cost: AgentCost,
    passes: PassFacts,
    followers: int,
    history: HistoryFacts,
    disk: DiskFigures | None,
    pressure: PressureFacts = NOT_WATCHED,
) -> AgentFacts:
    """The agent's own part."""
    return AgentFacts(
        version=__version__,
        uptime_seconds=round(cost.uptime_seconds, 1),
        cpu_seconds=round(cost.cpu_seconds, 3),
        rss=cost.rss_bytes,
        threads=cost.threads,
        descriptors=cost.descriptors,
        passes=passes.number,
        pass_cpu_seconds=None if passes.cpu_seconds is None else round(passes.cpu_seconds, 6),
        pass_interval_seconds=passes.interval_seconds,
        overruns=passes.overruns,
        stuck=passes.stuck,
        hung=passes.hung,
        followers=followers,
        history_seconds=round(history.reached_seconds, 1),
        history_keep_seconds=_seconds(history, disk),
        history_interval_seconds=history.interval_seconds,
        history_disk=None
        if disk is None
        else HistoryDisk(
            trouble=shown(disk.trouble),
            bytes=disk.bytes,
            failures=disk.failures,
            set_aside=disk.set_aside,
            oldest=disk.oldest_ms,
        ),
        pressure=PressureWatched(watched=pressure.watched, absent=dict(pressure.absent), looks=pressure.looks),
    )


def host_answer(
    env_id: int, facts: HostFacts, containers: ContainerSums, agent: AgentFacts, time_ms: int
) -> HostAnswer:
    """The whole answer."""
    cpu, window, memory = facts.cpu, facts.window, facts.memory
    share = window.busy_share if window else None
    return HostAnswer(
        env=env_id,
        hostname=shown(facts.hostname),
        kernel=shown(facts.kernel),
        cores=cpu.cores if cpu else None,
        cpu_percent=None if share is None or cpu is None else round_half_up(share * 100 * cpu.cores),
        cpu_percent_of_host=None if share is None else round_half_up(share * 100),
        cpu_window_seconds=None if window is None else round(window.seconds, 3),
        load=list(facts.load) if facts.load else None,
        memory_total=memory.get("MemTotal"),
        memory_available=memory.get("MemAvailable"),
        memory_used=_difference(memory, "MemTotal", "MemAvailable"),
        swap_total=memory.get("SwapTotal"),
        swap_used=_difference(memory, "SwapTotal", "SwapFree"),
        uptime_seconds=facts.uptime_seconds,
        boot_time=cpu.boot_seconds * 1000 if cpu and cpu.boot_seconds is not None else None,
        cgroups=Cgroups(
            mode=facts.hierarchy.mode,
            controllers=[
                Controller(name=name, version=mount.version.value, mount=printable(mount.point))
                for name, mount in facts.hierarchy.bound
            ],
        ),
        containers=containers,
        agent=agent,
        timestamp=time_ms,
    )
