"""Which of a container's processes is its first."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgroupfs import Root
from cgstatd.host.first_process import MOST, First, first_process
from helpers import write_files


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(str(tmp_path))


def process(root: Root, pid: int, namespaces: str = "", start: int = 100, name: str = "sh") -> int:
    stat = f"{pid} ({name}) S 1 {'0 ' * 17}{start} 0\n"
    status = f"Name:\t{name}\nState:\tS (sleeping)\nNSpid:\t{pid}{namespaces}\n"
    write_files(root.join("/"), {f"proc/{pid}/stat": stat, f"proc/{pid}/status": status})
    return pid


def test_the_runtimes_word_counts(root: Root) -> None:
    assert first_process(root, [7, 9], 9) == First(9, True)  # no file of /proc is read


def test_else_the_one_that_is_1_in_a_namespace_of_its_own_whatever_is_older(root: Root) -> None:
    pids = [process(root, 30, "\t12", start=1), process(root, 40, "\t1", start=200), process(root, 50, "\t7", start=5)]
    assert first_process(root, pids, None) == First(40, True)
    assert first_process(root, pids, 99) == First(40, True)  # the runtime's word is about another life


def test_of_two_such_namespaces_the_outer_one_counts(root: Root) -> None:
    pids = [process(root, 30, "\t12\t1", start=1), process(root, 40, "\t1", start=200)]
    assert first_process(root, pids, None) == First(40, True)


def test_without_a_namespace_it_is_the_oldest_which_is_not_certain(root: Root) -> None:
    pids = [process(root, 30, start=300), process(root, 40, start=200), process(root, 50, start=200)]
    assert first_process(root, pids, None) == First(40, False)
    assert first_process(root, [process(root, 60, "\t9")], None) == First(60, False)  # another container's namespace


def test_pid_1_of_the_host_is_no_first_process_of_a_namespace(root: Root) -> None:
    assert first_process(root, [process(root, 1), process(root, 2, start=1)], None) == First(2, False)


def test_processes_that_ended_meanwhile_do_not_count(root: Root) -> None:
    assert first_process(root, [5, 6], None) is None
    assert first_process(root, [], None) is None
    assert first_process(root, [5, process(root, 6)], None) == First(6, False)


def test_a_name_cannot_claim_a_namespace(root: Root) -> None:
    """The kernel writes a newline of the name as two characters."""
    pids = [process(root, 30, start=1), process(root, 40, name="x\\nNSpid:\\t40\\t1", start=2)]
    assert first_process(root, pids, None) == First(30, False)


def test_of_more_processes_than_are_looked_at_the_oldest_is_not_known(root: Root) -> None:
    pids = [process(root, 1000 + number) for number in range(MOST)]
    assert first_process(root, pids, None) is None
    pids[-1] = process(root, 9000, "\t1")
    assert first_process(root, pids, None) == First(9000, True)
