"""A held process: it can never be taken for another one that has its pid."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from cgroupfs import CgroupGone, Root
from cgstatd.host.procfs.process import DESCRIPTORS, Process
from helpers import MadeUpHost, make_cgroup, open_descriptors, unprivileged, write_files

LIVE = Root("/")


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@contextmanager
def held(root: Root, pid: int, procs: str = "") -> Iterator[Process]:
    process = Process(root, pid, procs)
    try:
        yield process
    finally:
        process.close()


@pytest.fixture
def made(tmp_path: Path) -> MadeUpHost:
    host = MadeUpHost(str(tmp_path))
    host.container("/docker/x", pids=[7, 8])
    return host


def procs_of(made: MadeUpHost) -> str:
    return made.real("/sys/fs/cgroup/docker/x/cgroup.procs")


def net_dev(process: Process) -> bytes:
    fd = process.open_net_dev()
    try:
        return os.read(fd, 1 << 16)
    finally:
        os.close(fd)


# -- live processes


def test_a_live_process_stays_and_has_its_interfaces(sleeper: subprocess.Popen[bytes]) -> None:
    with held(LIVE, sleeper.pid) as process:
        assert (process.pid, process.path) == (sleeper.pid, f"/proc/{sleeper.pid}")
        assert process.stayed() and b"lo:" in net_dev(process)
        fd = process.open_net_dev()
        assert not os.get_inheritable(fd) and not os.get_inheritable(process._fd)
        os.close(fd)


def test_a_process_that_died_is_gone_and_a_zombie_as_far_as_its_network_is_concerned(
    sleeper: subprocess.Popen[bytes],
) -> None:
    with held(LIVE, sleeper.pid) as process:
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(CgroupGone):
            process.open_net_dev()
        sleeper.wait()
        assert not process.stayed()
        with pytest.raises(CgroupGone):
            process.open_net_dev()
    for pid in (sleeper.pid, 4_194_305):  # the second one is above the largest pid_max
        with pytest.raises(CgroupGone):
            Process(LIVE, pid)


@pytest.mark.host
def test_another_process_with_the_same_pid_is_never_taken_for_it(sleeper: subprocess.Popen[bytes]) -> None:
    with held(LIVE, sleeper.pid) as process:
        end(sleeper)
        newcomer = with_pid(sleeper.pid)
        try:
            with held(LIVE, newcomer.pid) as other:
                assert other.stayed() and not process.stayed()
            with pytest.raises(CgroupGone):
                process.open_net_dev()
        finally:
            end(newcomer)


def with_pid(pid: int) -> subprocess.Popen[bytes]:
    """A process with that pid; skips the test where there can be none."""
    for _ in range(50):
        try:
            with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
                file.write(str(pid - 1))
        except OSError as error:
            pytest.skip(f"cannot choose the next pid: {error}")
        made = subprocess.Popen(["sleep", "600"])
        if made.pid == pid:
            return made
        end(made)
    pytest.skip("the pid was always taken by somebody else")


@pytest.mark.host
def test_a_process_that_is_moved_to_another_cgroup_has_not_stayed(sleeper: subprocess.Popen[bytes]) -> None:
    directory = make_cgroup()
    try:
        with held(LIVE, sleeper.pid) as before:
            with open(f"{directory}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(sleeper.pid))
            assert not before.stayed()
        with held(LIVE, sleeper.pid, f"{directory}/cgroup.procs") as inside:
            assert inside.stayed()
    finally:
        end(sleeper)
        os.rmdir(directory)


# -- any tree


@pytest.mark.parametrize(
    ("listed", "before", "after"),
    [
        (False, [7, 8], [8]),
        *((True, pids, [pid for pid in pids if pid != 7] or [17]) for pids in ([7], [7, 8], [8, 7], [17, 7, 71])),
        (True, range(7, 1000), range(7, 1000)),
    ],
    ids=["by its own membership", "alone", "first", "last", "in the midst", "in a long list by its membership"],
)
def test_a_process_that_leaves_its_cgroup_has_not_stayed(
    made: MadeUpHost, listed: bool, before: Sequence[int], after: Sequence[int]
) -> None:
    made.procs("/docker/x", before)
    with held(made.root, 7, procs_of(made) if listed else "") as process:
        assert process.stayed()
        made.procs("/docker/x", after)
        if not listed or before == after:
            assert process.stayed()
            made.process(7, "/elsewhere")
        assert not process.stayed()


def test_a_process_that_is_not_listed_or_without_a_membership_is_gone(made: MadeUpHost) -> None:
    for pids in ([], [8], [77], [17, 70]):
        made.procs("/docker/x", pids)
        with pytest.raises(CgroupGone):
            Process(made.root, 7, procs_of(made))
    os.unlink(made.real("/proc/7/cgroup"))
    made.rmdir("/docker/x")
    for pid, procs in ((7, ""), (8, procs_of(made))):
        with pytest.raises(CgroupGone):
            Process(made.root, pid, procs)


def test_the_held_process_is_the_one_that_was_opened_whoever_is_at_its_path_now(made: MadeUpHost) -> None:
    with held(made.root, 7, procs_of(made)) as process:
        shutil.move(made.real("/proc/7"), made.real("/old"))
        made.process(7, "/docker/x", rx=666_666)
        assert b"666666" not in net_dev(process)
        shutil.rmtree(made.real("/old"))
        with pytest.raises(CgroupGone):
            process.open_net_dev()


def test_a_process_without_permission_is_an_error_of_its_own(tmp_path: Path) -> None:
    write_files(str(tmp_path), {"proc/7/cgroup": "0::/\n"})
    for base, _, _ in os.walk(tmp_path):
        os.chmod(base, 0o755)
    os.chmod(tmp_path / "proc/7", 0)
    top = str(tmp_path)
    while top != "/":
        if os.stat(top).st_uid == os.geteuid():
            os.chmod(top, os.stat(top).st_mode | 0o055)
        top = os.path.dirname(top)
    with unprivileged(), pytest.raises(PermissionError):
        Process(Root(str(tmp_path)), 7)


# -- descriptors


def test_it_keeps_the_number_of_descriptors_it_says_and_gives_them_back(made: MadeUpHost) -> None:
    before = len(open_descriptors())
    for procs in ("", procs_of(made)):
        process = Process(made.root, 7, procs)
        assert len(open_descriptors()) == before + DESCRIPTORS
        process.close()
        process.close()
        assert len(open_descriptors()) == before
        assert not process.stayed()


@pytest.mark.parametrize("pids", [[8], range(8, 1000), range(7, 1000)])
def test_nothing_stays_open_where_it_fails_or_the_list_is_long(made: MadeUpHost, pids: list[int]) -> None:
    before = len(open_descriptors())
    made.procs("/docker/x", pids)
    try:
        Process(made.root, 7, procs_of(made)).close()
    except CgroupGone:
        assert 7 not in pids
    assert len(open_descriptors()) == before
