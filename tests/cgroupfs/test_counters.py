"""The counters that stay open say what the full records say, on every container of every recorded host."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cgroupfs import (
    MAX,
    Absent,
    Cgroup,
    CgroupGone,
    CounterReader,
    Counters,
    Descriptors,
    Directory,
    Exhausted,
    Io,
    Version,
)
from cgroupfs.controllers.io import V1_BYTES
from helpers import TREES, UNIFIED, cgroups, fail_reads, made_cgroup, open_descriptors, write_files

MANY = 1000
V2_FILES: dict[str, bytes | str] = {
    "cpu.stat": "usage_usec 5\nuser_usec 3\n",
    "memory.current": "100\n",
    "memory.stat": "anon 1\ninactive_file 20\n",
    "memory.max": "max\n",
    "io.stat": "8:0 rbytes=1 wbytes=2\n8:16 rbytes=10\n",
    "cgroup.events": "populated 1\nfrozen 0\n",
}
V1_FILES: dict[str, bytes | str] = {
    "cpuacct.usage": "5000\n",
    "memory.usage_in_bytes": "100\n",
    "memory.stat": "inactive_file 1\ntotal_inactive_file 20\n",
    "memory.limit_in_bytes": "9223372036854771712\n",
    V1_BYTES[1]: "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\n8:16 Read 10\nTotal 13\n",
    "freezer.state": "THAWED\n",
}
GOOD = Counters(5000, 100, 20, MAX, 11, 2, False)


NONE = Counters(None, None, None, None, None, None, None)


def read_once(group: Cgroup, kept: int = MANY) -> tuple[Counters, dict[str, Absent]]:
    reader = group.counters(Descriptors(kept))
    try:
        counters = reader.read()
        return counters, {field: missing.reason for field, missing in reader.missing.items()}
    finally:
        reader.close()


def total(io: Io, field: str) -> int | None:
    return None if io.devices is None else sum(getattr(device, field) or 0 for device in io.devices)


@pytest.mark.parametrize(("host", "reading"), TREES)
@pytest.mark.parametrize("kept", [MANY, 3, 0])
def test_counters_say_what_the_records_say(host: str, reading: str, kept: int) -> None:
    found = cgroups(host, reading)
    assert len(found) >= 13
    for name, group in found:
        counters, _ = read_once(group, kept)
        cpu, memory, io = group.cpu(), group.memory(), group.io()
        assert counters.cpu_usage_nsec is not None, name
        assert counters.cpu_usage_nsec == cpu.usage_nsec, name
        assert counters.memory_usage_bytes == memory.usage_bytes, name
        assert counters.inactive_file_bytes == memory.stat.inactive_file, name
        assert counters.memory_max_bytes == memory.max_bytes, name
        assert (counters.io_read_bytes, counters.io_write_bytes) == (total(io, "rbytes"), total(io, "wbytes")), name


@pytest.mark.parametrize(("version", "files"), [(Version.V1, V1_FILES), (Version.V2, V2_FILES)])
@pytest.mark.parametrize("kept", [MANY, 2, 0])
def test_both_versions_give_the_same_counters_fresh_with_and_without_kept_descriptors(
    tmp_path: Path, version: Version, files: dict[str, bytes | str], kept: int
) -> None:
    group = made_cgroup(tmp_path, version, files)
    reader = group.counters(Descriptors(kept), "container")  # a payload that is not there changes nothing
    assert (reader.read(), reader.missing) == (GOOD, {})
    name = "memory.current" if version is Version.V2 else "memory.usage_in_bytes"
    (tmp_path / "cg/c" / name).write_bytes(b"777\n")
    assert reader.read() == GOOD._replace(memory_usage_bytes=777)
    reader.close()
    if version is Version.V1:  # before hierarchies: the cgroup's own cache
        (tmp_path / "cg/c/memory.stat").write_text("cache 9\ninactive_file 7\n")
        assert read_once(group)[0].inactive_file_bytes == 7


# -- descriptors


def test_descriptors_are_taken_up_to_the_budget_and_given_back() -> None:
    budget = Descriptors(8)
    before = len(open_descriptors())
    readers = [group.counters(budget) for _, group in cgroups(UNIFIED)]
    assert budget.used == 8
    assert len(open_descriptors()) == before + 8, "directories are not kept"
    for reader in readers:
        reader.read()
    assert len(open_descriptors()) == before + 8, "reopened files are closed again"
    for reader in readers:
        reader.close()
        reader.close()
    assert budget.used == 0
    assert len(open_descriptors()) == before


def test_a_reader_that_cannot_be_made_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = made_cgroup(tmp_path, Version.V2, V2_FILES)
    budget, before, real = Descriptors(MANY), len(open_descriptors()), Directory.open

    def vanish(self: Directory, name: str) -> int | Absent:
        if name == "cgroup.events":
            raise CgroupGone(self.path)
        return real(self, name)

    monkeypatch.setattr(Directory, "open", vanish)
    with pytest.raises(CgroupGone):
        group.counters(budget)
    assert (budget.used, len(open_descriptors())) == (0, before)


# -- absent, malformed, refused


ABSENT = [
    ("cpu.stat", "cpu.usage_nsec", ["cpu_usage_nsec"]),
    ("memory.current", "memory.usage_bytes", ["memory_usage_bytes"]),
    ("memory.stat", "memory.stat.inactive_file", ["inactive_file_bytes"]),
    ("memory.max", "memory.max_bytes", ["memory_max_bytes"]),
    ("io.stat", "io.devices", ["io_read_bytes", "io_write_bytes"]),
    ("cgroup.events", "freezer.frozen", ["frozen"]),
]


@pytest.mark.parametrize(("name", "field", "counters"), ABSENT)
@pytest.mark.parametrize("kept", [MANY, 0])
@pytest.mark.parametrize("absent", [True, False], ids=["absent", "malformed"])
def test_a_bad_file_costs_its_own_counter_and_is_a_failure_where_it_is_there_until_it_is_good_again(
    tmp_path: Path, name: str, field: str, counters: list[str], kept: int, absent: bool
) -> None:
    files = {key: data for key, data in V2_FILES.items() if key != name}
    group = made_cgroup(tmp_path, Version.V2, files if absent else {**files, name: b"garbage\xff\n"})
    reader = group.counters(Descriptors(kept))
    assert reader.read() == GOOD._replace(**dict.fromkeys(counters))
    assert {f: m.reason for f, m in reader.missing.items()} == {
        field: Absent.FILE_ABSENT if absent else Absent.MALFORMED
    }
    assert reader.missing[field].path.endswith(f"/cg/c/{name}")
    failed = reader.failed()
    assert (failed is None) is absent and (failed is None or failed.field == field)
    if not absent:
        write_files(str(tmp_path), {f"cg/c/{name}": V2_FILES[name]})
        assert (reader.read(), reader.failed(), reader.missing) == (GOOD, None, {})
    reader.close()


@pytest.mark.parametrize(
    ("number", "reason", "fails"),
    [
        (errno.EOPNOTSUPP, Absent.UNSUPPORTED, False),
        (errno.EACCES, Absent.PERMISSION, True),
        (errno.EIO, Absent.READ_FAILED, True),
    ],
)
def test_a_refused_read_has_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: Absent, fails: bool
) -> None:
    reader = made_cgroup(tmp_path, Version.V2, V2_FILES).counters(Descriptors(MANY))

    with monkeypatch.context() as patch:
        fail_reads(patch, number)
        assert reader.read() == NONE
    assert {missing.reason for missing in reader.missing.values()} == {reason}
    assert (reader.failed() is not None) is fails
    reader.close()


def test_running_out_of_descriptors_is_the_readers_own_trouble_and_no_file_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, real = made_cgroup(tmp_path, Version.V2, V2_FILES).counters(Descriptors(0)), os.open

    def exhausted(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "memory.current" or (str(path).endswith("/cg/c") and directories_too):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, flags, mode, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", exhausted)
        directories_too = False
        with pytest.raises(Exhausted, match=r"memory\.current: Too many open files"):
            reader.read()
        directories_too = True
        with pytest.raises(Exhausted, match=r"/cg/c: Too many open files"):
            reader.read()
    assert reader.read() == GOOD


def test_a_controller_that_is_off_is_absent_and_one_switched_off_later_gone(tmp_path: Path) -> None:
    reader = CounterReader(None, None, None, None, Descriptors(MANY))
    assert reader.read() == NONE and reader.failed() is None
    assert {missing.reason for missing in reader.missing.values()} == {Absent.CONTROLLER_OFF}
    group = made_cgroup(tmp_path, Version.V2, {"cpu.stat": "usage_usec 5\n", "cgroup.events": "frozen 1\n"})
    counters, missing = read_once(group)
    assert counters == NONE._replace(cpu_usage_nsec=5000, frozen=True)
    assert set(missing) == {"memory.usage_bytes", "memory.stat.inactive_file", "memory.max_bytes", "io.devices"}
    reader = made_cgroup(tmp_path, Version.V2, V2_FILES).counters(Descriptors(0))
    os.remove(tmp_path / "cg/c/memory.current")
    with pytest.raises(CgroupGone):
        reader.read()


def test_cpu_alone_is_read_alone_and_forgets_its_last_failure(tmp_path: Path) -> None:
    group = made_cgroup(tmp_path, Version.V2, V2_FILES | {"cpu.stat": "garbage\n"})
    reader = group.counters(Descriptors(MANY))
    assert reader.cpu_usage_nsec() is None
    assert reader.failed() is not None
    write_files(str(tmp_path), {"cg/c/cpu.stat": "usage_usec 7\n"})
    assert reader.cpu_usage_nsec() == 7000
    assert reader.failed() is None
    reader.close()


# -- v1 block I/O


@pytest.mark.parametrize(
    ("files", "found", "reason"),
    [
        ({}, (None, None), Absent.FILE_ABSENT),
        ({V1_BYTES[1]: "Total 0\n"}, (0, 0), None),
        ({V1_BYTES[1]: "Total 0\n", V1_BYTES[2]: "8:0 Read 4\nTotal 4\n"}, (4, 0), None),
        ({V1_BYTES[1]: "garbage\n"}, (None, None), Absent.MALFORMED),
        ({V1_BYTES[1]: "garbage\n", V1_BYTES[3]: "Total 0\n"}, (None, None), Absent.MALFORMED),
        ({V1_BYTES[1]: "garbage\n", V1_BYTES[3]: "8:0 Write 4\nTotal 4\n"}, (0, 4), None),
    ],
)
def test_v1_block_io_is_the_first_file_that_counts_and_never_a_false_zero(
    tmp_path: Path, files: dict[str, bytes | str], found: tuple[int | None, int | None], reason: Absent | None
) -> None:
    base = {name: data for name, data in V1_FILES.items() if name not in V1_BYTES}
    group = made_cgroup(tmp_path, Version.V1, base | files)
    counters, missing = read_once(group)
    assert (counters.io_read_bytes, counters.io_write_bytes) == found
    assert missing.get("io.devices") is reason
    io = group.io()
    assert (total(io, "rbytes"), total(io, "wbytes")) == found, "the record agrees"


# -- gone


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ESRCH])
def test_a_removed_cgroup_is_gone_and_not_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    reader = made_cgroup(tmp_path, Version.V2, V2_FILES).counters(Descriptors(MANY))

    with monkeypatch.context() as patch:
        fail_reads(patch, number)
        with pytest.raises(CgroupGone):
            reader.read()
        with pytest.raises(CgroupGone):
            reader.cpu_usage_nsec()
    reader.close()


def test_a_cgroup_recreated_at_the_same_path_is_gone_for_the_old_reader(tmp_path: Path) -> None:
    group = made_cgroup(tmp_path, Version.V2, V2_FILES)
    reader = group.counters(Descriptors(0))
    assert reader.read() == GOOD
    os.rename(tmp_path / "cg/c", tmp_path / "cg/old")
    made_cgroup(tmp_path, Version.V2, V2_FILES)
    with pytest.raises(CgroupGone):
        reader.read()
    assert read_once(group) == (GOOD, {}), "a new reader takes the new cgroup"


def test_a_change_that_another_thread_tells_of_while_it_is_read_is_news_at_the_next_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = made_cgroup(tmp_path, Version.V2, V2_FILES).counters(Descriptors(MANY))
    reader.followed = True
    reader.read()
    limit, state = (Path(path) for path in reader.rarely_changing())
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        data = real(fd, size, offset)
        if Path(os.readlink(f"/proc/self/fd/{fd}")) == state:  # both have been read by now
            limit.write_text("4096\n")
            state.write_text("populated 1\nfrozen 1\n")
            reader.changed()
        return data

    reader.changed()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", pread)
        reader.read()
    found = reader.read()
    assert (found.memory_max_bytes, found.frozen) == (4096, True)
    reader.close()


def test_what_is_freezing_is_read_again_until_it_is_frozen_and_then_when_it_has_changed(tmp_path: Path) -> None:
    reader = made_cgroup(tmp_path, Version.V1, V1_FILES | {"freezer.state": "FREEZING\n"}).counters(Descriptors(MANY))
    reader.followed = True
    state = Path(reader.rarely_changing()[1])
    assert reader.read().frozen is False
    state.write_text("FROZEN\n")  # the kernel's own step: inotify does not tell it
    assert reader.read().frozen is True
    state.write_text("THAWED\n")
    assert reader.read().frozen is True
    reader.changed()
    assert reader.read().frozen is False
    reader.close()
