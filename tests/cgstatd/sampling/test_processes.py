"""The processes' own memory, where no cgroup counts it: that of a process whose main thread has ended, too."""

from __future__ import annotations

import os
from pathlib import Path

from cgroupfs import Cgroup, Hierarchy, Mount, Root, Version
from cgstatd.host.procfs.pid_status import ProcessMemory
from cgstatd.sampling.processes import ProcessesMemory, processes_memory

KIB = 1024
RUNS = "Name:\tx\nState:\tS (sleeping)\nVmSwap:\t{0} kB\nRssAnon:\t{0} kB\nRssFile:\t{0} kB\nRssShmem:\t{0} kB\n"
ENDED = "Name:\tx\nState:\tZ (zombie)\nThreads:\t2\n"
"""As the kernel writes it: a zombie has no memory, and no lines of it."""


def host(tmp_path: Path, statuses: dict[str, str]) -> tuple[Root, Cgroup]:
    """``statuses``: path below /proc -> the thread's status. The cgroup has all of these processes."""
    for path, text in statuses.items():
        directory = tmp_path / "proc" / path
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "status").write_text(text)
    (tmp_path / "cg/c").mkdir(parents=True)
    pids = sorted({int(path.partition("/")[0]) for path in statuses})
    (tmp_path / "cg/c/cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    mount, root = Mount("/cg", "/", Version.V2, frozenset()), Root(str(tmp_path))
    return root, Cgroup(root, Hierarchy("unified", (), (mount,)), "/c")


def kib(number: int) -> ProcessMemory:
    return ProcessMemory(*([number * KIB] * 4))


def test_a_process_whose_main_thread_has_ended_has_the_memory_that_another_thread_tells(tmp_path: Path) -> None:
    threads = {"7/task/7": ENDED, "7/task/70": ENDED, "7/task/71": RUNS.format(5)}
    assert processes_memory(*host(tmp_path, {"7": ENDED, **threads, "8": RUNS.format(2)})) == ProcessesMemory(
        kib(7), 2, True
    )


def test_a_thread_that_ends_while_it_is_asked_costs_nothing(tmp_path: Path) -> None:
    given = host(tmp_path, {"7": ENDED, "7/task/7": ENDED, "7/task/70": RUNS.format(1), "7/task/71": RUNS.format(5)})
    os.unlink(tmp_path / "proc/7/task/70/status")
    assert processes_memory(*given) == ProcessesMemory(kib(5), 1, True)


def test_a_zombie_without_threads_has_no_memory_and_those_beside_it_have_theirs(tmp_path: Path) -> None:
    statuses = {"7": ENDED, "7/task/7": ENDED, "8": RUNS.format(2)}
    assert processes_memory(*host(tmp_path, statuses)) == ProcessesMemory(kib(2), 2, True)


def test_a_process_that_is_gone_makes_the_figure_a_part(tmp_path: Path) -> None:
    given = host(tmp_path, {"7": RUNS.format(1), "8": RUNS.format(2)})
    os.unlink(tmp_path / "proc/7/status")
    assert processes_memory(*given) == ProcessesMemory(kib(2), 1, False)
    os.unlink(tmp_path / "proc/8/status")
    assert processes_memory(*given) is None
