"""Every figure of every container of the recorded hosts equals what the engine on that host said."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.fake_filesystem_unittest import Pause

from cgroupfs import Root
from cgstatd.host.identity import Identity
from cgstatd.outputs.stats_json import one_container
from cgstatd.recording.recorded_root import load_index, open_roots
from cgstatd.sampling import rates
from cgstatd.sampling.lookup import Known, merge, resolve
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.sampler import Pending, Sampler
from helpers import HOSTS, LEGACY, READINGS, UNIFIED, expected, tree
from recordedhosts import recorded_host

FIGURES = ("memoryUsage", "memoryRaw", "memoryCache", "memoryLimit", "memoryPercent", "networkRx", "networkTx",
           "blockRead", "blockWrite")  # fmt: skip
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


def entries(name: str, keep: Callable[[dict[str, Any]], object]) -> list[dict[str, Any]]:
    """The expected containers of a recorded host that ``keep`` wants; there are some."""
    found = [entry for entry in expected(name)["containers"] if keep(entry)]
    assert found
    return found


def has_cgroup(entry: dict[str, Any]) -> bool:
    return entry["cgroup"] is not None


def differences(figures: dict[str, Any], says: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Figure -> (ours, the engine's) where they differ by more than the recording itself allows."""
    inexact = says.get("inexact", {})
    found = {}
    for key in FIGURES:
        allowed = inexact[key]["allowed"] if key in inexact else 0
        if abs(figures[key] - says[key]) > allowed or (key != "memoryPercent" and type(figures[key]) is not int):
            found[key] = (figures[key], says[key])
    return found


on_each_host = pytest.mark.parametrize("name", HOSTS)
at_each_reading = pytest.mark.parametrize("reading", READINGS)

# -- Docker


@at_each_reading
@on_each_host
def test_figures_equal_the_engines(name: str, reading: str) -> None:
    """Of every running container that Docker was asked for."""
    asked = entries(name, lambda e: engine_says(e, reading))
    found = {e["name"]: differences(host(name)[reading][e["id"]].figures, e[reading]) for e in asked}
    assert found == {e["name"]: {} for e in asked} and len(found) > 10


LOST_TICKS = {(UNIFIED, "burn"), (UNIFIED, "cache"), (LEGACY, "burn")}
"""Busy containers of emulated hosts that lost timer ticks: the engine divides by ticks, its figure is too high."""


@on_each_host
def test_cpu_is_the_cpu_time_over_the_clock_between_both_readings_and_near_the_engines(name: str) -> None:
    first, second = host(name)["t0"], host(name)["t1"]
    for entry in entries(name, lambda e: e.get("cpuPercentByClock") is not None and e.get("t1", 1)):
        percent = second[entry["id"]].figures["cpuPercent"]
        assert percent == pytest.approx(entry["cpuPercentByClock"], abs=0.011), entry["name"]
    for entry in entries(name, lambda e: engine_says(e, "t0") and engine_says(e, "t1")):
        near = second[entry["id"]].figures["cpuPercent"] == pytest.approx(entry["cpuPercent"], abs=1.0)
        assert near != ((name, entry["name"]) in LOST_TICKS), entry["name"]
    assert {first[entry["id"]].stats.cpu_percent for entry in entries(name, has_cgroup)} == {None}


@on_each_host
def test_in_one_pass_containers_of_one_network_namespace_share_its_figure_the_others_are_the_same(name: str) -> None:
    by_name = {entry["name"]: entry for entry in expected(name)["containers"]}
    network = dict.fromkeys(("networkRx", "networkTx"))
    for reading, taken in host(name, one_pass=True).items():
        pair = [taken[by_name[each]["id"]].figures for each in ("web", "sidecar")]
        seen = [(figures["networkRx"], figures["networkTx"]) for figures in pair]
        says = [(by_name[e][reading]["networkRx"], by_name[e][reading]["networkTx"]) for e in ("web", "sidecar")]
        assert seen[0] == seen[1]
        assert seen[0] in says  # their files were recorded at two instants
        for container_id, each in taken.items():
            assert each.figures | network == host(name)[reading][container_id].figures | network


# -- identity


@at_each_reading
@on_each_host
def test_name_image_labels_runtime_and_state_of_a_running_container_are_the_engines(name: str, reading: str) -> None:
    for entry in entries(name, lambda e: has_cgroup(e) and e.get("t1", 1)):
        stats = host(name)[reading][entry["id"]].stats
        identity, rootless = stats.identity, entry["runtime"] == "podman-rootless"
        assert (identity.name, stats.state.value) == (entry["name"], entry["state"])
        assert identity.runtime == RUNTIMES.get(entry["runtime"], entry["runtime"])
        assert identity.owner_uid == (1000 if rootless else 0) and identity.metadata is not None
        assert (identity.metadata.image, identity.metadata.pod) == (entry["image"], entry["pod"])
        assert dict(identity.metadata.labels) == entry["labels"]


@at_each_reading
@on_each_host
def test_network_mode_and_configured_limit_are_dockers(name: str, reading: str) -> None:
    for entry in entries(name, lambda e: e["runtime"] == "docker"):
        metadata = resolve(entry["id"], known(name, reading)).metadata
        assert metadata is not None and metadata.network_mode == entry["networkMode"]
        assert (metadata.memory_limit_bytes or 0) == entry["configuredMemoryLimit"]


