"""What cannot be written is one sentence and an exit code, never a traceback; a reader that leaves is no error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from forked import Forked
from helpers import UNIFIED, tree
from recordedhosts import recorded_host
from wire import COMMAND, ENVIRONMENT

HOST = ("--host-root", recorded_host(UNIFIED))
COMMANDS = [
    ("--help",),
    ("--version",),
    ("serve", "--help"),
    ("stats", *HOST),
    ("stats", *HOST, "--format", "json"),
    ("stats", *HOST, "--watch", "--interval", "0.1"),
    ("doctor", *HOST),
    ("doctor", *HOST, "--json"),
    ("config", "--example"),
    ("config", "--check", "{good}"),
    ("token", "--tokens", "{tokens}", "list"),
    ("install", "--dry-run"),
    ("uninstall", "--dry-run"),
    ("record", "--host-root", tree(UNIFIED, "t1"), "--interval", "0.1", "{new}"),
]
FULL = "cgstatd: standard output: No space left on device"


@pytest.fixture(params=COMMANDS, ids=" ".join)
def command(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Every command that prints, with files of the test in its place."""
    (tmp_path / "good.toml").write_text("env_id = 1\n")
    (tmp_path / "tokens.json").write_text('{"tokens": []}')
    (tmp_path / "tokens.json").chmod(0o600)
    places = {"good": f"{tmp_path}/good.toml", "tokens": f"{tmp_path}/tokens.json", "new": f"{tmp_path}/new"}
    return [word.format(**places) for word in request.param]


def test_a_full_disk_is_one_sentence_and_no_success(command: list[str]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        ran = Forked(command, ENVIRONMENT, full)
    _, err = ran.communicate()
    assert ran.wait() == 2
    assert err.splitlines()[-1].startswith("cgstatd: ") and "Traceback" not in err
    if "install" not in " ".join(command):  # where it cannot be installed from, that is said instead
        assert err.splitlines()[-1] == FULL


def test_a_reader_that_left_is_no_error(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as left:
        ran = Forked(command, ENVIRONMENT, left)
    _, err = ran.communicate()
    assert "Traceback" not in err and "Exception" not in err
    assert ran.wait() in ((0, 2) if "install" in " ".join(command) else (0, 1))


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>&1"])
def test_a_closed_or_full_stream_is_no_traceback(closed: str) -> None:
    line = f'"$@" {closed}; echo "ended with $?" >&3'
    script = ["sh", "-c", f"exec 3>&1; {line}", "sh", *COMMAND, "stats", *HOST, "nobody"]
    ran = subprocess.run(script, capture_output=True, env=ENVIRONMENT, text=True, check=False)
    assert "Traceback" not in ran.stdout + ran.stderr
    code = int(ran.stdout.rpartition("ended with ")[2])
    assert code == (2 if "full" in closed else 1)


def test_interrupting_at_any_time_is_quiet() -> None:
    """Played: the interrupt comes while the command works."""
    code = "from cgstatd.cli import main as cli; cli._COMMANDS['stats'] = lambda _: signal.raise_signal(signal.SIGINT)"
    ran = subprocess.run(
        [sys.executable, "-c", f"import signal, sys; {code}; sys.exit(cli.main(['stats']))"],
        capture_output=True,
        env=ENVIRONMENT,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")
