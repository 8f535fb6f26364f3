"""cgstatd top in a real terminal of 80x24, which tmux plays; on a recorded host and on an agent."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import UNIFIED
from recordedhosts import recorded_host
from wire import COMMAND, ENVIRONMENT, agent

RECORDED = ("--host-root", recorded_host(UNIFIED))
pytestmark = [
    pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux: apt install tmux"),
    pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="no rich: pip install 'cgstatd[top]'"),
]


class Terminal:
    """A tmux of its own with one pane."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux")

    def tmux(self, *arguments: str) -> str:
        ran = subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            encoding="utf-8",
            env=ENVIRONMENT | {"TERM": "xterm-256color"},
            check=False,
        )
        return ran.stdout

    def start(self, *arguments: str, width: int = 80, height: int = 24, **environment: str) -> None:
        """``cgstatd top``; afterwards its exit code and how it left the terminal."""
        settings = " ".join(f"{key}={shlex.quote(value)}" for key, value in (ENVIRONMENT | environment).items())
        command = f"env {settings} {shlex.join([*COMMAND, 'top', *arguments])}"
        after = 'echo "left with $?"; stty -a | grep -qw -- "-icanon" && echo raw || echo cooked; sleep 60'
        # Ctrl-C is the program's: dash would end with it. A trap, unlike what is ignored, is not inherited.
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), f"trap : INT; {command}; {after}")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    @property
    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def until(self, *texts: str) -> str:
        """Wait until all the texts are on the screen; a minute, which only a hang reaches."""
        ends = time.monotonic() + 60
        while not all(text in (screen := self.screen) for text in texts):
            assert time.monotonic() < ends, f"no {texts} in\n{screen}"
            time.sleep(0.1)
        return screen

    def leaves(self, key: str) -> str:
        """The screen once the program has left the terminal as it was."""
        self.press(key)
        return self.until("left with 0", "cooked")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal; whatever runs in it ends with it."""
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.tmux("kill-server")


def test_live_sorted_filtered_with_detail_and_left_clean(terminal: Terminal) -> None:
    terminal.start(*RECORDED)
    lines = [""] * 3
    while not lines[2].startswith("burn"):  # which uses the most, once there were two readings of each
        lines = terminal.until("▼CPU %", "burn", "22 containers").rstrip("\n").split("\n")
        assert len(lines) == 24 and max(map(len, lines)) <= 80
    assert "q quit" in lines[-1]
    while not re.search(r"  cpu \d\.\d\d of \d  mem ", terminal.until("  cpu ").split("\n")[0]):
        time.sleep(0.1)  # until the host was read twice
    terminal.until("██")  # a line of several rounds
    terminal.press("n")
    assert terminal.until("NAME ▲").split("\n")[2].startswith("12258646e256-in")
    terminal.press("r")
    assert terminal.until("NAME ▼").split("\n")[2].startswith("web")
    terminal.press("/", "p", "m", "-", "b")
    terminal.until("1 of 22 containers", "/pm-b_")
    terminal.press("Enter", "Enter")
    terminal.until("Limits", "of 0.25 cores", "cgroup")
    terminal.press("End")
    terminal.until("Disk, since it started")
    terminal.press("Escape")
    terminal.until("1 of 22 containers")
    assert "burn" not in terminal.leaves("q")


def test_the_keys_are_shown_in_table_and_detail_and_go_at_the_next_key(terminal: Terminal) -> None:
    terminal.start(*RECORDED)
    terminal.until("burn", "? keys")
    terminal.press("?")
    screen = terminal.until("Containers", "sort: name, CPU, memory", "Anywhere", "Ctrl-C", "any other key")
    lines = screen.rstrip("\n").split("\n")
    assert len(lines) == 24 and max(map(len, lines)) <= 80
    terminal.press("x")
    terminal.until("CPU %", "burn")
    terminal.press("Enter")
    terminal.until("Limits")
    terminal.press("?")
    terminal.until("Anywhere")
    terminal.press("Escape")  # back to where it was, no further
    terminal.until("Limits")
    terminal.press("Escape")
    terminal.until("CPU %")
    terminal.press("/", "?")
    terminal.until("/?_")  # in a filter it is a character
    terminal.press("Escape")
    terminal.tmux("resize-window", "-x", "30", "-y", "6")
    terminal.press("?")
    terminal.until("any other key")
    terminal.leaves("q")


def test_ctrl_c_leaves_clean(terminal: Terminal) -> None:
    terminal.start(*RECORDED)
    terminal.until("22 containers")
    terminal.leaves("C-c")


def test_a_terminal_without_unicode_and_one_that_changes_its_size(terminal: Terminal) -> None:
    terminal.start(*RECORDED, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    terminal.until("CPU %", "@@")
    terminal.tmux("resize-window", "-x", "120", "-y", "12")
    terminal.until("LIMIT")
    assert len(terminal.screen.rstrip("\n").split("\n")) == 12
    terminal.tmux("resize-window", "-x", "30", "-y", "5")
    time.sleep(0.5)
    terminal.leaves("q")


def test_of_an_agent_that_goes_and_comes_back(terminal: Terminal) -> None:
    with agent("--listen", "127.0.0.1:0", *RECORDED) as first:
        port = first.port
        terminal.start("--url", f"http://127.0.0.1:{port}")
        terminal.until("22 containers", "burn")
        terminal.press("Enter")
        terminal.until("Limits")
        terminal.press("Escape")
        first.process.terminate()
        first.end()
        assert "burn" in terminal.until("agent gone")
    with agent("--listen", f"127.0.0.1:{port}", *RECORDED):
        while "agent gone" in terminal.screen:
            time.sleep(0.1)
        terminal.until("22 containers")
    terminal.leaves("q")


def test_nothing_at_that_address_is_said_and_can_be_left(terminal: Terminal) -> None:
    terminal.start("--url", "http://127.0.0.1:1")
    terminal.until("no agent", "the agent does not answer")
    terminal.leaves("q")


def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'rich' else find(name, *more)\n"
        "sys.modules['rich'] = None\n"
        "from cgstatd.cli.main import main; sys.exit(main(['top']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, encoding="utf-8", check=False, cwd=tmp_path
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"cgstatd top needs rich: {sys.prefix}/bin/pip install rich\n"
