"""How a process ended, from its pidfd."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cgstatd.host.pidfd import Exit, Untold, how_ended


@pytest.mark.parametrize(
    ("program", "code", "signal"),
    [
        ("import os; os._exit(3)", 3, None),
        ("pass", 0, None),
        ("import os; os._exit(137)", 137, None),
        ("import os; os.kill(os.getpid(), 9)", 137, 9),
        ("import os; os.kill(os.getpid(), 15)", 143, 15),
    ],
)
def test_the_code_is_as_engines_show_it_and_the_signal_as_the_kernel_says(
    program: str, code: int, signal: int | None
) -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", f"input(); {program}"], stdin=subprocess.PIPE) as process:
        fd = os.pidfd_open(process.pid)
        try:
            assert isinstance(how_ended(fd), Untold), "it lives"
            process.communicate(b"\n")
            found = how_ended(fd)
        finally:
            os.close(fd)
    if found is Untold.NEVER:
        pytest.skip("this kernel does not keep how a process ended (before Linux 6.15)")
    assert found == Exit(code, signal)


def test_what_is_no_pidfd_says_nothing() -> None:
    with open(os.devnull, "rb") as file:
        assert how_ended(file.fileno()) is Untold.NEVER


def test_a_process_that_was_not_waited_for_is_told_later() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "pass"]) as process:
        fd = os.pidfd_open(process.pid)
        try:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still there for its parent
            before = how_ended(fd)
            process.wait()
            after = how_ended(fd)
        finally:
            os.close(fd)
    assert (before, after) in ((Untold.NOT_YET, Exit(0, None)), (Untold.NEVER,) * 2, (Untold.NOT_YET, Untold.NEVER))
