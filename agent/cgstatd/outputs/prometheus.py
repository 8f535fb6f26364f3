"""/metrics: cAdvisor's names and labels, so that dashboards made for it work. Imported only for a scrape.

A value that is not known is a series that is not there, never a 0. Where several containers share a network namespace
only its owner has the network series, and stacked block devices (dm, md, loop) have none: a sum counts nothing twice.
Label values are input (names, images, labels, interfaces): printable, bounded in length and number, escaped by the
encoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from platform import python_version

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.registry import Collector, CollectorRegistry

from .. import __version__
from ..basics.text import printable
from ..host.workload import workload
from ..sampling.exported_metrics import ContainerMetrics
from .host_metric_lines import host_lines
from .metric_families import FAMILIES, rows
from .metric_lines import escaped, family_head
from .negotiation import OPENMETRICS, Format
from .own_metrics import Called, DiskFigures, Notified, OwnMetrics, PressureFigures

MAX_LABELS = 16
MAX_VALUE = 128
_NAME = re.compile(r"[^a-zA-Z0-9_]")


def label_names(keys: Iterable[str]) -> dict[str, str]:
    """Container label -> metric label; of those that become the same the first; bounded."""
    found: dict[str, str] = {}
    for key in list(keys)[:MAX_LABELS]:
        name = "container_label_" + _NAME.sub("_", key)
        if name not in found.values():
            found[key] = name
    return found


def container_labels(each: ContainerMetrics, chosen: dict[str, str]) -> dict[str, str]:
    """The labels of a container's series."""
    identity, metadata = each.identity, each.identity.metadata
    found = {
        "id": printable(each.path),
        "name": identity.name,
        "image": printable(metadata.image) if metadata and metadata.image else "",
    }
    if metadata is not None and metadata.labels:
        for key, name in chosen.items():
            value = metadata.labels.get(key)
            if value is not None:
                found[name] = printable(value, MAX_VALUE)
    return found


def _of_containers(
    containers: Sequence[ContainerMetrics], chosen: dict[str, str], openmetrics: bool
) -> Iterator[bytes]:
    """The lines of all containers, family by family. The library's encoder makes each label of each line anew, at six
    times the price."""
    found = rows((_written(container_labels(each, chosen)), each) for each in containers)
    for name, kind, of, value, text, _ in FAMILIES:
        series, lines = family_head(name, kind, text, openmetrics)
        lines += [f"{series}{{{labels}}} {said}" for labels, row in found[of] if (said := value(row)) is not None]
        if len(lines) > 2:
            yield _together(lines)


def _of_workloads(containers: Sequence[ContainerMetrics], openmetrics: bool) -> Iterator[bytes]:
    """Series that a container keeps when it is made anew: they have its workload and no id."""
    restarts, codes, reasons, flapping = dict[str, int](), dict[str, int](), dict[str, int](), dict[str, int]()
    health = dict[str, int]()
    for each in containers:
        of, lived = workload(each.identity), each.lived
        if of is None:
            continue
        labels = _written({"name": each.identity.name, "workload": of})
        if lived.restarts is not None:  # two of one name and workload: made anew just now
            restarts[labels] = restarts.get(labels, 0) + lived.restarts
        if lived.flapping is not None:
            flapping[labels] = max(flapping.get(labels, 0), int(lived.flapping))
        if each.health is not None:
            health[f'{labels},status="{each.health}"'] = 1
        last = lived.last or each.last_end
        if last is not None and last.exit_code is not None:
            codes[labels] = last.exit_code
        if last is not None and last.reason is not None:
            reasons[f'{labels},reason="{last.reason}"'] = 1
    for name, kind, values, text in (
        ("container_restarts", "counter", restarts, "How often it came back, as its engine counts where it does."),
        ("container_last_terminated_exitcode", "gauge", codes, "Exit code of the last end, where it is known."),
        ("container_last_terminated_reason", "gauge", reasons, "Why it ended last: Completed, Error or OOMKilled."),
        ("container_flapping", "gauge", flapping, "Whether it came back at least 3 times within the last 15 minutes."),
        ("container_health_status", "gauge", health, "Its health check: starting, healthy or unhealthy, where known."),
    ):
        series, lines = family_head(name, kind, text, openmetrics)
        lines += [f"{series}{{{labels}}} {value}" for labels, value in values.items()]
        if values:
            yield _together(lines)


def _of_pressure(
    containers: Sequence[ContainerMetrics], found: PressureFigures, chosen: dict[str, str], openmetrics: bool
) -> Iterator[bytes]:
    """What waited, and why: series of containers that waited at least once, three resources and five causes each."""
    waits = [
        f'{{{_written(container_labels(each, chosen))},resource="{resource}",cause="{cause}"}} {count}'
        for each in containers
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


def _written(labels: dict[str, str]) -> str:
    return ",".join([f'{key}="{escaped(value)}"' for key, value in labels.items()])


def _of_itself(own: OwnMetrics) -> Iterator[Metric]:
    cost = own.cost
    rows: tuple[tuple[str, str, float | None, str], ...] = (
        ("machine_memory_bytes", "gauge", own.mem_total_bytes, "The host's memory."),
        ("machine_cpu_cores", "gauge", own.cores, "The host's cores that are online."),
        ("cgstatd_containers", "gauge", own.containers, "Containers in this answer."),
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
    errors = Metric("cgstatd_read_errors", "What of containers could not be read, by the file.", "counter")
    for field, count in sorted(own.read_errors.items()):
        errors.add_sample("cgstatd_read_errors_total", {"field": field}, count)
    yield errors
    if own.notified is not None:
        outcomes = Metric("cgstatd_notifications", "What became of notifications (notify_url).", "counter")
        for outcome, count in own.notified.outcomes.items():
            outcomes.add_sample("cgstatd_notifications_total", {"outcome": outcome}, count)
        yield outcomes
    if own.called is not None:
        attempts = Metric("cgstatd_dockhand_attempts", "What became of calls of the Dockhand server.", "counter")
        for outcome, count in own.called.outcomes.items():
            attempts.add_sample("cgstatd_dockhand_attempts_total", {"outcome": outcome}, count)
        yield attempts
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
    containers: Sequence[ContainerMetrics], own: OwnMetrics, labels: Sequence[str], form: Format
) -> list[bytes]:
    """The body in parts, in one of the two formats. Never all of its lines at once: they are several times its size."""
    encode = encode_openmetrics if form is OPENMETRICS else encode_text
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(list(_of_itself(own))))
    parts = list(_of_containers(containers, label_names(labels), form is OPENMETRICS))
    parts += _of_workloads(containers, form is OPENMETRICS)
    if own.pressure is not None:
        parts += _of_pressure(containers, own.pressure, label_names(labels), form is OPENMETRICS)
    if own.host is not None:
        parts.append(_together(host_lines(own.host, form is OPENMETRICS)))
    return [*parts, encode(registry)]
