"""How a process ended, from its pidfd."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cgstatd.host.pidfd import exit_code


def ended(program: str) -> int | None:
    """What the kernel says after a process was waited for; None: an older kernel."""
    with subprocess.Popen([sys.executable, "-S", "-c", f"input(); {program}"], stdin=subprocess.PIPE) as process:
        fd = os.pidfd_open(process.pid)
        try:
            assert exit_code(fd) is None  # it lives
            process.communicate(b"\n")
            return exit_code(fd)
        finally:
            os.close(fd)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os; os._exit(3)", 3),
        ("pass", 0),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ],
)
def test_the_code_is_as_engines_show_it(program: str, code: int) -> None:
    if (found := ended(program)) is None:
        pytest.skip("this kernel does not keep how a process ended (before Linux 6.15)")
    assert found == code


def test_what_is_no_pidfd_says_nothing() -> None:
    with open(os.devnull, "rb") as file:
        assert exit_code(file.fileno()) is None
