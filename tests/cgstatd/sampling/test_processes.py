"""The processes' own memory, where no cgroup counts it: that of a process whose main thread has ended, too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("statuses", "gone", "memory", "processes"),
    [
        pytest.param({"7/task/70": ENDED, "7/task/71": RUNS.format(5), "8": RUNS.format(2)}, "", 7, 2,
                     id="another thread tells the memory"),
        pytest.param({"7/task/70": RUNS.format(1), "7/task/71": RUNS.format(5)}, "7/task/70", 5, 1,
                     id="a thread that ends while it is asked costs nothing"),
        pytest.param({"8": RUNS.format(2)}, "", 2, 2, id="a zombie without threads has none, those beside it theirs"),
    ],
)  # fmt: skip
def test_of_a_process_whose_main_thread_has_ended(
    tmp_path: Path, statuses: dict[str, str], gone: str, memory: int, processes: int
) -> None:
    given = host(tmp_path, {"7": ENDED, "7/task/7": ENDED, **statuses})
    if gone:
        os.unlink(tmp_path / f"proc/{gone}/status")
    assert processes_memory(*given) == ProcessesMemory(kib(memory), processes, True)


def test_a_process_that_is_gone_makes_the_figure_a_part(tmp_path: Path) -> None:
    given = host(tmp_path, {"7": RUNS.format(1), "8": RUNS.format(2)})
    os.unlink(tmp_path / "proc/7/status")
    assert processes_memory(*given) == ProcessesMemory(kib(2), 1, False)
    os.unlink(tmp_path / "proc/8/status")
    assert processes_memory(*given) is None
