"""Every figure of every container of the recorded hosts equals what the engine on that host said."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.fake_filesystem_unittest import Patcher

from cgroupfs import Root
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import State
from cgstatd.outputs.stats_json import one_container
from cgstatd.recording.recorded_root import load_index, open_roots
from cgstatd.sampling import rates
from cgstatd.sampling.lookup import Known, merge, resolve
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.sampler import Pending, Sampler
from helpers import HOSTS, LEGACY, READINGS, UNIFIED, expected, tree
from recordedhosts import recorded_host

GROUPS = {
    "memory": ("memoryUsage", "memoryRaw", "memoryCache"),
    "limit": ("memoryLimit", "memoryPercent"),
    "network": ("networkRx", "networkTx"),
    "block": ("blockRead", "blockWrite"),
}
RUNTIMES = {"podman-rootless": "podman", "nspawn": "systemd-nspawn"}
"""expected.json's word -> ours, where they differ."""


class Taken(NamedTuple):
    """One container as it was read."""

    stats: ContainerStats
    figures: dict[str, Any]
    anon_bytes: int | None


def take(sampler: Sampler, *, one_pass: bool = False) -> dict[str, Taken]:
    """Every container with a cgroup, by id: each asked for by itself, or all in one pass."""
    found = {}
    namespaces = sampler.namespaces()
    for container in sampler.containers():
        result = sampler.read(container, namespaces if one_pass else sampler.namespaces())
        if isinstance(result, Pending):
            result = sampler.second(result)
        if result is not None:
            figures = msgspec.to_builtins(one_container(result))
            with container.reading() as cgroup:
                found[result.identity.id] = Taken(result, figures, cgroup.memory().stat.anon)
    return found


@functools.cache
def host(name: str, *, one_pass: bool = False) -> dict[str, dict[str, Taken]]:
    """A recorded host's containers at t0, and at t1 with the CPU time since t0."""
    samplers = [open_host(root, HostOptions()) for root in open_roots(recorded_host(name))]
    try:
        first = take(samplers[0], one_pass=one_pass)
        samplers[1].continue_from(samplers[0])
        return {"t0": first, "t1": take(samplers[1], one_pass=one_pass)}
    finally:
        for sampler in samplers:
            sampler.close()


@functools.cache
def known(name: str, reading: str) -> list[Known]:
    """Everything that can be asked for on a recorded host, running or not."""
    sampler = open_host(open_roots(recorded_host(name))[READINGS.index(reading)], HostOptions())
    try:
        return merge(sampler.containers(), sampler.names.on_disk())
    finally:
        sampler.close()


def engine_says(entry: dict[str, Any], reading: str) -> bool:
    """Whether the engine's own figures of a running container are recorded (it was not asked of flappy)."""
    return entry["runtime"] == "docker" and entry["cgroup"] is not None and entry[reading] is not None


def cases() -> list[Any]:
    """(host, reading, expected container, figure group) of every running container that Docker was asked for."""
    return [
        pytest.param(name, reading, entry, group, id=f"{name}-{reading}-{entry['name']}-{group}")
        for name in HOSTS
        for entry in expected(name)["containers"]
        for reading in READINGS
        for group in GROUPS
        if engine_says(entry, reading)
    ]


def entries(keep: Any) -> list[Any]:
    """(host, expected container) of those that ``keep`` wants."""
    return [
        pytest.param(name, entry, id=f"{name}-{entry['runtime']}-{entry['name']}")
        for name in HOSTS
        for entry in expected(name)["containers"]
        if keep(entry)
    ]


def differences(figures: dict[str, Any], says: dict[str, Any], keys: Any) -> dict[str, tuple[Any, Any]]:
    """Figure -> (ours, the engine's) where they differ by more than the recording itself allows."""
    inexact = says.get("inexact", {})
    found = {}
    for key in keys:
        allowed = inexact[key]["allowed"] if key in inexact else 0
        if abs(figures[key] - says[key]) > allowed:
            found[key] = (figures[key], says[key])
    return found


# -- Docker


@pytest.mark.parametrize(("name", "reading", "entry", "group"), cases())
def test_figures_equal_the_engines(name: str, reading: str, entry: dict[str, Any], group: str) -> None:
    figures = host(name)[reading][entry["id"]].figures
    assert differences(figures, entry[reading], GROUPS[group]) == {}
    assert [key for key in GROUPS[group] if key != "memoryPercent" and type(figures[key]) is not int] == []


LOST_TICKS = {(UNIFIED, "burn"), (UNIFIED, "cache"), (LEGACY, "burn")}
"""Busy containers of emulated hosts that lost timer ticks: the engine divides by ticks, its figure is too high."""


@pytest.mark.parametrize(
    ("name", "entry"), entries(lambda e: e.get("cpuPercentByClock") is not None and e.get("t1", 1))
)
def test_cpu_is_the_cpu_time_over_the_clock_between_both_readings(name: str, entry: dict[str, Any]) -> None:
    percent = host(name)["t1"][entry["id"]].figures["cpuPercent"]
    assert percent == pytest.approx(entry["cpuPercentByClock"], abs=0.011)


