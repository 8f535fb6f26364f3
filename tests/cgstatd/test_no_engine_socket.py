"""No engine is ever asked: the code names no engine's socket, and a running agent connects to none."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from helpers import PROJECT, UNIFIED
from recordedhosts import recorded_host
from wire import ALL, COMMAND, ENVIRONMENT, STREAM, Agent, agent, run

SOCKET = re.compile(
    r"(?<!/run/cgstatd/)docker\.sock|podman\.sock|containerd\.sock|crio\.sock|dockershim\.sock|DOCKER_HOST|CONTAINER_HOST|/var/run/docker"
)


COMPARES = "agent/cgstatd/doctor/compare_docker.py"


def sources() -> Iterator[Path]:
    for top in ("agent", "cgroups"):
        yield from Path(f"{PROJECT}/{top}").rglob("*.py")


def test_the_code_names_no_engine_socket_but_in_the_one_module_that_compares_when_asked_to() -> None:
    found = {path.relative_to(PROJECT).as_posix() for path in sources() if SOCKET.search(path.read_text())}
    assert found == {COMPARES}
    assert len(list(sources())) > 40
    users = {p.relative_to(PROJECT).as_posix() for p in sources() if "compare_docker import" in p.read_text()}
    assert users == {"agent/cgstatd/doctor/command.py"}


@pytest.mark.parametrize("option", [(), ("--compare-docker", "/no/such/socket")])
def test_the_module_that_compares_is_imported_only_where_that_was_asked_for(option: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom cgstatd.cli.main import main\n"
        f"main({['doctor', '--json', '--host-root', recorded_host(UNIFIED), *option]!r})\n"
        "print('cgstatd.doctor.compare_docker' in sys.modules, 'http.client' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert ran.stdout.splitlines()[-1] == f"{bool(option)} {bool(option)}"


def test_the_code_opens_no_connection_of_its_own_and_runs_no_program() -> None:
    """Exceptions: a look whether somebody still serves the unix socket that the agent is to listen on; ``top``,
    which is an agent's client; the Dockhand server that the settings name, by ws: or wss: alone; the webhook that they
    name, by http: or https: alone, and the doctor's question to the running agent how that goes; the comparison with an
    engine that was asked for; systemctl, when it installs itself."""
    word = re.compile(
        r"\.connect(?:_ex)?\(|create_connection|open_connection|open_unix_connection|ClientSession|UnixConnector|urlopen|"
        r"HTTPConnection|\bsubprocess\b|os\.system|os\.exec|os\.spawn|os\.posix_spawn|\bpopen\b"
    )
    found = {
        (path.relative_to(PROJECT).as_posix(), match[0])
        for path in sources()
        for match in word.finditer(path.read_text())
    }
    sqlite = {(path, word) for path, word in found if word == ".connect("} - {(COMPARES, ".connect(")}
    found.discard((COMPARES, ".connect("))
    assert all("sqlite3.connect(" in Path(f"{PROJECT}/{path}").read_text() for path, _ in sqlite)
    assert found - sqlite == {
        ("agent/cgstatd/service/binding.py", ".connect_ex("),
        ("agent/cgstatd/top/sources.py", "ClientSession"),
        ("agent/cgstatd/dockhand/link.py", "ClientSession"),
        ("agent/cgstatd/notify/delivery.py", "ClientSession"),
        ("agent/cgstatd/doctor/ask_agent.py", "HTTPConnection"),
        (COMPARES, "HTTPConnection"),
        ("agent/cgstatd/install/systemctl.py", "subprocess"),
    }


def traced(tmp_path: Path) -> tuple[str, ...]:
    """The command under strace, which writes every connect and exec to ``trace``."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    # -D: the agent, not strace, is the process that is started, and gets the signals
    options = f"-D -f --seccomp-bpf -e trace=connect,execve -e signal=none -o {tmp_path}/trace"
    command = (strace, *options.split())
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")
    return (*command, *COMMAND)


def check(tmp_path: Path, process: Agent) -> None:
    """Ends the agent and looks at what it did."""
    process.process.terminate()
    process.end()
    ended = f"{process.process.pid} +++ exited with 0 +++"
    while ended not in (trace := re.sub(" +", " ", (tmp_path / "trace").read_text())):
        time.sleep(0.05)
    lines = trace.splitlines()
    connects = [line for line in lines if "connect(" in line]
    assert [line for line in connects if "AF_UNIX" in line and "/nscd" not in line] == []
    assert [line for line in connects if "AF_INET" in line] == []
    assert len([line for line in lines if "execve(" in line]) == 1  # itself


def ask(port: int, target: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", target)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def load(port: int) -> None:
    """Requests of every documented kind, and for containers that are not there."""
    names = ("burn", "pm-burn", "lx1", "nsp", "rl-burn", "exited", "nobody", "0" * 64)
    targets = [ALL, STREAM, *(f"/api/containers/{name}/stats" for name in names)] * 4
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(partial(ask, port), targets))
    statuses += [ask(port, "/healthz") for _ in range(4)]  # alone: a probe is answered after five seconds in any case
    assert statuses.count(200) > len(statuses) / 2 and set(statuses) <= {200, 404}


def test_a_recorded_host_is_served_without_a_connection_to_anything(tmp_path: Path) -> None:
    arguments = ("--host-root", recorded_host(UNIFIED), "--listen", "127.0.0.1:0", "--baseline", "0.2")
    with agent(*arguments, command=traced(tmp_path)) as process:
        load(process.port)
        check(tmp_path, process)


@pytest.mark.host
def test_this_host_is_served_without_a_connection_to_anything(tmp_path: Path) -> None:
    if run("stats", "--interval", "0.1").returncode != 0:
        pytest.skip("this machine has no cgroup file system")
    with agent("--listen", "127.0.0.1:0", "--baseline", "0.2", command=traced(tmp_path)) as process:
        for target in (ALL, STREAM, "/healthz") * 3:
            assert ask(process.port, target) == 200
        check(tmp_path, process)
