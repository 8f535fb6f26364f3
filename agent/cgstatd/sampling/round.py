"""What one look over all containers finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from cgroupfs import Vitals

from ..host.identity import Identity
from ..host.runtimes.base import Metadata
from .container import Container
from .history_model import Life
from .model import ContainerStats
from .rates import MOST_CORES


class OwnLimits(NamedTuple):
    """A container's own limits; None: none, or not known."""

    cpu_cores: float | None
    pids: int | None


class Look(NamedTuple):
    """One container in one round."""

    container: Container
    stats: ContainerStats
    vitals: Vitals
    limits: OwnLimits


class Killed(NamedTuple):
    """Processes of a container were killed for want of memory."""

    identity: Identity
    kills: int | None
    """How many since the look before; None: only the runtime knows of them."""
    total: int | None
    vitals: Vitals
    last: ContainerStats | None
    life: Life | None = None
    """None: as that of the end that it is told before."""


class Ended(NamedTuple):
    """A container whose cgroup is gone."""

    identity: Identity
    last: Look | None
    metadata: Metadata | None
    """Its runtime's record of this end; None where there is none to be had."""
    exit_code: int | None
    absent: str | None
    """Why there is no exit code."""
    signal: int | None
    """The signal that ended its first process; None: it exited by itself, or that is not known."""
    signal_absent: str | None
    """Why it is not known whether a signal ended it; None too where not even the exit code is known."""
    oom_killed: bool | None
    started_seconds: float | None
    """Unix time of the start by which the runtime names this life."""
    killed: Killed | None
    """The kill to be told before the end: only the runtime knows of it."""
    life: Life | None = None
    """None: of no cgroup that was seen."""
    noticed_seconds: float | None = None
    """Unix time at which its first process was seen to have died, else its cgroup to be gone."""
    begun: bool = True
    """Whether its program was seen, or its runtime says that it started: else that may have failed to start it."""


@dataclass(slots=True)
class Changes:
    """What happened between two looks."""

    ended: list[Ended] = field(default_factory=list)
    started: list[Identity] = field(default_factory=list)
    begun: list[Life] = field(default_factory=list)
    """The lives of ``started``, one each."""
    killed: list[Killed] = field(default_factory=list)
    """Of containers that have a cgroup: told after the ends (of the lives before) and the starts."""

    def __bool__(self) -> bool:
        return bool(self.ended or self.started or self.killed)


@dataclass(slots=True)
class Round:
    """The figures of one look over all containers."""

    looks: list[Look] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """Ids of containers that are there and could not be read, or not in time."""
    mem_total_bytes: int | None = None
    cores: int = MOST_CORES
    """The cores of the host."""
