"""/metrics: cAdvisor's names and labels, so that dashboards made for it work. Imported only for a scrape.

A value that is not known is a series that is not there, never a 0. Where several containers share a network namespace
only its owner has the network series, and stacked block devices (dm, md, loop) have none: a sum counts nothing twice.
The labels of a container's series are written once, as long as they stay what they are (:mod:`.container_labels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from platform import python_version

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.registry import Collector, CollectorRegistry

from .. import __version__
from ..sampling.exported_metrics import ContainerMetrics
from .container_labels import WrittenLabels
from .host_metric_lines import host_lines
from .metric_families import FAMILIES, rows
from .metric_lines import family_head
from .negotiation import OPENMETRICS, Format
from .own_metrics import Called, DiskFigures, Notified, OwnMetrics, PressureFigures
from .workload_families import WorkloadMetrics, workload_lines


def _of_containers(containers: Sequence[ContainerMetrics], labels: Sequence[str], openmetrics: bool) -> Iterator[bytes]:
    """The lines of all containers, family by family. The library's encoder makes each label of each line anew, at six
    times the price."""
    found = rows((own, each) for own, each in zip(labels, containers, strict=True))
    for name, kind, of, value, text, _ in FAMILIES:
        series, lines = family_head(name, kind, text, openmetrics)
        lines += [f"{series}{{{own}}} {said}" for own, row in found[of] if (said := value(row)) is not None]
        if len(lines) > 2:
            yield _together(lines)


def _of_pressure(
    containers: Sequence[ContainerMetrics], labels: Sequence[str], found: PressureFigures, openmetrics: bool
) -> Iterator[bytes]:
    """What waited, and why: series of containers that waited at least once, three resources and five causes each."""
    waits = [
        f'{{{own},resource="{resource}",cause="{cause}"}} {count}'
        for each, own in zip(containers, labels, strict=True)
        for (resource, cause), count in found.waits.get(each.identity.id, {}).items()
    ]
    watched = [f'{{resource="{resource}"}} {int(on)}' for resource, on in found.watched.items()]
    looks = [f" {found.looks}"]
    fires = [f'{{resource="{resource}"}} {count}' for resource, count in found.fires.items()]
    for name, kind, text, series in (
        ("cgstatd_pressure_watched", "gauge", "Whether the agent learns when programs of the host wait.", watched),
        ("cgstatd_pressure_fires", "counter", "How often programs of the host waited while it listened.", fires),
        ("cgstatd_pressure_looks", "counter", "How often it looked for the containers that wait.", looks),
        ("cgstatd_pressure_waits", "counter", "Looks that found the container waiting, by what it waits for.", waits),
    ):
        full, lines = family_head(name, kind, text, openmetrics)
        if series:
            yield _together([*lines, *(full + each for each in series)])


def _of_itself(own: OwnMetrics) -> Iterator[Metric]:
    cost = own.cost
    rows: tuple[tuple[str, str, float | None, str], ...] = (
        ("machine_memory_bytes", "gauge", own.mem_total_bytes, "The host's memory."),
        ("machine_cpu_cores", "gauge", own.cores, "The host's cores that are online."),
        ("cgstatd_containers", "gauge", own.containers, "Containers in this answer."),
        ("cgstatd_workloads_left_out", "gauge", own.workloads_left_out, "Workloads that do not run, beyond the bound."),
        ("cgstatd_followers", "gauge", own.followers, "Clients of the stream that stays open."),
        ("cgstatd_passes", "counter", own.passes, "Readings of all containers."),
        ("cgstatd_pass_seconds", "counter", own.pass_seconds, "Time that the finished ones took."),
        ("cgstatd_pass_cpu_seconds", "counter", own.pass_cpu_seconds, "CPU time that the finished ones took."),
        ("cgstatd_pass_interval_seconds", "gauge", own.pass_interval_seconds, "Kept between them for what they cost."),
        ("cgstatd_overruns", "counter", own.overruns, "Readings that hung and were left behind."),
        ("cgstatd_stuck_threads", "gauge", own.stuck, "Threads held by a hung reading now."),
        ("cgstatd_cpu_seconds", "counter", cost.cpu_seconds, "CPU time of the agent."),
        ("cgstatd_resident_memory_bytes", "gauge", cost.rss_bytes, "Resident memory of the agent."),
        ("cgstatd_open_descriptors", "gauge", cost.descriptors, "Open descriptors of the agent."),
    )
    others = (*_of_the_disk(own.disk), *_of_the_webhook(own.notified), *_of_dockhand(own.called))
    for name, kind, value, text in (*rows, *others):
        if value is not None:
            metric = Metric(name, text, kind)
            metric.add_sample(name + "_total" * (kind == "counter"), {}, value)
            yield metric
    counts: tuple[tuple[str, str, str, Mapping[str, int] | None], ...] = (
        ("cgstatd_read_errors", "What of containers could not be read, by the file.", "field",
         dict(sorted(own.read_errors.items()))),
        ("cgstatd_notifications", "What became of notifications (notify_url).", "outcome",
         own.notified and own.notified.outcomes),
        ("cgstatd_dockhand_attempts", "What became of calls of the Dockhand server.", "outcome",
         own.called and own.called.outcomes),
    )  # fmt: skip
    for name, text, label, known in counts:
        if known is not None:
            metric = Metric(name, text, "counter")
            for key, count in known.items():
                metric.add_sample(f"{name}_total", {label: key}, count)
            yield metric
    build = Metric("cgstatd_build_info", "The agent's version.", "gauge")
    build.add_sample("cgstatd_build_info", {"version": __version__, "python": python_version()}, 1)
    yield build


def _of_the_disk(disk: DiskFigures | None) -> Iterator[tuple[str, str, float, str]]:
    if disk is not None:
        yield "cgstatd_history_disk_ok", "gauge", int(not disk.trouble), "Whether rounds are stored on disk."
        yield "cgstatd_history_disk_bytes", "gauge", disk.bytes, "What they take there."
        yield "cgstatd_history_disk_failures", "counter", disk.failures, "How often rounds could not be stored."
        yield "cgstatd_history_files_set_aside", "counter", disk.set_aside, "Files that were broken."


def _of_the_webhook(found: Notified | None) -> Iterator[tuple[str, str, float, str]]:
    if found is not None:
        yield "cgstatd_notify_ok", "gauge", int(not found.trouble), "Whether the webhook took the latest notification."
        yield "cgstatd_notify_waiting", "gauge", found.waiting, "Notifications that wait for it."


def _of_dockhand(found: Called | None) -> Iterator[tuple[str, str, float, str]]:
    if found is not None:
        yield "cgstatd_dockhand_connected", "gauge", int(found.connected), "Whether the Dockhand server is connected."
        yield "cgstatd_dockhand_events_waiting", "gauge", found.waiting, "Events that it has not confirmed."


class _Once(Collector):
    """The families of one scrape."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _together(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def exposition(
    containers: Sequence[ContainerMetrics],
    workloads: Sequence[WorkloadMetrics],
    own: OwnMetrics,
    names: Sequence[str],
    form: Format,
    written: WrittenLabels,
) -> list[bytes]:
    """The body in parts, in one of the two formats. Never all of its lines at once: they are several times its size.

    ``names``: of container labels that become metric labels; ``written``: what is kept from one scrape to the next.
    """
    encode = encode_openmetrics if form is OPENMETRICS else encode_text
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(list(_of_itself(own))))
    labels, openmetrics = written.of(containers, names), form is OPENMETRICS
    parts = [
        *_of_containers(containers, labels, openmetrics),
        *(_together(lines) for lines in workload_lines(workloads, openmetrics)),
    ]
    if own.pressure is not None:
        parts += _of_pressure(containers, labels, own.pressure, openmetrics)
    if own.host is not None:
        parts.append(_together(host_lines(own.host, openmetrics)))
    return [*parts, encode(registry)]
