"""A held process: it can never be taken for another one that has its pid."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgroupfs import CgroupGone, Root
from cgstatd.host.procfs.process import DESCRIPTORS, Process
from helpers import MadeUpHost, make_cgroup, open_descriptors, unprivileged, write_files

LIVE = Root("/")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


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
    process = Process(LIVE, sleeper.pid)
    assert (process.pid, process.path) == (sleeper.pid, f"/proc/{sleeper.pid}")
    assert process.stayed()
    assert b"lo:" in net_dev(process)
    process.close()


def test_a_pid_that_nobody_has_is_gone() -> None:
    with pytest.raises(CgroupGone):
        Process(LIVE, 4_194_305)  # above the largest pid_max


def test_a_process_that_died_before_it_was_opened_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(CgroupGone):
        Process(LIVE, sleeper.pid)


def test_a_process_that_died_while_it_was_held_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process(LIVE, sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert not process.stayed()
    with pytest.raises(CgroupGone):
        process.open_net_dev()
    process.close()


def test_a_zombie_is_gone_as_far_as_its_network_is_concerned(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process(LIVE, sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(CgroupGone):
        process.open_net_dev()
    process.close()


@pytest.mark.host
def test_another_process_with_the_same_pid_is_never_taken_for_it(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process(LIVE, sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    newcomer = None
    for _ in range(50):
        try:
            with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
                file.write(str(sleeper.pid - 1))
        except OSError as error:
            pytest.skip(f"cannot choose the next pid: {error}")
        newcomer = subprocess.Popen(["sleep", "600"])
        if newcomer.pid == sleeper.pid:
            break
        newcomer.kill()
        newcomer.wait()
    else:
        pytest.skip("the pid was always taken by somebody else")
    try:
        assert Process(LIVE, newcomer.pid).stayed()
        assert not process.stayed()
        with pytest.raises(CgroupGone):
            process.open_net_dev()
    finally:
        newcomer.kill()
        newcomer.wait()
        process.close()


@pytest.mark.host
def test_a_process_that_is_moved_to_another_cgroup_has_not_stayed(sleeper: subprocess.Popen[bytes]) -> None:
    directory = make_cgroup()
    try:
        before = Process(LIVE, sleeper.pid)
        with open(f"{directory}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(sleeper.pid))
        assert not before.stayed()
        inside = Process(LIVE, sleeper.pid, f"{directory}/cgroup.procs")
        assert inside.stayed()
        before.close()
        inside.close()
    finally:
        sleeper.kill()
        sleeper.wait()
        os.rmdir(directory)


# -- any tree


@pytest.mark.parametrize("listed", [True, False], ids=["by cgroup.procs", "by its own membership"])
def test_a_process_that_leaves_its_cgroup_has_not_stayed(made: MadeUpHost, listed: bool) -> None:
    process = Process(made.root, 7, procs_of(made) if listed else "")
    assert process.stayed()
    made.procs("/docker/x", [8])
    made.process(7, "/elsewhere")
    assert not process.stayed()
    process.close()


def test_a_process_that_is_not_listed_after_it_was_opened_is_gone(made: MadeUpHost) -> None:
    for pids in ([], [8], [77], [17, 70]):
        made.procs("/docker/x", pids)
        with pytest.raises(CgroupGone):
            Process(made.root, 7, procs_of(made))


@pytest.mark.parametrize("pids", [[7], [7, 8], [8, 7], [17, 7, 71]])
def test_a_process_is_found_anywhere_in_the_list(made: MadeUpHost, pids: list[int]) -> None:
    made.procs("/docker/x", pids)
    process = Process(made.root, 7, procs_of(made))
    assert process.stayed()
    made.procs("/docker/x", [pid for pid in pids if pid != 7] or [17])
    assert not process.stayed()
    process.close()


def test_in_a_long_list_its_own_membership_tells(made: MadeUpHost) -> None:
    made.procs("/docker/x", range(7, 1000))
    process = Process(made.root, 7, procs_of(made))
    made.procs("/docker/x", range(8, 1000))
    assert process.stayed()
    made.process(7, "/elsewhere")
    assert not process.stayed()
    process.close()


def test_the_held_process_is_the_one_that_was_opened_whoever_is_at_its_path_now(made: MadeUpHost) -> None:
    process = Process(made.root, 7, procs_of(made))
    shutil.move(made.real("/proc/7"), made.real("/old"))
    made.process(7, "/docker/x", rx=666_666)
    assert b"666666" not in net_dev(process)
    shutil.rmtree(made.real("/old"))
    with pytest.raises(CgroupGone):
        process.open_net_dev()
    process.close()


def test_a_process_without_a_membership_file_is_gone(made: MadeUpHost) -> None:
    os.unlink(made.real("/proc/7/cgroup"))
    with pytest.raises(CgroupGone):
        Process(made.root, 7)
    made.rmdir("/docker/x")
    with pytest.raises(CgroupGone):
        Process(made.root, 8, procs_of(made))


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


def test_no_descriptor_is_inherited_by_other_programs(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process(LIVE, sleeper.pid)
    fd = process.open_net_dev()
    assert not os.get_inheritable(fd)
    assert not os.get_inheritable(process._fd)
    os.close(fd)
    process.close()
