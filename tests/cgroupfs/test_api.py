"""The library as a stranger sees it: its names, its imports, its promises."""

from __future__ import annotations

import ast
import dataclasses
import errno
import os
import subprocess
import sys
import typing

import pytest

import cgroupfs
from cgroupfs import MAX, Absent, Cgroup, CgroupError, CgroupGone, Limit, Missing
from helpers import HOSTS, PROJECT, TREES, UNIFIED, cgroups, recorded

PACKAGE = f"{PROJECT}/cgroups/cgroupfs"
SOURCES = sorted(
    os.path.relpath(f"{base}/{name}", PACKAGE)
    for base, _, names in os.walk(PACKAGE)
    for name in names
    if name.endswith(".py")
)
PUBLIC = """
FIELDS MAX VITALS Absent Cgroup CgroupError CgroupGone Clock CounterReader Counters Counting Cpu Descriptors DeviceIo
DeviceLimit Directory Exhausted Field Hierarchy Identity Io KeptFile KeptReader Limit Limits Max Members Memory
MemoryEvents MemoryStat Missing Mount NoCgroups ParseError Pids Population Pressure Reading Root Selection Stall
Version Vitals detect field_files io_counting select
""".split()
INNER = (cgroupfs.DeviceIo, cgroupfs.MemoryStat, cgroupfs.MemoryEvents)
RECORDS = (cgroupfs.Cpu, cgroupfs.Memory, cgroupfs.Io, cgroupfs.Pids, cgroupfs.Pressure)
FROZEN = (*RECORDS, *INNER, cgroupfs.Mount, cgroupfs.Hierarchy, Missing)


def test_the_public_names_are_these() -> None:
    assert sorted(cgroupfs.__all__) == sorted(PUBLIC)
    assert all(hasattr(cgroupfs, name) for name in PUBLIC)


@pytest.mark.parametrize("source", SOURCES)
def test_only_the_standard_library_is_imported_and_versions_spoken_of_in_the_hierarchy_and_the_controllers(
    source: str,
) -> None:
    with open(f"{PACKAGE}/{source}", encoding="utf-8") as file:
        module = ast.parse(file.read())
    for node in ast.walk(module):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level <= source.count("/") + 1, "an import that leaves the package"
            names = [] if node.level else [node.module or ""]
        for name in names:
            assert name.partition(".")[0] in sys.stdlib_module_names, name
    attributes = {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    if not source.startswith("controllers/") and source not in ("hierarchy.py", "fields.py"):
        assert not attributes & {"V1", "V2"}


def test_it_can_be_imported_without_anything_else_being_installed_and_ships_its_types() -> None:
    code = "import sys, cgroupfs; print(*sys.modules)"
    command, environment = [sys.executable, "-S", "-c", code], {"PYTHONPATH": f"{PROJECT}/cgroups"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert loaded - sys.stdlib_module_names == {"cgroupfs", "__main__"}
    assert not loaded & {"asyncio", "socket", "http"}
    assert os.path.isfile(f"{PACKAGE}/py.typed")
    assert typing.get_args(Limit) == (int, cgroupfs.Max, type(None)) and not isinstance(MAX, int)


@pytest.mark.parametrize("record", FROZEN, ids=lambda record: record.__name__)
def test_records_are_frozen_and_slotted(record: typing.Any) -> None:
    assert record.__dataclass_params__.frozen
    assert not hasattr(object.__new__(record), "__dict__")


def test_every_error_of_the_library_is_a_cgroup_error_with_one_line() -> None:
    for error in (CgroupGone("/a"), cgroupfs.ParseError("not a number", "/a/b", 3), cgroupfs.NoCgroups("none")):
        assert isinstance(error, CgroupError) and "\n" not in str(error)


@pytest.mark.parametrize(("host", "reading"), TREES)
def test_every_reason_names_a_field_of_its_record_and_a_file(host: str, reading: str) -> None:
    for name, group in cgroups(host, reading):
        for record in (group.cpu(), group.memory(), group.io(), group.pids(), group.pressure()):
            for missing in record.missing:
                assert missing.field in (*cgroupfs.FIELDS, "io.rios"), (name, missing)
                assert missing.path, (name, missing)


@pytest.mark.parametrize("host", HOSTS)
def test_a_cgroup_that_is_not_there_is_gone_whatever_is_asked(host: str) -> None:
    group = Cgroup(*recorded(host), "/system.slice/never-was.scope")
    assert not group.exists() and group.procs() == []
    for method in (group.cpu, group.memory, group.io, group.pids, group.pressure):
        with pytest.raises(CgroupGone):
            method()


def test_a_controller_that_is_mounted_nowhere_is_off() -> None:
    root, hierarchy = recorded(UNIFIED)
    bound = tuple((name, mount) for name, mount in hierarchy.bound if name not in ("memory", "pids"))
    group = Cgroup(root, dataclasses.replace(hierarchy, bound=bound), "/system.slice")
    assert group.memory().usage_bytes is None
    assert {missing.reason for missing in group.pids().missing} == {Absent.CONTROLLER_OFF}


def test_a_cgroup_whose_directory_may_not_be_opened_exists_and_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    root, hierarchy = recorded(UNIFIED)
    group = Cgroup(root, hierarchy, "/system.slice")

    def denied(path: str, *rest: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", denied)
    assert group.exists()
    assert group.procs() == []
    with pytest.raises(PermissionError):
        group.memory()


def test_a_path_with_or_without_a_slash_at_its_end_is_the_same_cgroup() -> None:
    root, hierarchy = recorded(UNIFIED)
    assert Cgroup(root, hierarchy, "/system.slice/").path == "/system.slice"
    assert Cgroup(root, hierarchy, "/").cpu().usage_nsec is not None, "the root cgroup itself"


def test_reading_leaves_no_descriptor_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _, group in cgroups(UNIFIED):
        group.cpu(), group.memory(), group.io(), group.pids(), group.pressure(), group.procs()
    assert len(os.listdir("/proc/self/fd")) == before
