"""Rarely changing files are read only when they changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from cgroupfs import MAX, CounterReader, Descriptors, Directory, Version
from cgstatd.host import limit_changes
from cgstatd.host.limit_changes import LimitChanges
from sidebyside import side_by_side

FILES = {
    "cpu.stat": "usage_usec 5\n",
    "memory.current": "10\n",
    "memory.stat": "inactive_file 1\n",
    "memory.max": "max\n",
    "io.stat": "",
    "cgroup.events": "populated 1\nfrozen 0\n",
}


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def reader(cgroup: Path) -> Iterator[CounterReader]:
    with Directory(str(cgroup)) as directory:
        source = (directory, Version.V2)
        made = CounterReader(source, source, source, source, Descriptors(100))
    yield made
    made.close()


def reads(reader: CounterReader, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that one reading reads."""
    seen: list[str] = []
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        seen.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        return real(fd, size, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", pread)
        reader.read()
    return seen


def test_a_followed_reader_reads_limit_and_state_once(reader: CounterReader, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = LimitChanges(True)
    followed.follow(reader)
    assert {"memory.max", "cgroup.events"} <= set(reads(reader, monkeypatch))
    assert not {"memory.max", "cgroup.events"} & set(reads(reader, monkeypatch))
    followed.close()


def test_a_new_limit_and_a_pause_are_seen_at_the_next_pass(reader: CounterReader, cgroup: Path) -> None:
    followed = LimitChanges(True)
    followed.follow(reader)
    followed.refresh(0)
    first = reader.read()
    assert (first.memory_max_bytes, first.frozen) == (MAX, False)
    with open(cgroup / "memory.max", "r+") as file:
        file.write("4096\n")
    with open(cgroup / "cgroup.events", "r+") as file:
        file.write("populated 1\nfrozen 1\n")
    followed.refresh(1)
    second = reader.read()
    assert (second.memory_max_bytes, second.frozen) == (4096, True)
    followed.close()


def test_what_nobody_tells_is_found_after_a_while(reader: CounterReader, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = LimitChanges(True)
    followed.follow(reader)
    followed.refresh(0)
    reader.read()
    followed.refresh(limit_changes.LOOK_AGAIN_NS - 1)
    assert "memory.max" not in reads(reader, monkeypatch)
    followed.refresh(limit_changes.LOOK_AGAIN_NS)
    assert "memory.max" in reads(reader, monkeypatch)
    followed.close()


def test_a_freezing_v1_cgroup_is_read_until_it_is_frozen(tmp_path: Path) -> None:
    files = {
        "cpuacct.usage": "1\n",
        "memory.usage_in_bytes": "1\n",
        "memory.stat": "total_inactive_file 0\n",
        "memory.limit_in_bytes": "1\n",
        "freezer.state": "FREEZING\n",
        "blkio.throttle.io_service_bytes": "Total 0\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with Directory(str(tmp_path)) as directory:
        source = (directory, Version.V1)
        reader = CounterReader(source, source, source, source, Descriptors(100))
    reader.followed = True
    assert reader.read().frozen is False
    (tmp_path / "freezer.state").write_text("FROZEN\n")  # the kernel finishes without telling
    assert reader.read().frozen is True
    reader.close()


def test_without_following_every_reading_reads_everything(
    reader: CounterReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfollowed = LimitChanges(False)
    unfollowed.follow(reader)
    unfollowed.refresh(0)
    for _ in range(2):
        assert {"memory.max", "cgroup.events"} <= set(reads(reader, monkeypatch))


def test_a_watch_that_cannot_be_had_means_reading_each_time(
    reader: CounterReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = LimitChanges(True)
    inotify = followed._inotify
    assert inotify is not None

    def full(_self: object, _path: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(inotify), "add_file", full)
    followed.follow(reader)
    assert not reader.followed
    assert "memory.max" in reads(reader, monkeypatch)
    followed.close()


def test_a_forgotten_reader_is_told_nothing_and_leaves_no_watch(reader: CounterReader, cgroup: Path) -> None:
    followed = LimitChanges(True)
    followed.follow(reader)
    followed.forget(reader)
    (cgroup / "memory.max").write_text("1\n")
    followed.refresh(0)
    assert not followed._readers
    assert not followed._watches
    followed.close()


class Followed:
    """As much of a CounterReader as is followed."""

    followed = False

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def rarely_changing(self) -> list[str]:
        return [self._path]

    def changed(self) -> None:
        pass


def test_readers_come_and_go_while_another_thread_passes_on_what_changed(cgroup: Path) -> None:
    followed = LimitChanges(True)
    readers = [cast(CounterReader, Followed(cgroup / "memory.max")) for _ in range(2000)]

    def come_and_go(several: list[CounterReader]) -> None:
        for each in several:
            followed.follow(each)
        for each in several:
            followed.forget(each)

    def pass_on(number: int) -> None:
        for turn in range(100):
            followed.refresh((number * 100 + turn) * limit_changes.LOOK_AGAIN_NS)

    side_by_side(
        lambda number: come_and_go(readers[:1000]), lambda number: come_and_go(readers[1000:]), pass_on, times=20
    )
    followed.close()
