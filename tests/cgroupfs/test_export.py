"""What is exported, the limits alone and the vitals say what the full records say, on every recorded host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cgroupfs import MAX, Cgroup, CgroupGone, Descriptors, Hierarchy, Limit, Mount, Population, Root, Version, Vitals
from helpers import FIXTURES, TREES, cgroups, write_files

EVERYWHERE = pytest.mark.parametrize(("host", "reading"), TREES)


def nsec(usec: int | None) -> int | None:
    return None if usec is None else usec * 1000


def made(tmp_path: Path, version: Version, files: dict[str, bytes | str]) -> Cgroup:
    """A cgroup at /c of one tree that holds every controller."""
    write_files(str(tmp_path), {f"cg/c/{name}": data for name, data in files.items()})
    os.makedirs(tmp_path / "cg/c", exist_ok=True)
    controllers = ("cpu", "cpuacct", "cpuset", "memory", "io", "pids", "freezer")
    mount = Mount("/cg", "/", version, frozenset(controllers))
    bound = tuple((name, mount) for name in controllers)
    return Cgroup(Root(str(tmp_path)), Hierarchy("unified", bound, (mount,)), "/c")


@EVERYWHERE
def test_export_agrees_with_the_records(host: str, reading: str) -> None:
    for name, group in cgroups(host, reading):
        found, cpu, memory, io = group.export(), group.cpu(), group.memory(), group.io()
        assert (found.cpu_usage_nsec or 0) // 1000 == (cpu.usage_usec or 0), name
        assert (found.cpu_user_nsec or 0) // 1000 == (cpu.user_usec or 0), name
        assert found.memory_usage_bytes == memory.usage_bytes
        assert found.memory_rss_bytes == memory.stat.anon
        assert found.memory_cache_bytes == memory.stat.file
        assert found.inactive_file_bytes == memory.stat.inactive_file
        assert found.memory_swap_bytes == memory.swap_bytes
        assert found.memory_peak_bytes == memory.peak_bytes
        assert found.memory_max_bytes == memory.max_bytes
        assert found.oom_kills == memory.events.oom_kill
        assert found.pids == group.pids().current
        assert found.cpu_quota_usec == cpu.quota_usec
        if isinstance(cpu.quota_usec, int):
            assert (found.cpu_period_usec, found.nr_throttled) == (cpu.period_usec, cpu.nr_throttled)
            assert found.throttled_nsec is not None and found.throttled_nsec // 1000 == cpu.throttled_usec
        if found.devices is not None:
            assert {(d.device, d.rbytes, d.wbytes, d.rios) for d in found.devices} == {
                (d.device, d.rbytes, d.wbytes, d.rios) for d in io.devices or ()
            }
        pressure = group.pressure()
        stalls = (pressure.cpu_some, pressure.cpu_full, pressure.memory_some, pressure.memory_full)
        assert found.stalled_usec[:4] == tuple(stall.total_usec if stall else None for stall in stalls)


@EVERYWHERE
def test_limits_agree_with_the_records(host: str, reading: str) -> None:
    for _, group in cgroups(host, reading):
        limits = group.limits()
        assert limits.memory_max_bytes == group.memory().max_bytes
        assert limits.pids_max == group.pids().max
        assert (limits.cpu_quota_usec, limits.cpu_period_usec) == (group.cpu().quota_usec, group.cpu().period_usec)


@EVERYWHERE
def test_vitals_agree_with_the_records_with_and_without_descriptors_to_spare(host: str, reading: str) -> None:
    for _, group in cgroups(host, reading):
        memory = group.memory()
        expected = Vitals(group.pids().current, memory.events.oom_kill, memory.peak_bytes)
        for spare in (100, 0):
            descriptors = Descriptors(spare)
            reader = group.vitals(descriptors)
            assert reader.read() == reader.read() == expected
            assert reader.memory(7) == expected._replace(pids=7)
            reader.close()
            reader.close()
            assert descriptors.used == 0


@EVERYWHERE
def test_every_value_that_is_there_has_a_source_that_is_there(host: str, reading: str) -> None:
    for _, group in cgroups(host, reading):
        for prefix, record in (("cpu", group.cpu()), ("pids", group.pids()), ("memory", group.memory())):
            for field in record.__dataclass_fields__:
                if field not in ("missing", "stat", "events") and getattr(record, field) is not None:
                    path = group.source(f"{prefix}.{field}")
                    assert path.startswith("/sys/") and os.path.isfile(f"{FIXTURES}/{host}/{reading}{path}"), field


def test_an_oom_kill_is_seen_while_the_file_stays_open(tmp_path: Path) -> None:
    group = made(tmp_path, Version.V2, {"memory.events": "oom_kill 0\n", "memory.peak": "5\n", "pids.current": "2\n"})
    reader = group.vitals(Descriptors(10))
    assert reader.read() == Vitals(2, 0, 5)
    (tmp_path / "cg/c/memory.events").write_text("oom_kill 3\n")
    assert reader.memory(2) == Vitals(2, 3, 5)
    reader.close()


def test_v1_counts_oom_kills_in_oom_control(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"}
    group = made(tmp_path, Version.V1, files)
    assert group.vitals(Descriptors(0)).read() == Vitals(None, 4, None)
    assert group.export().oom_kills == 4


def test_malformed_files_are_no_values(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {name: "\xff nonsense\n" for name in (
        "cpu.stat", "cpu.max", "cpu.weight", "memory.current", "memory.max", "memory.events", "memory.peak",
        "memory.stat", "io.stat", "pids.current", "cpu.pressure")}  # fmt: skip
    group = made(tmp_path, Version.V2, files)
    found = group.export()
    assert all(value is None for value in found[:-1])
    assert found.stalled_usec == (None,) * 6
    assert group.vitals(Descriptors(9)).read() == Vitals(None, None, None)


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", None), ("50000 100000", 0.5), ("250000 100000", 2.5), ("nonsense", None)]
)
def test_the_quota_in_cores(tmp_path: Path, quota: str, cores: float | None) -> None:
    assert made(tmp_path, Version.V2, {"cpu.max": f"{quota}\n"}).limits().cpu_cores == cores


@pytest.mark.parametrize(("weight", "shares"), [("1", 2), ("39", 998), ("100", 2597), ("10000", 262144)])
def test_a_weight_in_shares(tmp_path: Path, weight: str, shares: int) -> None:
    group = made(tmp_path, Version.V2, {"cpu.weight": f"{weight}\n"})
    assert group.limits().cpu_shares == group.export().cpu_shares == shares


@pytest.mark.parametrize(("text", "limit"), [("max", MAX), ("64", 64)])
def test_a_memory_limit(tmp_path: Path, text: str, limit: Limit) -> None:
    group = made(tmp_path, Version.V2, {"memory.max": f"{text}\n"})
    assert group.limits().memory_max_bytes == group.export().memory_max_bytes == limit


def test_a_cgroup_that_is_gone(tmp_path: Path) -> None:
    group = made(tmp_path, Version.V2, {"cpu.stat": "usage_usec 1\n"})
    gone = Cgroup(group._root, group._hierarchy, "/other")
    for method in (gone.export, gone.limits, lambda: gone.vitals(Descriptors(1))):
        with pytest.raises(CgroupGone):
            method()
    with pytest.raises(CgroupGone):
        gone.population()


def test_processes_are_counted_with_those_of_cgroups_below(tmp_path: Path) -> None:
    group = made(tmp_path, Version.V2, {"cgroup.procs": "", "in/cgroup.procs": "1\n2\n", "in/er/cgroup.procs": "3\n"})
    found = group.population()
    assert (found.number, len(found.pids)) == (3, 2)
    assert found.path == str(tmp_path / "cg/c/in/cgroup.procs")


def test_a_cgroup_without_processes_has_none(tmp_path: Path) -> None:
    assert made(tmp_path, Version.V2, {"cgroup.procs": ""}).population() == Population(0, "", [])


def test_block_io_can_be_left_out(tmp_path: Path) -> None:
    group = made(tmp_path, Version.V2, {"io.stat": "8:0 rbytes=1\n"})
    assert group.export().devices is not None and group.export(block=False).devices is None