@at_each_reading
@on_each_host
def test_a_stopped_container_is_known_by_its_state_on_disk_and_has_the_engines_zeros(name: str, reading: str) -> None:
    for entry in entries(name, lambda e: not has_cgroup(e) and e["runtime"] != "podman-rootless"):
        for wanted in (entry["id"], entry["name"], entry["id"][:12], f"{entry['runtime']}:{entry['name']}"):
            found = resolve(wanted, known(name, reading))
            assert (found.id, found.name, found.owner_uid) == (entry["id"], entry["name"], 0)
        assert found.state.value == entry["state"] and found.metadata is not None
        assert (found.metadata.image, dict(found.metadata.labels)) == (entry["image"], entry["labels"])
        if entry.get("t0"):
            identity = Identity(found.id, found.name, found.runtime, found.owner_uid, found.metadata)
            figures = msgspec.to_builtins(one_container(rates.stopped(identity, found.state, 1, 1)))
            assert {key: figures[key] for key in FIGURES} == {key: entry["t0"][key] for key in FIGURES}


@at_each_reading
@on_each_host
def test_nothing_else_is_taken_for_a_container(name: str, reading: str) -> None:
    """conmon, lxc.monitor, docker.service, user sessions and the payloads inside containers are none."""
    listed = {entry["id"]: entry for entry in expected(name)["containers"]}
    seen = host(name)[reading]
    assert seen.keys() - listed.keys() == set()
    assert {key for key, entry in listed.items() if has_cgroup(entry) and entry.get(reading, 1)} - seen.keys() == set()


@pytest.mark.parametrize("name", [UNIFIED, LEGACY])
def test_monitors_and_services_of_the_recorded_tree_are_not_among_the_containers(name: str) -> None:
    paths = [base for base, _, _ in os.walk(f"{tree(name)}/sys/fs/cgroup")]
    for word in ("lxc.monitor.lx1", "docker.service", *(["libpod-conmon-"] if name == UNIFIED else [])):
        assert any(word in path for path in paths), word
    runtimes = {taken.stats.identity.runtime for taken in host(name)["t0"].values()}
    assert runtimes == {"docker", "podman", "lxc", "systemd-nspawn"}
    assert {"lx1", "nsp"} <= host(name)["t0"].keys()
    if name == LEGACY:  # rootless containers have no cgroup there
        assert not {taken.stats.identity.name for taken in host(name)["t0"].values()} & {"rl-burn", "rl-idle"}


# -- Podman, against what ``podman stats`` printed some time between both readings


def human(value: float) -> str:
    """go-units' HumanSize: four significant digits, decimal units."""
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 1000:
        value, unit = value / 1000, next(units)
    return f"{value:.4g}{unit}"


@pytest.mark.parametrize("name", [UNIFIED, LEGACY])
def test_podmans_figures_are_those_of_one_of_the_readings(name: str) -> None:
    for entry in entries(name, lambda e: e["runtime"].startswith("podman") and e["stats"] is not None):
        says = entry["stats"]
        taken = [host(name)[reading][entry["id"]] for reading in READINGS]
        used, _, limit = says["mem_usage"].partition(" / ")
        assert used in {human(each.anon_bytes or 0) for each in taken}, "the anonymous memory"
        assert {human(each.figures["memoryLimit"]) for each in taken} == {limit}
        assert {each.figures["memoryLimit"] for each in taken} == {says["limit"]}
        for figure, keys in (("net_io", ("networkRx", "networkTx")), ("block_io", ("blockRead", "blockWrite"))):
            for key, printed in zip(keys, says[figure].split(" / "), strict=True):
                between = [each.figures[key] for each in taken]
                assert printed in {human(value) for value in range(between[0], between[1] + 1)}
        if entry["state"] == "running":  # its CPU is an average over the life: near as these always did the same
            assert taken[1].figures["cpuPercent"] == pytest.approx(float(says["cpu_percent"].rstrip("%")), abs=2.5)


@pytest.mark.nightly
@pytest.mark.parametrize("name", [UNIFIED, LEGACY])
def test_figures_are_the_same_with_the_files_at_their_real_paths(name: str, fs: FakeFilesystem) -> None:
    """/proc, /sys/fs/cgroup, /var/lib/docker … are at those very paths, owners included."""
    with Pause(fs):
        index, top = load_index(recorded_host(name)), tree(name)
    assert index is not None
    for folder in ("/proc", "/sys", "/var", "/etc", "/run", "/home"):
        if fs.exists(folder):
            fs.remove_object(folder)
        fs.add_real_directory(f"{top}{folder}", target_path=folder, lazy_read=False)
    for base, _, files in os.walk("/"):
        for path in (base, *(f"{base.rstrip('/')}/{file}" for file in files)):
            fs.get_object(path).st_uid = getattr(index.readings["t0"].files.get(path), "uid", 0)
    sampler = open_host(Root("/"), HostOptions(follow=False))
    try:
        taken = take(sampler)
    finally:
        sampler.close()
    for entry in entries(name, lambda e: engine_says(e, "t0")):
        stats, figures, _ = taken[entry["id"]]
        assert differences(figures, entry["t0"]) == {}, entry["name"]
        assert (stats.identity.name, stats.state.value) == (entry["name"], entry["state"])
    names = {each.stats.identity.name for each in taken.values()}
    assert {"lx1", "nsp", "pm-burn", "pod1-a"} <= names
    if name == UNIFIED:
        assert {each.stats.identity.owner_uid for each in taken.values() if "rl-" in each.stats.identity.name} == {1000}
