"""Against the running kernel: a cgroup of our own in each tree that may be written to, with one process in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cgroupfs import (
    MAX,
    Absent,
    Cgroup,
    CgroupGone,
    Descriptors,
    Directory,
    Hierarchy,
    Root,
    Version,
)
from helpers import remove_cgroup

from .conftest import Trees, enter, make, own_cgroup

pytestmark = pytest.mark.host
NAME = f"cgstatd-test-{os.getpid()}"
BUSY = """
import sys
data = bytearray(8 << 20)
for at in range(0, len(data), 4096):
    data[at] = 1
print("ready", flush=True)
for line in sys.stdin:
    for n in range(300_000):
        n * n
    print("done", flush=True)
"""


class Busy:
    """A process that holds 8 MB and works when told to."""

    def __init__(self) -> None:
        command = [sys.executable, "-S", "-c", BUSY]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def work(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        assert self.answer() == "done"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


Own = tuple[Cgroup, Busy, Trees]


@pytest.fixture
def own(hierarchy: Hierarchy) -> Iterator[Own]:
    """(cgroup, its process, the trees it is in)."""
    with own_cgroup(hierarchy, NAME) as trees:
        busy = Busy()
        try:
            enter(trees, busy.process.pid)
            assert busy.answer() == "ready"
            yield Cgroup(Root("/"), hierarchy, "/" + NAME), busy, trees
        finally:
            busy.end()


def raw(hierarchy: Hierarchy, trees: Trees, controller: str, v1: str, v2: str) -> str:
    """What the file holds now, read without the library; skips where the controller is not at hand."""
    mount = hierarchy.mount(controller)
    if mount is None or mount not in trees.values():
        pytest.skip(f"no writable tree has the {controller} controller")
    path = f"{mount.point}/{NAME}/{v1 if mount.version is Version.V1 else v2}"
    if not os.path.exists(path):
        pytest.skip(f"{path}: the {controller} controller is not enabled for the children of {mount.point}")
    with open(path) as file:
        return file.read()


def test_cpu_time_grows_by_the_work_done_and_lies_between_two_readings_of_the_file(
    hierarchy: Hierarchy, own: Own
) -> None:
    group, busy, trees = own

    def usage() -> int:
        text = raw(hierarchy, trees, "cpuacct", "cpuacct.usage", "cpu.stat")
        return int(text.split()[1]) if text.startswith("usage_usec") else int(text) // 1000

    usage()
    reader = group.counters(Descriptors(100))
    first = reader.cpu_usage_nsec()
    before, (record, counters), after = usage(), (group.cpu(), reader.read()), usage()
    assert record.usage_nsec is not None and counters.cpu_usage_nsec is not None and first is not None
    assert before <= record.usage_nsec // 1000 <= counters.cpu_usage_nsec // 1000 <= after
    busy.work()
    worked = reader.cpu_usage_nsec()
    assert worked is not None and worked - first > 5_000_000, "300,000 multiplications take more than 5 ms"
    reader.close()


def test_memory_is_what_the_file_says(hierarchy: Hierarchy, own: Own) -> None:
    group, _, trees = own
    usage = int(raw(hierarchy, trees, "memory", "memory.usage_in_bytes", "memory.current"))
    record = group.memory()
    assert record.usage_bytes is not None and abs(record.usage_bytes - usage) < 1 << 20
    assert record.stat.anon is None or record.stat.inactive_file is not None
    assert record.max_bytes is MAX
    reader = group.counters(Descriptors(0))
    counters = reader.read()
    assert counters.memory_usage_bytes is not None and abs(counters.memory_usage_bytes - usage) < 1 << 20
    assert (counters.memory_max_bytes, reader.failed()) == (MAX, None)
    reader.close()


def test_a_limit_that_is_set_is_read_back(hierarchy: Hierarchy, own: Own) -> None:
    group, _, trees = own
    raw(hierarchy, trees, "memory", "memory.limit_in_bytes", "memory.max")
    mount = hierarchy.mount("memory")
    assert mount is not None
    name = "memory.limit_in_bytes" if mount.version is Version.V1 else "memory.max"
    with open(f"{group.directory_path(mount)}/{name}", "w") as file:
        file.write(str(256 << 20))
    assert group.memory().max_bytes == 256 << 20
    reader = group.counters(Descriptors(100))
    assert reader.read().memory_max_bytes == 256 << 20
    reader.close()


def test_pids_and_processes_are_the_one_process(hierarchy: Hierarchy, own: Own) -> None:
    group, busy, trees = own
    assert group.procs() == [busy.process.pid]
    assert int(raw(hierarchy, trees, "pids", "pids.current", "pids.current")) == group.pids().current == 1


def test_a_frozen_cgroup_is_frozen(hierarchy: Hierarchy, own: Own) -> None:
    group, _, trees = own
    raw(hierarchy, trees, "freezer", "freezer.state", "cgroup.freeze")
    mount = hierarchy.mount("freezer")
    assert mount is not None
    name, states = ("freezer.state", ("FROZEN", "THAWED")) if mount.version is Version.V1 else ("cgroup.freeze", "10")
    reader = group.counters(Descriptors(100))
    assert reader.read().frozen is False
    for state, wanted in zip(states, (True, False), strict=True):
        with open(f"{group.directory_path(mount)}/{name}", "w") as file:
            file.write(state)
        while reader.read().frozen is not wanted:
            time.sleep(0.02)
    reader.close()


def test_every_record_can_be_read_and_says_why_of_what_it_lacks(own: Own) -> None:
    group, _, _ = own
    for record in (group.cpu(), group.memory(), group.io(), group.pids(), group.pressure()):
        for missing in record.missing:
            assert missing.reason not in (Absent.MALFORMED, Absent.READ_FAILED), missing


def test_every_controller_file_of_this_machine_is_understood(hierarchy: Hierarchy) -> None:
    for mount in hierarchy.trees:
        with Directory(mount.point) as top:
            names = [name for name, _ in top.children()][:20]
        for name in names:
            group = Cgroup(Root("/"), hierarchy, "/" + name)
            with contextlib.suppress(CgroupGone):
                for record in (group.cpu(), group.memory(), group.io(), group.pids(), group.pressure()):
                    bad = [m for m in record.missing if m.reason in (Absent.MALFORMED, Absent.READ_FAILED)]
                    assert bad == [], name


@pytest.mark.parametrize("kept", [100, 0])
def test_a_removed_cgroup_is_gone_and_a_new_one_at_its_path_is_another(hierarchy: Hierarchy, kept: int) -> None:
    name = f"{NAME}-again"
    with own_cgroup(hierarchy, name) as made:
        group = Cgroup(Root("/"), hierarchy, "/" + name)
        old = {mount.point: os.stat(path).st_ino for path, mount in made.items()}
        pinned = Cgroup(Root("/"), hierarchy, "/" + name, old)
        reader = group.counters(Descriptors(kept))
        assert reader.read() is not None
        first = next(iter(made))
        directory = Directory(first, old[made[first].point])
        pinned.cpu()
        for path in made:
            remove_cgroup(path)
        assert not group.exists() and not directory.alive()
        for method in (reader.read, lambda: directory.read("cgroup.procs"), group.memory):
            with pytest.raises(CgroupGone):
                method()
        for path, mount in made.items():
            make(mount, name)
            assert os.stat(path).st_ino != old[mount.point], "a new cgroup, a new inode"
        assert group.exists()
        group.cpu()
        with pytest.raises(CgroupGone):
            reader.read()
        if any(hierarchy.mount(controller) in made.values() for controller in ("cpu", "cpuacct", "cpuset")):
            with pytest.raises(CgroupGone):
                pinned.cpu()
        reader.close()
        directory.close()
