"""What ``make run`` starts: it says where the agent is, and ends with it, however it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
import pytest

from helpers import PROJECT, UNIFIED
from recordedhosts import recorded_host
from wire import ENVIRONMENT

FROM_A_TERMINAL = ()
IN_A_SCRIPTS_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""`make run &` in a script: such a shell starts it with SIGINT ignored."""


@contextmanager
def running(prefix: tuple[str, ...], *options: str) -> Iterator[subprocess.Popen[str]]:
    """It, in a session of its own, as in a terminal."""
    host = ("--host-root", recorded_host(UNIFIED))
    process = subprocess.Popen(
        [*prefix, sys.executable, str(Path(PROJECT, "tools/make/run.py")), "0", *host, *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, encoding="utf-8", start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        for each in psutil.Process(process.pid).children() if process.poll() is None else ():
            each.kill()
        process.kill()
        process.communicate()


def until(output: IO[str] | None, words: str) -> list[str]:
    """The lines until one has these words, or all."""
    assert output is not None
    found = []
    for line in output:
        found.append(line)
        if words in line:
            break
    return found


@pytest.mark.parametrize(
    ("prefix", "number"),
    [
        (FROM_A_TERMINAL, signal.SIGINT),
        (FROM_A_TERMINAL, signal.SIGTERM),
        (FROM_A_TERMINAL, signal.SIGHUP),
        (IN_A_SCRIPTS_BACKGROUND, signal.SIGTERM),
    ],
    ids=["Ctrl-C", "SIGTERM", "the terminal is gone", "SIGTERM in a script"],
)
def test_it_says_where_the_agent_is_and_ends_quietly_with_it(prefix: tuple[str, ...], number: signal.Signals) -> None:
    with running(prefix) as process:
        printed = until(process.stdout, "Ctrl-C")
        assert any(line.startswith("The page           http://127.0.0.1:") for line in printed)
        [agent] = psutil.Process(process.pid).children()
        os.killpg(process.pid, number)  # as a terminal does: all that runs in it
        out, err = process.communicate()
        assert (process.returncode, out) == (0, "")
        assert [line for line in err.splitlines() if "serving" not in line] == []
        psutil.wait_procs([agent])


def test_the_table_is_of_the_host_that_the_agent_serves_whatever_else_it_is_told(tmp_path: Path) -> None:
    """The README's ``make run ARGS="--docker-socket …"`` printed the usage of ``cgstatd stats`` in its place."""
    config = tmp_path / "config.toml"
    config.write_text(f'docker_socket = "{tmp_path}/s"\nservices = true\n')
    with running(FROM_A_TERMINAL, "--env-id", "7", "--config", str(config)) as process:
        printed = until(process.stdout, "Ctrl-C")
        heads = [number for number, line in enumerate(printed) if line.startswith("CONTAINER ID")]
        assert len(heads) == 1 and len(printed[heads[0] :]) > 20
        assert any("systemd" in line for line in printed)
        os.killpg(process.pid, signal.SIGTERM)
        _, err = process.communicate()
        assert [line for line in err.splitlines() if "serving" not in line] == []


def test_ctrl_c_while_the_table_is_made_is_quiet() -> None:
    with running(FROM_A_TERMINAL) as process:
        until(process.stderr, "serving")
        while len(found := psutil.Process(process.pid).children()) < 2:
            pass
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate()
        assert (process.returncode, err) == (0, "") and "Ctrl-C" not in out
        psutil.wait_procs(found)
