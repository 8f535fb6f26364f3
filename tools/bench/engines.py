"""What the others cost here: Docker (its API and docker stats) and Podman, on containers of theirs.

The CPU time of every process that takes part counts: the command line, the daemon, containerd and the shims of the
containers. What these use without clients is measured first and shown subtracted, too: the fairer figure for them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from measure import Series, cpu_nsec

BURN_SECONDS = 5


def children_ns() -> int:
    """CPU time of the commands that were run and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def measured(name: str, pids: list[int], count: int, rounds: int, ask: Callable[[], object]) -> Iterator[Series]:
    """The subject's cost; where processes of it stay, the same less their idle burn, too."""
    began, burn = time.monotonic(), cpu_nsec(pids)
    time.sleep(BURN_SECONDS if pids else 0.1)
    burn_rate = (cpu_nsec(pids) - burn) / (time.monotonic() - began)
    whole, net = Series(name), Series(f"{name}, less idle burn")
    for _ in range(rounds):
        cpu, wall = cpu_nsec(pids) + children_ns(), time.perf_counter_ns()
        ask()
        wall = time.perf_counter_ns() - wall
        spent = cpu_nsec(pids) + children_ns() - cpu
        whole.add(spent, wall, count)
        net.add(max(0.0, spent - burn_rate * wall / 1e9), wall, count)
    yield whole
    if pids:
        yield net


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def docker_get(sock: str, path: str) -> Any:
    """An answer of Docker's API."""
    with contextlib.closing(_Unix(sock)) as connection:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


def docker_socket() -> str | None:
    """Where a dockerd answers: DOCKER_HOST or the usual place."""
    given = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
    for path in (given, "/run/docker.sock", "/var/run/docker.sock"):
        with contextlib.suppress(OSError, ValueError):
            if path and docker_get(path, "/version"):
                return path
    return None


def _processes() -> Iterator[tuple[int, int, str, str]]:
    """(pid, parent, name, command line) of every process."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cmdline") as cmdline:
                head, _, rest = stat.read().rpartition(")")
                line = cmdline.read()
        except OSError:  # it has ended
            continue
        yield int(pid), int(rest.split()[1]), head.partition("(")[2], line


def docker_pids(sock: str, ids: list[str]) -> list[int]:
    """The dockerd behind a socket, its containerd and the shims of these containers; not those of another dockerd."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(sock)
        peer = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    everything = list(_processes())
    # a socket that systemd opened says pid 1
    daemons = [peer] if peer > 1 else [pid for pid, _, name, _ in everything if name == "dockerd"]
    own = [pid for pid, parent, name, _ in everything if name == "containerd" and parent in daemons]
    system = [pid for pid, _, name, _ in everything if name == "containerd"]
    wanted = set(ids)
    shims = [
        pid for pid, _, name, line in everything
        if name.startswith("containerd-shim") and wanted.intersection(line.split("\0"))
    ]  # fmt: skip
    return [*daemons, *(own or system), *shims]


def docker_client() -> str | None:
    """Docker's command line. Debian's first: a wrapper of another name may stand before it on PATH."""
    places = ["/usr/bin", *os.environ.get("PATH", "").split(":")]
    return next((f"{place}/docker" for place in places if os.access(f"{place}/docker", os.X_OK)), None)


def docker(sock: str, ids: list[str], rounds: int) -> Iterator[Series]:
    """The API's one-shot statistics of every container in turn, and ``docker stats``."""
    pids = docker_pids(sock, ids)

    def one_shot() -> None:
        for each in ids:
            docker_get(sock, f"/containers/{each}/stats?stream=false&one-shot=true")

    yield from measured("Docker API one-shot", pids, len(ids), rounds, one_shot)
    client = docker_client()
    if client:
        command = [client, "-H", f"unix://{sock}", "stats", "--no-stream"]
        yield from measured("docker stats", pids, len(ids), max(2, rounds // 3), lambda: subprocess.run(
            command, check=True, capture_output=True))  # fmt: skip


def podman(cli: list[str], ids: list[str], rounds: int) -> Iterator[Series]:
    """``podman stats``: there is no daemon, the command line does it all."""
    command = [*cli, "stats", "--no-stream"]
    environment = {**os.environ, "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
    yield from measured("podman stats", [], len(ids), max(2, rounds // 3), lambda: subprocess.run(
        command, check=True, capture_output=True, env=environment))  # fmt: skip
