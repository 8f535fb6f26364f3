"""The metrics that a workload keeps when its container stops, is restarted or is made anew: they have no id.

The names are those of kube-state-metrics, without ``kube_pod_``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..host.runtimes.base import State
from ..sampling.lived import Lived
from .metric_lines import escaped, family_head


class WorkloadMetrics(NamedTuple):
    """One workload, of which a container runs, or is on disk, or has ended lately."""

    name: str
    workload: str
    owner_uid: int
    state: State
    lived: Lived
    health: str | None = None
    """Of a container that runs."""
    kills: int | None = None
    """How many of its processes were killed for want of memory; None: not known."""

    def beside(self, other: WorkloadMetrics) -> WorkloadMetrics:
        """With another container of the same name and workload, made anew just now, that runs too."""
        both = [each.lived.restarts for each in (self, other) if each.lived.restarts is not None]
        flapping = True if other.lived.flapping else self.lived.flapping
        lived = Lived(sum(both) if both else None, flapping, self.lived.last or other.lived.last)
        return self._replace(lived=lived, health=self.health or other.health)


def _series(each: WorkloadMetrics) -> Iterator[tuple[str, str, float]]:
    """(family, further label, value)"""
    restarts, flapping, last = each.lived
    if each.state is not State.UNKNOWN:
        yield "container_state", f',state="{each.state.value}"', 1
    if restarts is not None:
        yield "container_restarts", "", restarts
    if each.kills is not None:
        yield "container_oom_kills", "", each.kills
    if flapping is not None:
        yield "container_flapping", "", int(flapping)
    if each.health is not None:
        yield "container_health_status", f',status="{each.health}"', 1
    if last is None:
        return
    if last.exit_code is not None:
        yield "container_last_terminated_exitcode", "", last.exit_code
    if last.reason is not None:
        yield "container_last_terminated_reason", f',reason="{last.reason}"', 1
    if last.finished_seconds is not None:
        yield "container_last_terminated_timestamp_seconds", "", last.finished_seconds


WORKLOAD_FAMILIES = (
    ("container_state", "gauge", "1: its state, created, running, paused, restarting or exited."),
    ("container_restarts", "counter", "How often it came back, as its engine counts where it does."),
    ("container_oom_kills", "counter", "Processes killed for want of memory, over all its lives that the agent saw."),
    ("container_last_terminated_exitcode", "gauge", "Exit code of the last end, where it is known."),
    ("container_last_terminated_reason", "gauge", "Why it ended last: Completed, Error or OOMKilled."),
    ("container_last_terminated_timestamp_seconds", "gauge", "Unix time of the last end."),
    ("container_flapping", "gauge", "Whether it came back at least 3 times within the last 15 minutes."),
    ("container_health_status", "gauge", "Its health check: starting, healthy or unhealthy, where known."),
)


def workload_lines(workloads: Iterable[WorkloadMetrics], openmetrics: bool) -> Iterator[list[str]]:
    """The lines of each family that has series."""
    heads = {name: family_head(name, kind, text, openmetrics) for name, kind, text in WORKLOAD_FAMILIES}
    for each in workloads:
        labels = f'name="{escaped(each.name)}",workload="{escaped(each.workload)}"'
        for family, more, value in _series(each):
            series, lines = heads[family]
            lines.append(f"{series}{{{labels}{more}}} {value}")
    for _, lines in heads.values():
        if len(lines) > 2:
            yield lines
