"""The metrics of the agent itself. Apart from the encoder, which is imported only for a scrape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..sampling.host_figures import AgentCost
from ..sampling.host_metrics import HostMetrics


class DiskFigures(NamedTuple):
    """The history on disk."""

    trouble: str
    """Why rounds are not stored; empty: they are."""
    bytes: int
    failures: int
    """How often rounds could not be stored."""
    set_aside: int
    """Files that were broken."""
    oldest_ms: int | None
    """Of the oldest round, by the clock as it is set now; None: there is none."""
    seconds: float
    """How far back they go."""


class Notified(NamedTuple):
    """The webhook (notify_url)."""

    trouble: str
    """Why the latest attempt failed; empty: it did not."""
    waiting: int
    """Notifications that wait for it."""
    outcomes: Mapping[str, int]
    """How many events came to which end."""


class Called(NamedTuple):
    """The connection to a Dockhand server (dockhand_url)."""

    connected: bool
    waiting: int
    """Events that wait for it."""
    outcomes: Mapping[str, int]
    """How many attempts came to which end."""


class PressureFigures(NamedTuple):
    """What the watch of the host's pressure counted."""

    watched: Mapping[str, bool]
    """Resource -> whether it is watched."""
    fires: Mapping[str, int]
    """Resource -> how often programs of the host waited, as far as the agent listened."""
    looks: int
    waits: Mapping[str, Mapping[tuple[str, str], int]]
    """Container's id -> (resource, cause) -> how many looks found it waiting."""


class OwnMetrics(NamedTuple):
    """What the agent says of itself and its host."""

    cost: AgentCost
    containers: int
    workloads_left_out: int
    """That do not run, and for which there was no room."""
    passes: int
    pass_seconds: float
    pass_cpu_seconds: float
    pass_interval_seconds: float
    overruns: int
    stuck: int
    read_errors: Mapping[str, int]
    """File -> how often it could not be read."""
    followers: int
    mem_total_bytes: int | None
    cores: int | None
    host: HostMetrics | None = None
    """None: switched off (host_metrics)."""
    disk: DiskFigures | None = None
    """None: nothing is kept on disk (history_dir)."""
    notified: Notified | None = None
    """None: there is no webhook."""
    called: Called | None = None
    """None: no server is called."""
    pressure: PressureFigures | None = None
    """None: nothing watches."""
