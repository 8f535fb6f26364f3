"""Whole answers of /metrics over recorded hosts, in both formats, kept in tests/golden.

``pytest tests/cgstatd/outputs/test_golden_expositions.py --update`` writes them: what changed is in the diff.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Stall
from cgstatd.config.settings import DEFAULT_LABELS
from cgstatd.feed.lives import Lives
from cgstatd.feed.workloads import workloads_of
from cgstatd.host.identity import Identity
from cgstatd.host.procfs.uname import Uname
from cgstatd.host.runtimes.base import Metadata
from cgstatd.outputs import host_metric_lines, metric_families, prometheus, workload_families
from cgstatd.outputs.container_labels import WrittenLabels
from cgstatd.outputs.metric_families import EXPORTED_FIELDS
from cgstatd.outputs.negotiation import OPENMETRICS, TEXT, Format
from cgstatd.outputs.own_metrics import Called, DiskFigures, Notified, OwnMetrics, PressureFigures
from cgstatd.outputs.workload_families import WorkloadMetrics
from cgstatd.recording.recorded_root import open_roots
from cgstatd.sampling.container import Container
from cgstatd.sampling.exported_metrics import ContainerMetrics, MetricsReader, each_network_once
from cgstatd.sampling.history_model import Life
from cgstatd.sampling.host_figures import AgentCost
from cgstatd.sampling.host_metrics import RESOURCES, HostMetrics, HostMetricsReader
from cgstatd.sampling.one_container import OneContainer
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.round import Changes, Ended
from cgstatd.sampling.sampler import Sampler
from helpers import LEGACY_CGROUPFS, PROJECT, RECORDED
from recordedhosts import recorded_host

GOLDEN = Path(PROJECT, "tests/golden")
HOSTS = (LEGACY_CGROUPFS, RECORDED[1])
"""cgroup v1 with quotas, and v2."""
FORMATS = ((TEXT, "prom"), (OPENMETRICS, "openmetrics"))


def containers(sampler: Sampler) -> dict[Container, ContainerMetrics]:
    """Read from the recorded files. What no recording has is made up: a log, and a health check."""
    reader = MetricsReader(sampler, EXPORTED_FIELDS)
    listed, namespaces = reader.begin()
    found = {each: reader.read(namespaces, (each, identity)) for each, identity in listed}
    first = min(found, key=lambda each: each.ref.path)
    made_up: dict[Container, dict[str, Any]] = {first: {"log_bytes": 4096, "health": "healthy"}}
    return {each: read._replace(**made_up.get(each, {})) for each, read in found.items() if read is not None}


def workloads(sampler: Sampler, read: dict[Container, ContainerMetrics]) -> list[WorkloadMetrics]:
    """Of those that run and those that are on disk, and one of which nothing but its end is left."""
    lives = Lives(lambda: 1e6, lambda: 1795606461.0)
    lives.complete = True
    gone = Identity("job", "job", "docker", 0, Metadata("docker", "job", "job"))
    for identity in (min(read, key=lambda each: each.ref.path).identity, gone):
        lives.counted(identity, Life(0, "docker", identity.id, 1), 0, 2)
        lives.hear(Changes(ended=[Ended(identity, None, None, 137, None, 9, None, True, None, None)]))
    found, left_out = workloads_of(OneContainer(sampler).known(), read, lives.view())
    assert not left_out
    return sorted(found, key=lambda each: (each.workload, each.name))


def recorded_host_figures(sampler: Sampler) -> HostMetrics:
    """As they were recorded, with the pressure and the uname that these recordings lack."""
    stalls = {b"some": Stall(0.0, 0.0, 0.0, 2_500_000), b"full": Stall(0.0, 0.0, 0.0, 500_000)}
    return replace(
        HostMetricsReader(sampler.root, pytest.fail).read(),
        pressure=dict.fromkeys(RESOURCES, stalls),
        uname=Uname("Linux", "web1", "6.12.0", "#1 SMP", "x86_64", "(none)"),
    )


def itself(sampler: Sampler, one: str) -> OwnMetrics:
    """An agent that has everything that may be there."""
    return OwnMetrics(
        cost=AgentCost(12.5, 50 << 20, 4, 99, 3600.0),
        containers=14,
        workloads_left_out=0,
        passes=7,
        pass_seconds=0.5,
        pass_cpu_seconds=0.25,
        pass_interval_seconds=0.0,
        overruns=1,
        stuck=0,
        read_errors={"memory.stat": 2},
        followers=1,
        mem_total_bytes=sampler.host.mem_total(),
        cores=2,
        host=recorded_host_figures(sampler),
        disk=DiskFigures("", 1 << 20, 0, 0, 1795600000000, 6461.0),
        notified=Notified("", 1, {"delivered": 5, "dropped": 0}),
        called=Called(True, 0, {"connected": 1}),
        pressure=PressureFigures(
            {"cpu": True, "memory": True, "io": False}, {"cpu": 4}, 4, {one: {("cpu", "own_limit"): 3}}
        ),
    )


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Sampler]]:
    """A recorded host at its second reading, by an agent of no particular version."""
    monkeypatch.setattr(prometheus, "__version__", "1.2.3")
    monkeypatch.setattr(prometheus, "python_version", lambda: "3.11.0")
    sampler = open_host(open_roots(recorded_host(request.param))[1], HostOptions())
    yield request.param, sampler
    sampler.close()


@pytest.mark.parametrize(("form", "suffix"), FORMATS, ids=[suffix for _, suffix in FORMATS])
def test_a_recorded_host_has_this_exposition(
    host: tuple[str, Sampler], form: Format, suffix: str, request: pytest.FixtureRequest
) -> None:
    name, sampler = host
    read = containers(sampler)
    found = each_network_once(sorted(read.values(), key=lambda each: each.path))
    told, own = workloads(sampler, read), itself(sampler, found[0].identity.id)
    made = b"".join(prometheus.exposition(found, told, own, DEFAULT_LABELS, form, WrittenLabels())).decode()
    path = GOLDEN / f"{name}.{suffix}"
    if request.config.getoption("--update"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(made)
    assert made.splitlines() == path.read_text().splitlines()


def golden(suffix: str = "prom") -> Iterator[tuple[str, str]]:
    """(host, exposition)"""
    for name in HOSTS:
        yield name, (GOLDEN / f"{name}.{suffix}").read_text()


def written(text: str) -> set[str]:
    """The families that have a series there, as they are named in the code."""
    return {line.split()[2].removesuffix("_total") for line in text.splitlines() if line.startswith("# TYPE ")}


def named_in_the_code() -> set[str]:
    """Every name of a family that is written out in a module of the exporter, and those that are put together."""
    found = set()
    for module in (prometheus, metric_families, workload_families, host_metric_lines):
        nodes = list(ast.walk(ast.parse(Path(str(module.__file__)).read_text())))
        pieces = {piece for node in nodes if isinstance(node, ast.JoinedStr) for piece in ast.walk(node)}
        texts = [str(node.value) for node in nodes if isinstance(node, ast.Constant) and node not in pieces]
        names = (re.fullmatch(r"((?:container|machine|cgstatd|node)_\w+?)(?:_total)?", text) for text in texts)
        found |= {name[1] for name in names if name}
    found |= {f"node_pressure_{each[0]}_{each[2]}_seconds" for each in host_metric_lines.STALLS}
    found |= {f"node_network_{each[0]}" for each in host_metric_lines.TRAFFIC}
    return found | {f"node_load{minutes}" for minutes in (1, 5, 15)}


@pytest.mark.parametrize("suffix", [suffix for _, suffix in FORMATS])
def test_every_family_of_the_exporter_is_in_a_golden_exposition(suffix: str) -> None:
    names = named_in_the_code()
    assert {family.name for family in metric_families.FAMILIES} < names and len(names) > 90
    assert names - set().union(*(written(text) for _, text in golden(suffix))) == set()


def test_a_container_with_a_quota_tells_its_throttling_on_v1_and_on_v2() -> None:
    """The alert on throttling is made of these."""
    for name, text in golden():
        quotas = re.findall(r"^container_spec_cpu_quota\{(.*)\} ", text, re.MULTILINE)
        assert quotas, name
        for series in ("periods_total", "throttled_periods_total", "throttled_seconds_total"):
            assert set(quotas) <= set(re.findall(rf"^container_cpu_cfs_{series}\{{(.*)\}} ", text, re.MULTILINE)), name
