"""Traffic of a container, by the network namespace of one of its processes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Absent, Cgroup, CgroupGone, Descriptors, Exhausted, ParseError, Root, detect, members
from cgstatd.host.procfs.net_dev import parse_traffic
from cgstatd.host.procfs.process import DESCRIPTORS, Process
from cgstatd.sampling import network
from cgstatd.sampling.network import Namespaces, Traffic, host_network
from cgstatd.sampling.process_finder import CHECK_NS, ProcessFinder
from helpers import NET_DEV, MadeUpHost, open_descriptors, unprivileged

PATH = "/docker/" + "a" * 64
OTHER = "/docker/" + "b" * 64


@pytest.fixture(params=[2, 1], ids=["v2", "v1"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> MadeUpHost:
    """A container with one process, 7, in a namespace of its own."""
    made = MadeUpHost(str(tmp_path), request.param)
    made.container(PATH, pids=[7])
    return made


def in_namespace(host: MadeUpHost, namespace: int) -> None:
    host.process(7, PATH, namespace=namespace)


def noted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is parsed from now on."""
    parsed: list[object] = []

    def noting(data: Any) -> tuple[int, int]:
        parsed.append(data)
        return parse_traffic(data)

    monkeypatch.setattr(network, "parse_traffic", noting)
    return parsed


def finder(host: MadeUpHost, path: str = PATH, descriptors: Descriptors | None = None) -> ProcessFinder:
    return ProcessFinder(host.root, Cgroup(host.root, detect(host.root), path), descriptors or Descriptors(100))


def read(host: MadeUpHost, found: ProcessFinder, **more: Any) -> Traffic:
    """In a pass of its own."""
    return found.traffic(Namespaces(host.root, **more))


# -- figures


def test_figures_are_fresh_each_time_and_lo_is_left_out(host: MadeUpHost) -> None:
    found = finder(host)
    assert read(host, found)[:4] == (1000, 2000, None, 1_000_007)
    host.process(7, PATH, rx=1_000_000, tx=3)
    assert read(host, found)[:2] == (1_000_000, 3)


def test_a_process_that_changes_its_namespace_is_noticed_at_once_while_it_is_new(host: MadeUpHost) -> None:
    in_namespace(host, 1)
    found = finder(host)
    assert read(host, found)[:4] == (None, None, Absent.HOST_NETWORK, 1), "it has no figure of its own"
    in_namespace(host, 55)  # systemd makes a service's own network after it has put it in its cgroup
    assert read(host, found)[:4] == (1000, 2000, None, 55)
    assert read(host, finder(host), engines=frozenset({55}))[:4] == (None, None, Absent.HOST_NETWORK, 55)


def test_a_process_that_changes_its_namespace_late_is_noticed_within_the_interval(host: MadeUpHost) -> None:
    in_namespace(host, 55)
    found = finder(host)
    for n in range(3):  # found, seen to be the same, believed
        host.root.now_ns = (n + 1) * CHECK_NS
        read(host, found)
    in_namespace(host, 1)
    host.root.now_ns = 4 * CHECK_NS
    assert read(host, found).reason is Absent.HOST_NETWORK


def test_without_pid_1_no_namespace_is_taken_for_the_hosts(host: MadeUpHost) -> None:
    in_namespace(host, 1)
    shutil.rmtree(host.real("/proc/1"))
    assert Namespaces(host.root).host is None
    assert read(host, finder(host))[:2] == (1000, 2000)


