"""No engine is ever asked: the code names no engine's socket, and a running agent connects to none."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpers import FIXTURES, PROJECT, UNIFIED
from wire import ALL, COMMAND, STREAM, Agent, agent, run

SOCKET = re.compile(
    r"docker\.sock|podman\.sock|containerd\.sock|crio\.sock|dockershim\.sock|DOCKER_HOST|CONTAINER_HOST|/var/run/docker"
)


def sources() -> Iterator[Path]:
    for top in ("agent", "cgroups"):
        yield from Path(f"{PROJECT}/{top}").rglob("*.py")


def test_the_code_names_no_engine_socket() -> None:
    found = [(str(path), match[0]) for path in sources() for match in SOCKET.finditer(path.read_text())]
    assert found == []
    assert len(list(sources())) > 40


def test_the_code_opens_no_connection_of_its_own_and_runs_no_program() -> None:
    """One exception: a look whether somebody still serves the unix socket that the agent is to listen on."""
    word = re.compile(
        r"\.connect(?:_ex)?\(|create_connection|open_connection|open_unix_connection|ClientSession|UnixConnector|urlopen|"
        r"HTTPConnection|\bsubprocess\b|os\.system|os\.exec|os\.spawn|os\.posix_spawn|\bpopen\b"
    )
    found = {
        (path.relative_to(PROJECT).as_posix(), match[0])
        for path in sources()
        for match in word.finditer(path.read_text())
    }
    sqlite = {(path, word) for path, word in found if word == ".connect("}
    assert all("sqlite3.connect(" in Path(f"{PROJECT}/{path}").read_text() for path, _ in sqlite)
    assert found - sqlite == {("agent/cgstatd/service.py", ".connect_ex(")}


def traced(tmp_path: Path) -> tuple[str, ...]:
    """The command under strace, which writes every connect and exec to ``trace``."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    # -D: the agent, not strace, is the process that is started, and gets the signals
    command = (
        strace,
        "-D",
        "-f",
        "--seccomp-bpf",
        "-e",
        "trace=connect,execve",
        "-e",
        "signal=none",
        "-o",
        str(tmp_path / "trace"),
    )
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")
    return (*command, *COMMAND)


def check(tmp_path: Path, process: Agent) -> None:
    """Ends the agent and looks at what it did."""
    process.process.terminate()
    process.end()
    ended = f"{process.process.pid} +++ exited with 0 +++"
    until = time.monotonic() + 10
    while ended not in (trace := re.sub(" +", " ", (tmp_path / "trace").read_text())):
        assert time.monotonic() < until, trace[-1000:]
        time.sleep(0.05)
    lines = trace.splitlines()
    connects = [line for line in lines if "connect(" in line]
    assert [line for line in connects if "AF_UNIX" in line and "/nscd" not in line] == []
    assert [line for line in connects if "AF_INET" in line] == []
    assert len([line for line in lines if "execve(" in line]) == 1  # itself


def load(port: int) -> None:
    """Requests of every documented kind, and for containers that are not there."""

    def ask(target: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    names = ("burn", "pm-burn", "lx1", "nsp", "rl-burn", "exited", "nobody", "0" * 64)
    targets = [ALL, STREAM, "/healthz", *(f"/api/containers/{name}/stats" for name in names)] * 4
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, targets))
    assert statuses.count(200) > len(targets) / 2 and set(statuses) <= {200, 404}


def test_a_recorded_host_is_served_without_a_connection_to_anything(tmp_path: Path) -> None:
    arguments = ("--host-root", f"{FIXTURES}/{UNIFIED}", "--listen", "127.0.0.1:0", "--baseline", "0.2")
    with agent(*arguments, command=traced(tmp_path)) as process:
        load(process.port)
        check(tmp_path, process)


@pytest.mark.host
def test_this_host_is_served_without_a_connection_to_anything(tmp_path: Path) -> None:
    if run("stats", "--interval", "0.1").returncode != 0:
        pytest.skip("this machine has no cgroup file system")
    with agent("--listen", "127.0.0.1:0", "--baseline", "0.2", command=traced(tmp_path)) as process:
        _ask_all(process.port)
        check(tmp_path, process)


def _ask_all(port: int) -> None:
    for target in (ALL, STREAM, "/healthz") * 3:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", target)
            assert connection.getresponse().status == 200
        finally:
            connection.close()