@pytest.mark.parametrize(("name", "entry"), entries(lambda e: engine_says(e, "t0") and engine_says(e, "t1")))
def test_cpu_is_within_one_point_of_the_engines(name: str, entry: dict[str, Any]) -> None:
    percent = host(name)["t1"][entry["id"]].figures["cpuPercent"]
    near = percent == pytest.approx(entry["cpuPercent"], abs=1.0)
    assert near != ((name, entry["name"]) in LOST_TICKS)


@pytest.mark.parametrize(("name", "entry"), entries(lambda e: e["cgroup"] is not None))
def test_a_first_reading_has_no_cpu_figure_yet(name: str, entry: dict[str, Any]) -> None:
    assert host(name)["t0"][entry["id"]].stats.cpu_percent is None


@pytest.mark.parametrize("name", HOSTS)
def test_in_one_pass_containers_of_one_network_namespace_share_the_figure(name: str) -> None:
    by_name = {entry["name"]: entry for entry in expected(name)["containers"]}
    for reading, taken in host(name, one_pass=True).items():
        pair = [taken[by_name[each]["id"]].figures for each in ("web", "sidecar")]
        seen = [(figures["networkRx"], figures["networkTx"]) for figures in pair]
        says = [(by_name[e][reading]["networkRx"], by_name[e][reading]["networkTx"]) for e in ("web", "sidecar")]
        assert seen[0] == seen[1]
        assert seen[0] in says  # their files were recorded at two instants


@pytest.mark.parametrize("name", HOSTS)
def test_the_other_figures_are_the_same_in_one_pass(name: str) -> None:
    for reading, taken in host(name, one_pass=True).items():
        for container_id, each in taken.items():
            alone = host(name)[reading][container_id]
            network = dict.fromkeys(("networkRx", "networkTx"))
            assert each.figures | network == alone.figures | network


# -- identity


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(("name", "entry"), entries(lambda e: e["cgroup"] is not None and e.get("t1", 1)))
def test_name_image_labels_runtime_and_state_of_a_running_container_are_the_engines(
    name: str, entry: dict[str, Any], reading: str
) -> None:
    stats = host(name)[reading][entry["id"]].stats
    identity = stats.identity
    assert identity.name == entry["name"]
    assert identity.runtime == RUNTIMES.get(entry["runtime"], entry["runtime"])
    assert stats.state.value == entry["state"]
    assert identity.owner_uid == (1000 if entry["runtime"] == "podman-rootless" else 0)
    assert identity.metadata is not None
    assert identity.metadata.image == entry["image"]
    assert dict(identity.metadata.labels) == entry["labels"]
    assert identity.metadata.pod == entry["pod"]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(("name", "entry"), entries(lambda e: e["runtime"] == "docker"))
def test_network_mode_and_configured_limit_are_dockers(name: str, entry: dict[str, Any], reading: str) -> None:
    metadata = resolve(entry["id"], known(name, reading)).metadata
    assert metadata is not None
    assert metadata.network_mode == entry["networkMode"]
    assert (metadata.memory_limit_bytes or 0) == entry["configuredMemoryLimit"]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(
    ("name", "entry"), entries(lambda e: e["cgroup"] is None and e["runtime"] != "podman-rootless")
)
def test_a_stopped_container_is_known_by_its_state_on_disk(name: str, entry: dict[str, Any], reading: str) -> None:
    for wanted in (entry["id"], entry["name"], entry["id"][:12], f"{entry['runtime']}:{entry['name']}"):
        found = resolve(wanted, known(name, reading))
        assert (found.id, found.name, found.owner_uid) == (entry["id"], entry["name"], 0)
    assert found.state.value == entry["state"]
    assert found.metadata is not None
    assert found.metadata.image == entry["image"]
    assert dict(found.metadata.labels) == entry["labels"]


@pytest.mark.parametrize(("name", "entry"), entries(lambda e: e["cgroup"] is None and e.get("t0")))
def test_the_figures_of_a_stopped_container_are_the_engines_zeros(name: str, entry: dict[str, Any]) -> None:
    found = resolve(entry["id"], known(name, "t0"))
    identity = Identity(found.id, found.name, found.runtime, found.owner_uid, found.metadata)
    figures = msgspec.to_builtins(one_container(rates.stopped(identity, found.state, 1, 1)))
    for key in (key for group in GROUPS.values() for key in group):
        assert figures[key] == entry["t0"][key]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("name", HOSTS)
def test_nothing_else_is_taken_for_a_container(name: str, reading: str) -> None:
    """conmon, lxc.monitor, docker.service, user sessions and the payloads inside containers are none."""
    listed = {entry["id"]: entry for entry in expected(name)["containers"]}
    seen = host(name)[reading]
    assert seen.keys() - listed.keys() == set()
    with_cgroup = {key for key, entry in listed.items() if entry["cgroup"] is not None and entry.get(reading, 1)}
    assert with_cgroup - seen.keys() == set()


