"""The root below which a host's files are: paths, whole files up to a bound, identity, time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cgroupfs import Root
from cgroupfs.root import HOST_FILE_LIMIT
from helpers import write_files


def test_a_file_of_the_host_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    data = b"".join(b"key%d %d\n" % (n, n) for n in range(20_000))
    write_files(str(tmp_path), {"big": data})
    assert Root(str(tmp_path)).read("/big") == data
    with open(tmp_path / "giant", "wb") as file:
        file.truncate(HOST_FILE_LIMIT * 4)
    with pytest.raises(OSError, match="File too large"):
        Root(str(tmp_path)).read("/giant")


@pytest.mark.parametrize(("path", "joined"), [("/", "/proc"), ("/host", "/host/proc"), ("/host/", "/host/proc")])
def test_host_paths_are_below_the_root(path: str, joined: str) -> None:
    assert Root(path).join("/proc") == joined


def test_identity_is_inode_and_owner_by_path_or_descriptor(tmp_path: Path) -> None:
    write_files(str(tmp_path), {"a": ""})
    root, found = Root(str(tmp_path)), os.stat(tmp_path / "a")
    assert root.identity("/a") == (found.st_ino, found.st_uid)
    fd = os.open(tmp_path / "a", os.O_RDONLY)
    assert root.identity("/never/looked/at", fd) == (found.st_ino, found.st_uid)
    os.close(fd)
    with pytest.raises(FileNotFoundError):
        root.identity("/none")


def test_the_clock_is_now_on_both_clocks() -> None:
    first, second = Root().clock(), Root().clock("/any")
    assert first.monotonic_ns <= second.monotonic_ns
    assert abs(first.time_ms - time.time() * 1000) < 5000
