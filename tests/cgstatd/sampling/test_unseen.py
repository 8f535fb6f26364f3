"""What cannot be seen is said, not shown as zero: processes of another PID namespace, hidden ones, a controller off."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cgroupfs import Absent, Cgroup, Descriptors, Root, detect
from cgstatd.sampling.network import Namespaces
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.process_finder import ProcessFinder
from cgstatd.sampling.sampler import Pending

ID = "c" * 64


def host(tmp_path: Path, procs: str, controllers: str = "cpu io memory pids") -> Path:
    """A v2 host with one container whose cgroup.procs says ``procs``."""
    point = tmp_path / "sys/fs/cgroup"
    scope = point / "system.slice" / f"docker-{ID}.scope"
    scope.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("32 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000 kB\n")
    (point / "cgroup.controllers").write_text(f"{controllers}\n")
    for name, content in {"cpu.stat": "usage_usec 1\n", "cgroup.procs": procs, "cgroup.events": "frozen 0\n"}.items():
        (scope / name).write_text(content)
    return tmp_path


def reason(path: Path) -> Absent | None:
    root = Root(str(path))
    cgroup = Cgroup(root, detect(root), f"/system.slice/docker-{ID}.scope")
    return ProcessFinder(root, cgroup, Descriptors(10)).traffic(Namespaces(root)).reason


@pytest.mark.parametrize(
    ("procs", "first", "absent"),
    [
        pytest.param("0\n0\n", False, Absent.FOREIGN, id="of another PID namespace"),
        pytest.param("", False, Absent.NO_PROCESS, id="there are none"),
        pytest.param("4711\n", False, Absent.HIDDEN, id="hidden by /proc, as is that of init"),
        pytest.param("4711\n", True, Absent.NO_NETWORK, id="it died, and nothing is hidden"),
    ],
)
def test_unseen_processes_are_not_taken_for_none(tmp_path: Path, procs: str, first: bool, absent: Absent) -> None:
    path = host(tmp_path, procs)
    if first:
        (path / "proc/1/net").mkdir(parents=True)
        (path / "proc/1/net/dev").write_text("")
    assert reason(path) is absent


@pytest.mark.parametrize(("procs", "word"), [("0\n", "--pid=host"), ("4711\n", "CAP_SYS_PTRACE")])
def test_the_log_says_once_what_to_do_and_the_other_figures_are_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, procs: str, word: str
) -> None:
    sampler = open_host(Root(str(host(tmp_path, procs))), HostOptions(follow=False))
    for _ in range(3):
        for container in sampler.containers():
            found = sampler.read(container, sampler.namespaces())
            assert found is not None
            if isinstance(found, Pending):
                sampler.second(found)
    sampler.close()
    assert sum(word in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("controllers", ["cpu io memory pids", "cpu io pids"])
def test_memory_off_is_told_with_a_fix(tmp_path: Path, caplog: pytest.LogCaptureFixture, controllers: str) -> None:
    with caplog.at_level(logging.WARNING):
        open_host(Root(str(host(tmp_path, "", controllers))), HostOptions(follow=False)).close()
    said = any("cgroup_enable=memory" in record.getMessage() for record in caplog.records)
    assert said == ("memory" not in controllers)
