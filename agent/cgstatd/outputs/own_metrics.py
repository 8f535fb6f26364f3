"""The metrics of the agent itself. Apart from the encoder, which is imported only for a scrape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..sampling.host_figures import AgentCost
from ..sampling.host_metrics import HostMetrics


class OwnMetrics(NamedTuple):
    """What the agent says of itself and its host."""

    cost: AgentCost
    containers: int
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