def test_a_shared_namespace_is_read_once_in_a_pass(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid, path in ((7, PATH), (8, OTHER)):
        host.container(path, pids=[pid])
        host.process(pid, path, namespace=55, rx=pid * 100)
    parsed = noted(monkeypatch)
    first, second = finder(host), finder(host, OTHER)
    one_pass = Namespaces(host.root)
    assert first.traffic(one_pass) == second.traffic(one_pass)
    assert first.traffic(one_pass)[:4] == (700, 2000, None, 55)
    assert len(parsed) == 1
    assert second.traffic(Namespaces(host.root))[:2] == (800, 2000)
    assert len(parsed) == 2


def test_the_runtimes_word_makes_it_the_hosts_network_whatever_was_read() -> None:
    assert host_network(Traffic(1, 2, None, 55))[:4] == (None, None, Absent.HOST_NETWORK, 55)


# -- which process is asked


def test_a_cgroup_without_a_process_has_no_figure_and_the_process_may_be_in_a_descendant(host: MadeUpHost) -> None:
    host.procs(PATH, [])
    found = finder(host)
    assert read(host, found)[:4] == (None, None, Absent.NO_PROCESS, None)
    assert not found.seen
    host.mkdir(f"{PATH}/init/deeper")
    host.procs(f"{PATH}/init", [])
    host.procs(f"{PATH}/init/deeper", [7])
    host.process(7, f"{PATH}/init/deeper")
    assert read(host, found)[:2] == (1000, 2000)
    assert found.seen


def test_where_the_held_process_dies_another_is_asked_and_the_last_is_remembered(host: MadeUpHost) -> None:
    host.procs(PATH, [7, 8])
    found = finder(host)
    for pid, others in ((7, [8]), (8, [])):
        assert read(host, found).namespace == 1_000_000 + pid
        shutil.rmtree(host.real(f"/proc/{pid}"))
        host.procs(PATH, others)
    assert read(host, found).reason is Absent.NO_PROCESS
    assert found.seen
    assert not [path for path in open_descriptors() if path.startswith(host.top)]


def test_dead_processes_that_are_still_listed_are_passed_over(host: MadeUpHost) -> None:
    host.container(PATH, pids=[5, 6, 7])
    for pid in (5, 6):
        shutil.rmtree(host.real(f"/proc/{pid}"))
    assert read(host, finder(host)).namespace == 1_000_007


def test_a_pid_that_is_anothers_once_opened_is_not_asked(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the listing and /proc/7 the container's process dies and a stranger gets its pid."""
    original = os.open

    def swap(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == host.real("/proc/7"):
            host.procs(PATH, [])
            host.process(7, "/system.slice/stranger.service", rx=666, namespace=66)
        return original(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", swap)
    traffic = read(host, finder(host))
    assert (traffic.rx_bytes, traffic.reason) == (None, Absent.NO_PROCESS)


def test_one_that_leaves_in_its_first_reading_is_noticed(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Process.open_net_dev

    def leave(self: Process) -> int:
        fd = original(self)
        host.procs(PATH, [8])
        host.process(7, "/elsewhere")
        return fd

    host.process(8, PATH, namespace=88)
    monkeypatch.setattr(Process, "open_net_dev", leave)
    assert read(host, finder(host)).namespace == 88


def test_a_process_that_left_later_is_noticed_within_seconds(host: MadeUpHost) -> None:
    host.root.now_ns = 1_000_000_000
    host.container(PATH, pids=[7])
    host.process(8, PATH, namespace=88)
    found = finder(host)
    read(host, found)
    host.procs(PATH, [8])
    host.process(7, "/elsewhere")
    host.root.now_ns += 6_000_000_000
    assert read(host, found).namespace == 88


def test_processes_that_die_in_turn_are_given_up_after_a_few(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.container(PATH, pids=range(10, 40))
    asked: list[int] = []

    def dying(self: Process) -> int:
        asked.append(self.pid)
        raise CgroupGone(self.path)

    monkeypatch.setattr(Process, "open_net_dev", dying)
    assert read(host, finder(host)).reason is Absent.NO_NETWORK  # they are listed still: that is no end
    assert 1 <= len(asked) <= 5 and len(set(asked)) == len(asked)


# -- what cannot be read


@pytest.mark.parametrize("data", ["", "nonsense\n", "\0" * 100])
def test_a_malformed_file_is_said_to_be_so(host: MadeUpHost, data: str) -> None:
    host.write("/proc/7/net/dev", data)
    assert read(host, finder(host)).reason is Absent.MALFORMED
    process = Process(host.root, 7)
    with pytest.raises(ParseError, match=r"/proc/7/net/dev"):
        Namespaces(host.root).read(process)
    process.close()


def test_a_file_that_may_not_be_read_is_said_to_be_so(host: MadeUpHost) -> None:
    top = host.top
    while top != "/":
        if os.stat(top).st_uid == os.geteuid():
            os.chmod(top, os.stat(top).st_mode | 0o055)
        top = os.path.dirname(top)
    os.chmod(host.real("/proc/7/net/dev"), 0)
    with unprivileged():
        assert read(host, finder(host)).reason is Absent.PERMISSION


def test_a_directory_in_the_files_place_is_a_failed_reading(host: MadeUpHost) -> None:
    os.unlink(host.real("/proc/7/net/dev"))
    os.mkdir(host.real("/proc/7/net/dev"))
    assert read(host, finder(host)).reason is Absent.READ_FAILED


@pytest.mark.parametrize("place", ["/proc/7", "net/dev", "cgroup.procs"])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_without_descriptors_left_a_container_is_not_taken_for_empty(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    found = finder(host)
    one_pass = Namespaces(host.root)
    original = os.open

    def none_left(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith(place):
            raise OSError(number, os.strerror(number), path)
        return original(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", none_left)
    with pytest.raises(Exhausted, match=os.strerror(number)):
        found.traffic(one_pass)


# -- descriptors


def kept_open() -> list[str]:
    return [path for path in open_descriptors() if path.endswith("/dev")]


def test_net_dev_is_never_kept_open(host: MadeUpHost) -> None:
    host.container(OTHER, pids=[8])
    host.process(8, OTHER, namespace=1)
    found = [finder(host), finder(host, OTHER)]
    for text in (NET_DEV.format(lo=1, rx=2, tx=3), "nonsense\n"):
        host.write("/proc/7/net/dev", text)
        for each in found:
            read(host, each)
            assert not kept_open()
    for each in found:
        each.close()


def test_net_dev_of_a_live_process_is_not_kept_open_either() -> None:
    process = Process(Root("/"), os.getpid())
    traffic = Namespaces(Root("/")).read(process)
    assert traffic.namespace == os.stat("/proc/self/net/dev").st_ino
    assert not kept_open()
    process.close()


@pytest.mark.parametrize("limit", [0, 1, 2, 100])
def test_descriptors_are_counted_and_given_back_and_without_any_it_works_too(host: MadeUpHost, limit: int) -> None:
    descriptors, kept = Descriptors(limit), DESCRIPTORS if limit == 100 else 0
    before = len(open_descriptors())
    found = finder(host, descriptors=descriptors)
    for _ in range(3):
        assert read(host, found)[:2] == (1000, 2000)
        assert (descriptors.used, len(open_descriptors())) == (kept, before + kept)
    for _ in range(2):
        found.close()
        with pytest.raises(CgroupGone):
            read(host, found)
        assert (descriptors.used, len(open_descriptors())) == (0, before), "closed is closed"


# -- a first thread that has ended, and a process whose network is not to be had


def end_first_thread(host: MadeUpHost, pid: int, *others: int) -> None:
    """As the kernel shows it: /proc/<pid> is there, its net/dev is not; each thread that runs has one."""
    net_dev = host.real(f"/proc/{pid}/net/dev")
    os.makedirs(host.real(f"/proc/{pid}/task/{pid}"), exist_ok=True)
    for tid in others:
        os.makedirs(host.real(f"/proc/{pid}/task/{tid}/net"), exist_ok=True)
        shutil.copy(net_dev, host.real(f"/proc/{pid}/task/{tid}/net/dev"))
        host.root.inodes[f"/proc/{pid}/task/{tid}/net/dev"] = host.root.inodes[f"/proc/{pid}/net/dev"]
    os.unlink(net_dev)


def test_a_process_whose_first_thread_has_ended_is_told_by_another_thread(host: MadeUpHost) -> None:
    found = finder(host)
    assert read(host, found)[:2] == (1000, 2000)
    end_first_thread(host, 7, 70, 71)
    for _ in range(3):
        assert read(host, found)[:4] == (1000, 2000, None, 1_000_007)
    shutil.rmtree(host.real("/proc/7/task/70"))
    shutil.rmtree(host.real("/proc/7/task/71"))
    os.makedirs(host.real("/proc/7/task/72/net"))
    host.write("/proc/7/task/72/net/dev", NET_DEV.format(lo=1, rx=5, tx=6))
    assert read(host, found)[:2] == (5, 6)


def test_where_the_first_process_has_no_network_another_is_asked_or_there_is_none(host: MadeUpHost) -> None:
    host.procs(PATH, [7, 8, 9])
    found = finder(host)
    assert read(host, found)[:2] == (1000, 2000)
    for pid, figures in ((7, (1000, 2000, None)), (8, (1000, 2000, None)), (9, (None, None, Absent.NO_NETWORK))):
        end_first_thread(host, pid)
        assert read(host, found)[:3] == figures
        assert read(host, finder(host))[:3] == figures


def test_more_cgroups_than_are_looked_into_are_no_end_of_it(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_CGROUPS", 5)
    host.container(PATH)
    for n in range(9):
        host.mkdir(f"{PATH}/{n}")
    assert read(host, finder(host))[:3] == (None, None, Absent.TOO_MANY)


# -- a namespace with very many interfaces


def many_interfaces(host: MadeUpHost, pid: int, count: int, rx: int = 10) -> None:
    line = "  veth{n}: {rx} 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n"
    lines = "".join(line.format(n=n, rx=rx) for n in range(count))
    host.write(f"/proc/{pid}/net/dev", NET_DEV.format(lo=5, rx=0, tx=0) + lines)


def test_a_namespace_with_very_many_interfaces_is_read_less_often_and_no_other_one_is(host: MadeUpHost) -> None:
    for pid, path in ((7, PATH), (8, OTHER)):
        host.container(path, pids=[pid])
    many_interfaces(host, 7, 20_000)
    host.root.now_ns = 1_000_000_000
    large, other = finder(host), finder(host, OTHER)
    first = read(host, large)
    assert first[:2] == (200_000, 400_000)
    read(host, other)
    many_interfaces(host, 7, 20_000, rx=11)
    host.process(8, OTHER, rx=7)
    host.root.now_ns += 1_000_000_000
    assert read(host, large) == first  # with the instant at which it was read
    assert read(host, other).rx_bytes == 7
    host.root.now_ns += network._LONGEST_NS
    assert read(host, large)[:2] == (220_000, 400_000)


def test_who_shares_such_a_namespace_has_it_read_no_more(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid, path in ((7, PATH), (8, OTHER)):
        host.container(path, pids=[pid])
        many_interfaces(host, pid, 20_000)
        host.root.inodes[f"/proc/{pid}/net/dev"] = 55
    host.root.now_ns = 1_000_000_000
    parsed = noted(monkeypatch)
    found = [finder(host), finder(host, OTHER)]
    for _ in range(5):
        one_pass = Namespaces(host.root)
        for each in found:
            assert each.traffic(one_pass)[:2] == (200_000, 400_000)
        host.root.now_ns += 100_000_000
    assert len(parsed) == 1


@pytest.mark.parametrize(("nothing", "reason"), [(False, Absent.TOO_LARGE), (True, Absent.MALFORMED)])
def test_a_net_dev_without_end_costs_its_own_figure_and_is_not_read_each_time(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch, nothing: bool, reason: Absent
) -> None:
    monkeypatch.setattr(network, "LIMIT", 64 << 10)
    many_interfaces(host, 7, 2000)
    if nothing:
        with open(host.real("/proc/7/net/dev"), "wb") as file:
            file.truncate(2 << 20)
    host.root.now_ns = 1_000_000_000
    parsed = noted(monkeypatch)
    found = finder(host)
    for _ in range(3):
        assert read(host, found)[:3] == (None, None, reason)
    assert len(parsed) == 1


# -- who else asks the process


def test_the_process_that_is_held_is_asked_by_others_too_until_it_is_gone(host: MadeUpHost) -> None:
    found = finder(host)
    assert read(host, found)[:2] == (1000, 2000)
    asked: list[Process] = []

    def note(process: Process) -> int:
        asked.append(process)
        return process.pid

    def ask() -> int | None:
        return found.ask(note, Namespaces(host.root))

    assert (ask(), ask()) == (7, 7)
    assert asked[0] is asked[1], "it is not opened again"
    host.container(PATH, pids=[8])
    assert ask() is None, "it has moved to another cgroup"
    assert ask() == 8
    found.close()
    assert ask() is None
    found = finder(host, descriptors=Descriptors(0))
    assert ask() is None, "without descriptors to spare none is held for others"


def test_one_that_was_just_listed_is_not_looked_for_again(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    found = finder(host)
    read(host, found)
    monkeypatch.setattr(Process, "stayed", lambda _: pytest.fail("it was listed"))
    assert found.ask(lambda process: process.pid, Namespaces(host.root), [7]) == 7