@pytest.mark.parametrize("name", [UNIFIED, LEGACY])
def test_monitors_and_services_of_the_recorded_tree_are_not_among_the_containers(name: str) -> None:
    paths = [base for base, _, _ in os.walk(f"{tree(name)}/sys/fs/cgroup")]
    for word in ("lxc.monitor.lx1", "docker.service", *(["libpod-conmon-"] if name == UNIFIED else [])):
        assert any(word in path for path in paths), word
    runtimes = {taken.stats.identity.runtime for taken in host(name)["t0"].values()}
    assert runtimes == {"docker", "podman", "lxc", "systemd-nspawn"}
    assert {"lx1", "nsp"} <= {taken.stats.identity.id for taken in host(name)["t0"].values()}


def test_rootless_containers_of_a_v1_host_have_no_cgroup_and_are_not_shown() -> None:
    names = {taken.stats.identity.name for taken in host(LEGACY)["t0"].values()}
    assert not names & {"rl-burn", "rl-idle"}


# -- Podman, against what ``podman stats`` printed some time between both readings


def human(value: float) -> str:
    """go-units' HumanSize: four significant digits, decimal units."""
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 1000:
        value, unit = value / 1000, next(units)
    return f"{value:.4g}{unit}"


def podman(entry: dict[str, Any]) -> bool:
    return entry["runtime"].startswith("podman") and entry["stats"] is not None


@pytest.mark.parametrize(("name", "entry"), entries(podman))
def test_podmans_memory_is_the_anonymous_memory_over_our_limit(name: str, entry: dict[str, Any]) -> None:
    used, _, limit = entry["stats"]["mem_usage"].partition(" / ")
    taken = [host(name)[reading][entry["id"]] for reading in READINGS]
    assert used in {human(each.anon_bytes or 0) for each in taken}
    assert {human(each.figures["memoryLimit"]) for each in taken} == {limit}
    assert {each.figures["memoryLimit"] for each in taken} == {entry["stats"]["limit"]}


@pytest.mark.parametrize("figure", ["net_io", "block_io"])
@pytest.mark.parametrize(("name", "entry"), entries(podman))
def test_podmans_traffic_and_block_io_are_those_of_one_of_the_readings(
    name: str, entry: dict[str, Any], figure: str
) -> None:
    keys = GROUPS["network"] if figure == "net_io" else GROUPS["block"]
    for key, printed in zip(keys, entry["stats"][figure].split(" / "), strict=True):
        between = [host(name)[reading][entry["id"]].figures[key] for reading in READINGS]
        assert printed in {human(value) for value in range(between[0], between[1] + 1)}


@pytest.mark.parametrize(("name", "entry"), entries(lambda e: podman(e) and e["state"] == "running"))
def test_podmans_cpu_is_near_ours(name: str, entry: dict[str, Any]) -> None:
    """Podman's is the average over the container's life: near only as these have always done the same."""
    percent = host(name)["t1"][entry["id"]].figures["cpuPercent"]
    assert percent == pytest.approx(float(entry["stats"]["cpu_percent"].rstrip("%")), abs=2.5)


# -- the same files at their real paths


@pytest.fixture(params=[UNIFIED, LEGACY])
def at_real_paths(request: pytest.FixtureRequest) -> Iterator[tuple[str, FakeFilesystem]]:
    """A recorded host whose /proc, /sys/fs/cgroup, /var/lib/docker … are at those very paths, owners included."""
    name = request.param
    index = load_index(recorded_host(name))
    assert index is not None
    top = tree(name)
    expected(name)
    with Patcher() as patcher:
        fs = patcher.fs
        assert fs is not None
        for entry in ("proc", "sys", "var", "etc", "run", "home"):
            if fs.exists(f"/{entry}"):
                fs.remove_object(f"/{entry}")
            fs.add_real_directory(f"{top}/{entry}", target_path=f"/{entry}", lazy_read=False)
        for base, _, files in os.walk("/"):
            for path in (base, *(f"{base.rstrip('/')}/{file}" for file in files)):
                fs.get_object(path).st_uid = getattr(index.readings["t0"].files.get(path), "uid", 0)
        yield name, fs


def test_the_figures_are_the_same_with_the_files_at_their_real_paths(
    at_real_paths: tuple[str, FakeFilesystem],
) -> None:
    name, _ = at_real_paths
    sampler = open_host(Root("/"), HostOptions(follow=False))
    try:
        taken = take(sampler)
    finally:
        sampler.close()
    containers = [entry for entry in expected(name)["containers"] if engine_says(entry, "t0")]
    assert len(containers) > 10
    for entry in containers:
        figures = taken[entry["id"]].figures
        keys = [key for group in GROUPS.values() for key in group]
        assert differences(figures, entry["t0"], keys) == {}, entry["name"]
        assert taken[entry["id"]].stats.identity.name == entry["name"]
        assert taken[entry["id"]].stats.state is (State.PAUSED if entry["name"] == "paused" else State.RUNNING)
    names = {each.stats.identity.name for each in taken.values()}
    assert {"lx1", "nsp", "pm-burn", "pod1-a"} <= names
    if name == UNIFIED:
        assert {each.stats.identity.owner_uid for each in taken.values() if "rl-" in each.stats.identity.name} == {1000}
