"""The list of a container's processes: this machine's own, beside the parsers; CPU time over a window."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cgroupfs import ParseError, Root
from cgstatd.host.identity import Identity
from cgstatd.host.procfs.pid_stat import parse_children, parse_names, parse_stat
from cgstatd.sampling.process_list import Members, ProcessFigures, ProcessList, read_by_psutil, read_process

SECRET = "--token=hunter2-planted"
STAT = b"670 (a) b) R) S 1 1 1 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 4 0 777 1 1\n"


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A stopped process with a name of 15 bytes and an argument that is secret."""
    child = subprocess.Popen(
        [sys.executable, "-c", "open('/proc/self/comm','w').write('x'*15);print(flush=True);input()", SECRET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"SECRET": SECRET},
    )
    assert child.stdout is not None and child.stdin is not None
    child.stdout.readline()
    child.send_signal(signal.SIGSTOP)  # one that runs is asleep or not, as it happens
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    yield child.pid
    child.send_signal(signal.SIGCONT)
    child.communicate(b"\n")


_opened: list[str] = []
_watching = False


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event == "open":
        _opened.append(str(arguments[0]))


def test_psutil_and_the_parsers_say_the_same_of_a_process_and_open_no_arguments(sleeper: int) -> None:
    global _watching  # noqa: PLW0603  a hook of the interpreter can be added but not removed
    sys.addaudithook(_hook)
    _watching = True
    try:
        found = [read(Root("/"), sleeper, 1) for read in (read_by_psutil, read_process)]
    finally:
        _watching = False
    assert found[0]._replace(rss_bytes=0) == found[1]._replace(rss_bytes=0)
    assert found[0].name == "x" * 15 and found[0].state == "stopped" and found[0].threads == 1
    assert abs(found[0].rss_bytes - found[1].rss_bytes) < 1 << 20  # counted per CPU until it is worth adding up
    assert f"/proc/{sleeper}/stat" in _opened
    assert {path.rpartition("/")[2] for path in _opened if "/proc/" in path} <= {"stat", "statm", "status"}


def test_one_that_is_gone_is_an_oserror_and_a_zombie_has_no_memory() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped
    for read in (read_by_psutil, read_process):
        found = read(Root("/"), child.pid, 1)
        assert (found.state, found.rss_bytes) == ("zombie", 0)
    child.wait()
    for read in (read_by_psutil, read_process):
        with pytest.raises(OSError):
            read(Root("/"), child.pid, 1)


def figures(cpu: float, at_ns: int, start: int = 5) -> ProcessFigures:
    return ProcessFigures(7, 1, "x", "running", cpu, 0, 1, start, at_ns)


def listed(before: ProcessFigures, now: ProcessFigures) -> ProcessList:
    who = Identity("i", "n", "docker", 0, None)
    found = Members(1, 1, (7,), True)
    return ProcessList(who, 0, found, [now], 0, {(before.pid, before.start_ticks): before}, 1, 10.0)


def test_cpu_is_over_the_window_and_only_of_the_same_process() -> None:
    now = figures(2.5, 3_000_000_000)
    assert listed(figures(2.0, 1_000_000_000), now).cpu_percent(now) == 25.0
    assert listed(figures(3.0, 1_000_000_000), now).cpu_percent(now) == 0.0  # it was corrected by the kernel
    assert listed(figures(2.0, 1_000_000_000, start=4), now).cpu_percent(now) is None  # a reused pid
    assert listed(figures(2.5, 3_000_000_000), now).cpu_percent(now) is None  # no time between


def test_the_age_is_the_hosts_uptime_without_what_was_before_its_start() -> None:
    now = figures(0, 1, start=4 * os.sysconf("SC_CLK_TCK"))
    assert listed(now, now).age_seconds(now) == 6.0
    assert read_process(Root("/"), os.getpid(), 1).start_ticks / os.sysconf("SC_CLK_TCK") <= time.clock_gettime(
        time.CLOCK_BOOTTIME
    )


@pytest.mark.parametrize("data", [b"", b"1 (x) S 1", b"1 (x) " + b"x " * 30, b"1 (x) S" + b" -1" * 30])
def test_what_is_no_stat_file_is_refused_and_a_name_may_hold_brackets_and_blanks(data: bytes) -> None:
    assert parse_stat(STAT) == ("S", 200, 4, 777)
    with pytest.raises(ParseError):
        parse_stat(data)


def test_names_and_children() -> None:
    assert parse_names(b"Name:\ta\nNSpid:\t9\t3\t1\nVmRSS:\t  12 kB\n") == ("a", 1, 12288)
    assert parse_names(b"Name:\ta\n") == ("a", None, 0)
    assert parse_names(b"Name:\tNSpid:\nNSpid:\tx\n") == ("NSpid:", None, 0)
    with pytest.raises(ParseError):
        parse_names(b"State:\tS\n")
    assert parse_children(b"1 22 x 3 ") == [1, 22, 3]
