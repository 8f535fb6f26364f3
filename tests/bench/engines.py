"""What the others cost here: Docker (CLI and API) and Podman, where containers of theirs are running.

The engines' own idle burn (shims, health checks) is measured beside it and subtracted; both are shown.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

from measure import Series, cpu_nsec

DOCKER = ("dockerd", "containerd", "containerd-shim")
SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")


def _processes(names: tuple[str, ...]) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip().startswith(names):
                    found.append(int(pid))
        except OSError:
            continue
    return found


def _children_ns() -> int:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def _measured(name: str, pids: list[int], count: int, rounds: int, ask: Callable[[], object]) -> Iterator[Series]:
    """The subject's cost with the engine's processes and its command line's, and the same less the idle burn."""
    burn_began, burn = time.monotonic(), cpu_nsec(pids)
    time.sleep(5)
    burn_rate = (cpu_nsec(pids) - burn) / (time.monotonic() - burn_began)
    whole, net = Series(name), Series(f"{name}, less idle burn")
    for _ in range(rounds):
        cpu, wall = cpu_nsec(pids) + _children_ns(), time.perf_counter_ns()
        ask()
        wall = time.perf_counter_ns() - wall
        spent = cpu_nsec(pids) + _children_ns() - cpu
        whole.add(spent, wall, count)
        net.add(max(0.0, spent - burn_rate * wall / 1e9), wall, count)
    yield whole
    yield net


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def _get(sock: str, path: str) -> object:
    connection = _Unix(sock)
    connection.request("GET", path)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def _docker(rounds: int) -> Iterator[Series]:
    host = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
    sock = next((path for path in (host, *SOCKETS) if path and os.path.exists(path)), None)
    if sock is None:
        return
    listing = _get(sock, "/containers/json")
    ids = [each["Id"] for each in listing] if isinstance(listing, list) else []
    if not ids:
        return
    pids = _processes(DOCKER)

    def one_shot() -> None:
        for each in ids:
            _get(sock, f"/containers/{each}/stats?stream=false&one-shot=true")

    yield from _measured(f"Docker API one-shot ({len(ids)})", pids, len(ids), rounds, one_shot)
    client = next((path for path in ("/usr/bin/docker", shutil.which("docker")) if path and os.path.exists(path)), None)
    if client:
        command = [client, "-H", f"unix://{sock}", "stats", "--no-stream"]
        yield from _measured(f"docker stats ({len(ids)})", pids, len(ids), max(3, rounds // 3), lambda: subprocess.run(
            command, check=True, capture_output=True))  # fmt: skip


def _podman(rounds: int) -> Iterator[Series]:
    if not shutil.which("podman"):
        return
    environment = {**os.environ, "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}

    def run(*arguments: str) -> str:
        return subprocess.run(
            ["podman", *arguments], check=False, capture_output=True, text=True, env=environment
        ).stdout

    count = len(run("ps", "-q").split())
    if count:
        yield from _measured(f"podman stats ({count})", [], count, max(3, rounds // 3), lambda: run(
            "stats", "--no-stream"))  # fmt: skip


def engine_series(rounds: int) -> list[Series]:
    """Every engine that is here and has containers running. cAdvisor: see the README (no package to install)."""
    return [*_docker(rounds), *_podman(rounds)]
