"""make run, make demo: start the agent, wait until it serves, say where, stay in the foreground until Ctrl-C.

``run.py PORT [--sort COLUMN] [--recorded FILE] [OPTION...]``; the options are those of ``cgstatd serve``, and the table
is of the host that they name. FILE is a recorded host as one text (fixtures/README.md): it is unpacked, and played as
long as this runs.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))

from cgstatd.cli.main import make_parser
from cgstatd.config import load
from hostarchive import unpack  # below the line above, which says where it is

PROGRAM = os.path.join(os.path.dirname(sys.executable), "cgstatd")


def shown(path: str) -> str:
    """A path as one would type it here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def main(arguments: Sequence[str]) -> int:
    """Take the options apart, and run; the agent's exit code, 0 where it was interrupted."""
    port, *options = arguments
    stats = ["--sort", "name"]
    if options[:1] == ["--sort"]:
        stats, options = options[:2], options[2:]
    for number in (signal.SIGTERM, signal.SIGHUP):  # a script's kill, and the end of the terminal
        signal.signal(number, _interrupt)
    if options[:1] != ["--recorded"]:
        return run(port, stats, options)
    try:
        with tempfile.TemporaryDirectory(prefix="cgstatd-recorded-") as directory:
            host = f"{directory}/host"
            unpack(options[1], host)
            return run(port, stats, ["--host-root", host, *options[2:]])
    except KeyboardInterrupt:
        return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def run(port: str, stats: Sequence[str], options: Sequence[str]) -> int:
    """Serve, show, and stay. What the terminal tells this program, it tells the others: they are not in its session."""
    agent = subprocess.Popen(
        [PROGRAM, "serve", "--listen", f"127.0.0.1:{port}", *options],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        url = _url(agent)
        if url:
            print(flush=True)
            subprocess.run([PROGRAM, "stats", *stats, *_host_of(options)], check=False, start_new_session=True)
            print(_next(url), flush=True)
            _pass_on(agent)
        code = agent.wait()
        if not url and code:
            print("PORT=9800 behind the command takes another port, ARGS=… passes options on", file=sys.stderr)
        return code
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # once is enough
            signal.signal(number, signal.SIG_IGN)
        agent.terminate()
        _pass_on(agent, but="level=info")
        agent.wait()
        return 0


def _host_of(options: Sequence[str]) -> list[str]:
    """Of the agent's settings, whether they came as options or from its configuration, what ``cgstatd stats`` takes."""
    settings = load(make_parser().parse_args(["serve", *options]))
    found = [f"--host-root={settings.host_root}", *(["--services"] if settings.services else [])]
    found += [f"--docker-root={each}" for each in settings.docker_root]
    return found + [f"--podman-root={each}" for each in settings.podman_root]


def _url(agent: subprocess.Popen[str]) -> str:
    """Where it serves, as it says itself: another agent on the port cannot be mistaken for it. Empty: it has ended."""
    assert agent.stderr is not None
    for line in agent.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        found = re.search(r"\bserving (https?://\S+)", line)
        if found:
            return found[1]
    return ""


def _pass_on(agent: subprocess.Popen[str], but: str | None = None) -> None:
    """What it still says; ``but``: not the lines that begin so."""
    assert agent.stderr is not None
    for line in agent.stderr:
        if but is None or not line.startswith(but):
            print(line, end="", file=sys.stderr, flush=True)


def _next(url: str) -> str:
    program = shown(PROGRAM)
    return f"""
The page           {url}/
In a terminal      {program} top --url {url}
As JSON            curl {url}/api/containers/stats

Ctrl-C ends it."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
