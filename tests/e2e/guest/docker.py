"""Docker with either cgroup driver. The tests, never the agent, ask its socket for the figures to compare with."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from agent import UnixConnection
from engine import COMMANDS, SLEEP, Container, Engine, run
from figures import Figures

IMAGE = "e2e/busybox:1"
OPTIONS = {
    "cpu-limited": ["--cpus", "0.5"],
    "memory-limited": ["--memory", "64m"],
    "host-network": ["--network", "host"],
    "no-network": ["--network", "none"],
    "nested": ["--privileged"],
}


def api(path: str, socket: str = "/run/docker.sock") -> Any:
    """A GET of Docker's API, or of what answers like it on another socket."""
    connection = UnixConnection(socket)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = json.loads(response.read())
        assert response.status == 200, (path, body)
        return body
    finally:
        connection.close()


def one_shot(container: str) -> Figures:
    """What ``docker stats`` computes, from the one-shot statistics; Docker's own formulas."""
    stats = api(f"/containers/{container}/stats?stream=false&one-shot=true")
    memory, networks = stats["memory_stats"], (stats.get("networks") or {}).values()
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    usage = memory.get("usage", 0)
    block = {"read": 0, "write": 0}
    for entry in stats["blkio_stats"].get("io_service_bytes_recursive") or ():
        if entry["op"].lower() in block:
            block[entry["op"].lower()] += entry["value"]
    return Figures(
        memory=usage - cache if cache < usage else usage,
        limit=memory.get("limit", 0),
        rx=sum(each["rx_bytes"] for each in networks),
        tx=sum(each["tx_bytes"] for each in networks),
        **block,
        cpu=stats["cpu_stats"]["cpu_usage"]["total_usage"],
        clock=_nanoseconds(stats["read"]),
        ticks=stats["cpu_stats"].get("system_cpu_usage", 0),
    )


def _nanoseconds(stamp: str) -> int:
    """Of ``2026-11-25T14:48:21.123456789Z``, when Docker took the reading: the answer comes some time later."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)


class Docker(Engine):
    """One dockerd, anew for each driver."""

    def __init__(self, driver: str, data_root: str = "") -> None:
        self.name = f"Docker, {driver} driver"
        self._configuration: dict[str, Any] = {"exec-opts": [f"native.cgroupdriver={driver}"]}
        if data_root:
            self._configuration["data-root"] = data_root

    def start(self) -> None:
        Path("/etc/docker").mkdir(exist_ok=True)
        Path("/etc/docker/daemon.json").write_text(json.dumps(self._configuration))
        run("systemctl", "restart", "docker.service")
        run("docker", "import", "--change", 'CMD ["sh"]', "/opt/busybox.tar", IMAGE)
        for network in ("e2e-one", "e2e-two"):
            run("docker", "network", "create", network, check=False)

    def stop(self) -> None:
        ids = run("docker", "ps", "-aq").split()
        if ids:
            run("docker", "rm", "-f", *ids)
        run("systemctl", "stop", "docker.socket", "docker.service", "containerd.service")
        if os.path.exists("/etc/docker/daemon.json"):
            os.unlink("/etc/docker/daemon.json")

    def create(self, name: str, *options: str, command: str = SLEEP) -> str:
        """Run a container; its id."""
        return run("docker", "run", "-d", "--name", name, *options, IMAGE, "sh", "-c", command)

    def make(self, shape: str) -> Container:
        self.check(shape)
        name, options = f"d-{shape}", list(OPTIONS.get(shape, ()))
        command = COMMANDS.get(shape, SLEEP)
        if shape == "two-networks":
            options = ["--network", "e2e-one", "--network", "e2e-two"]
        if shape == "shared-network":
            options = ["--network", "container:d-two-networks"]
        container = Container(shape, self.create(name, *options, command=command), name)
        if shape == "paused":
            run("docker", "pause", name)
        elif shape == "stopped":
            run("docker", "kill", name)
        elif shape == "restarted":
            run("docker", "rm", "-f", name)
            container.id = self.create(name, command=command)
        return container

    def figures(self, container: Container) -> Figures:
        return one_shot(container.id)
