"""Opening, errno and identity: what the kernel may answer, and what a planted tree may hold."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cgroupfs import Absent, CgroupGone, Directory, Exhausted, KeptFile, ParseError
from cgroupfs.pseudofs import EXHAUSTED, FILE_LIMIT, absence
from helpers import FakeDirectory, fail_reads, failing_close, open_descriptors, write_files

REASONS = {
    errno.ENOENT: Absent.FILE_ABSENT,
    errno.EOPNOTSUPP: Absent.UNSUPPORTED,
    errno.EACCES: Absent.PERMISSION,
    errno.EPERM: Absent.PERMISSION,
    errno.EIO: Absent.READ_FAILED,
    errno.EISDIR: Absent.READ_FAILED,
    errno.ELOOP: Absent.READ_FAILED,
    errno.EINVAL: Absent.READ_FAILED,
}


@pytest.mark.parametrize(("number", "reason"), REASONS.items(), ids=[errno.errorcode[n] for n in REASONS])
def test_each_errno_has_one_reason(number: int, reason: Absent) -> None:
    assert absence(OSError(number, ""), "/x") is reason
    assert FakeDirectory({"cpu.stat": number}).read("cpu.stat") is reason
    assert absence(OSError("odd"), "/x") is Absent.READ_FAILED, "an error without a number"


@pytest.mark.parametrize("number", sorted(EXHAUSTED), ids=[errno.errorcode[n] for n in sorted(EXHAUSTED)])
def test_having_run_out_of_something_is_no_files_failure(number: int) -> None:
    with pytest.raises(Exhausted, match="cannot read /x: none left"):
        absence(OSError(number, "none left"), "/x")


def test_a_file_is_read_whole_and_nothing_else_followed_or_waited_for(tmp_path: Path) -> None:
    data = b"".join(b"key%d %d\n" % (n, n) for n in range(20_000))
    write_files(str(tmp_path), {"big": data, "small": b"1\n", "empty": b"", "directory/a": b""})
    os.symlink("small", tmp_path / "link")
    os.symlink("nowhere", tmp_path / "dangling")
    os.mkfifo(tmp_path / "pipe")
    with Directory(str(tmp_path)) as directory:
        assert [directory.read(name) for name in ("big", "small", "empty", "pipe")] == [data, b"1\n", b"", b""]
        assert {directory.read(name) for name in ("directory", "link", "dangling")} == {Absent.READ_FAILED}
        fd = directory.open("small")
        assert isinstance(fd, int) and not os.get_inheritable(directory.fd) and not os.get_inheritable(fd)
        os.close(fd)


def test_a_planted_giant_costs_no_more_than_the_limit(tmp_path: Path) -> None:
    with open(tmp_path / "giant", "wb") as file:
        file.truncate(FILE_LIMIT * 4)
    with Directory(str(tmp_path)) as directory:
        assert directory.read("giant") is Absent.TOO_LARGE
        assert directory.read_lines("giant") == (b"", False)
        fd = directory.open("giant")
    assert isinstance(fd, int)
    kept = KeptFile("giant", fd)
    with pytest.raises(ParseError, match="larger than") as failed:
        kept.read()
    assert failed.value.reason is Absent.TOO_LARGE
    file.close()


def test_a_list_of_any_length_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    write_files(str(tmp_path), {"cgroup.procs": b"1234567\n" * 100})
    with Directory(str(tmp_path)) as directory:
        assert directory.read_lines("cgroup.procs", 20) == (b"1234567\n" * 2, False)
        assert directory.read_lines("cgroup.procs", 800) == (b"1234567\n" * 100, True)


def test_of_a_directory_with_any_number_of_others_in_it_some_are_listed(tmp_path: Path) -> None:
    for n in range(50):
        (tmp_path / str(n)).mkdir()
    with Directory(str(tmp_path)) as directory:
        assert len(directory.some(7)) == 7
        assert len(directory.some(70)) == 50


def test_an_unreadable_file_is_a_missing_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(str(tmp_path), {"cpu.stat": "usage_usec 1\n"})

    def denied(path: str, *_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    with Directory(str(tmp_path)) as directory, monkeypatch.context() as patch:
        patch.setattr(os, "open", denied)
        assert directory.read("cpu.stat") is Absent.PERMISSION
        with pytest.raises(PermissionError, match=str(tmp_path)):
            Directory(str(tmp_path))


def test_a_read_that_fails_after_the_open_has_its_reason_or_is_gone_and_leaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(str(tmp_path), {"cgroup.procs": "1\n"})
    before = open_descriptors()
    with Directory(str(tmp_path)) as directory, monkeypatch.context() as patch:
        for number, reason in ((errno.EOPNOTSUPP, Absent.UNSUPPORTED), (errno.EIO, Absent.READ_FAILED)):
            fail_reads(patch, number)
            assert directory.read("cgroup.procs") is reason
        for number in (errno.ENODEV, errno.ESRCH):
            fail_reads(patch, number)
            with pytest.raises(CgroupGone, match=r"cgroup\.procs"):
                directory.read("cgroup.procs")
    assert open_descriptors() == before


# -- directories


def test_a_path_that_is_not_there_or_a_file_is_gone(tmp_path: Path) -> None:
    write_files(str(tmp_path), {"a": "1\n"})
    for path in (f"{tmp_path}/none", f"{tmp_path}/a", f"{tmp_path}/a/b"):
        with pytest.raises(CgroupGone) as caught:
            Directory(path)
        assert caught.value.path == path


def test_an_absent_file_in_a_living_directory_is_absent_and_in_a_removed_one_gone(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "a")
    with Directory(f"{tmp_path}/a") as directory:
        assert directory.read("memory.peak") is Absent.FILE_ABSENT
        os.rmdir(tmp_path / "a")
        with pytest.raises(CgroupGone):
            directory.read("memory.peak")
        assert not directory.alive()
        assert list(directory.children()) == []


def test_a_directory_recreated_at_the_same_path_is_another_one(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "a")
    with Directory(f"{tmp_path}/a") as directory:
        os.rename(tmp_path / "a", tmp_path / "old")
        write_files(str(tmp_path), {"a/cpu.stat": "usage_usec 1\n"})
        assert not directory.alive()
        with pytest.raises(CgroupGone):
            directory.read("cpu.stat")
        before = open_descriptors()
        with pytest.raises(CgroupGone):
            Directory(f"{tmp_path}/a", directory.inode)
        assert open_descriptors() == before, "the refused directory is closed again"
    with Directory(f"{tmp_path}/a") as again:
        assert again.inode != directory.inode
        Directory(f"{tmp_path}/a", again.inode).close()


def test_children_are_the_subdirectories_with_their_inodes_and_no_links(tmp_path: Path) -> None:
    write_files(str(tmp_path), {"a/cgroup.procs": "", "b/cgroup.procs": "", "cgroup.procs": ""})
    os.symlink("a", tmp_path / "link")
    with Directory(str(tmp_path)) as directory:
        found = dict(directory.children())
    assert found == {name: os.stat(tmp_path / name).st_ino for name in ("a", "b")}


# -- kept files


def kept(path: Path) -> KeptFile:
    return KeptFile(str(path), os.open(path, os.O_RDONLY))


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 200_000])
def test_a_kept_file_is_whole_at_every_size_and_fresh_each_time(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"x" * size)
    file = kept(tmp_path / "a")
    assert file.read() == file.read() == b"x" * size
    (tmp_path / "a").write_bytes(b"y" * size)
    assert file.read() == b"y" * size
    file.close()
    file.close()


def test_a_kept_file_of_a_removed_cgroup_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"1\n")
    file = kept(tmp_path / "a")
    with monkeypatch.context() as patch:
        for number in (errno.ENODEV, errno.ESRCH):
            fail_reads(patch, number)
            with pytest.raises(CgroupGone):
                file.read()
        fail_reads(patch, errno.EIO)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            file.read()
    file.close()


@pytest.mark.host
def test_a_kept_proc_file_of_a_dead_process_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        file = kept(Path(f"/proc/{child.pid}/status"))
        assert file.read().startswith(b"Name:")
        child.send_signal(signal.SIGKILL)
    with pytest.raises(CgroupGone):
        file.read()
    file.close()


@pytest.mark.parametrize("kept", ["file", "directory"])
def test_what_cannot_be_closed_well_is_closed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    """A FUSE file system that has gone away answers close() with an error; the number is another's a moment later."""
    write_files(str(tmp_path), {"a": b"1\n"})
    with Directory(str(tmp_path)) as directory:
        fd = directory.open("a") if kept == "file" else -1
        assert isinstance(fd, int)
        held: KeptFile | Directory = KeptFile("a", fd) if kept == "file" else Directory(str(tmp_path))
        number = held.fd
        with monkeypatch.context() as patch:
            closed = failing_close(patch)
            held.close()
            held.close()
        assert closed == [number]
