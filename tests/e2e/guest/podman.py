"""Podman: rootful, rootless and a pod. ``podman stats`` shows anonymous memory alone: memory is the kernel's files'."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from engine import COMMANDS, SLEEP, Container, Engine, run
from figures import Figures, kernel_figures

IMAGE = "localhost/e2e/busybox:1"
OPTIONS = {
    "cpu-limited": ["--cpus", "0.5"],
    "memory-limited": ["--memory", "64m"],
    "host-network": ["--network", "host"],
    "no-network": ["--network", "none"],
    "two-networks": ["--network", "e2e-one", "--network", "e2e-two"],
    "nested": ["--privileged"],
}
_QUIET = {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}


class Podman(Engine):
    """Podman as root."""

    name = "Podman, rootful"
    prefix = "p"
    networks = True

    def podman(self, *arguments: str, check: bool = True) -> str:
        """Run podman."""
        return run("podman", *arguments, check=check, environment=_QUIET)

    def start(self) -> None:
        self.podman("import", "/opt/busybox.tar", IMAGE)
        for network in ("e2e-one", "e2e-two") if self.networks else ():
            self.podman("network", "create", network, check=False)

    def stop(self) -> None:
        self.podman("rm", "-f", "-a", "-t", "0", check=False)

    def create(self, name: str, *options: str, command: str = SLEEP) -> str:
        """Run a container; its id."""
        return self.podman("run", "-d", "--name", name, *options, IMAGE, "sh", "-c", command).splitlines()[-1]

    def options(self, shape: str) -> list[str]:
        """What makes a container of a shape."""
        if shape == "shared-network":
            return ["--network", f"container:{self.prefix}-two-networks"]
        return list(OPTIONS.get(shape, ()))

    def make(self, shape: str) -> Container:
        self.check(shape)
        name, command = f"{self.prefix}-{shape}", COMMANDS.get(shape, SLEEP)
        container = Container(shape, self.create(name, *self.options(shape), command=command), name)
        if shape == "paused":
            self.podman("pause", name)
        elif shape == "stopped":
            self.podman("kill", name)
            self.podman("wait", name)
        elif shape == "restarted":
            self.podman("rm", "-f", "-t", "0", name)
            container.id = self.create(name, command=command)
        return container

    def figures(self, container: Container) -> Figures:
        if not container.extra:
            shown = self.podman("inspect", "--format", "{{.State.CgroupPath}} {{.State.Pid}}", container.id)
            container.extra["cgroup"], container.extra["pid"] = shown.split()
        kernel = kernel_figures(container.extra["cgroup"], int(container.extra["pid"]))
        if container.shape == "paused":  # it refuses
            return kernel
        shown = self.podman("stats", "--no-stream", "--format", "{{json .ContainerStats}}", container.id)
        stats: dict[str, Any] = json.loads(shown)
        networks = (stats.get("Network") or {}).values()
        return replace(
            kernel,
            limit=stats["MemLimit"],
            rx=sum(each["RxBytes"] for each in networks),
            tx=sum(each["TxBytes"] for each in networks),
            read=stats["BlockInput"],
            write=stats["BlockOutput"],
            cpu=stats["CPUNano"],
            clock=stats["SystemNano"],
        )


class Pod(Podman):
    """Containers in one pod: they share its network."""

    name = "Podman, pod"
    prefix = "q"
    networks = False
    without: ClassVar[Mapping[str, str]] = {
        "host-network": "the network is the pod's",
        "no-network": "the network is the pod's",
        "two-networks": "the network is the pod's",
    }

    def start(self) -> None:
        super().start()
        self.podman("pod", "create", "--name", "e2e-pod", "--network", "bridge")

    def stop(self) -> None:
        self.podman("pod", "rm", "-f", "-a", "-t", "0", check=False)

    def options(self, shape: str) -> list[str]:
        return ["--pod", "e2e-pod", *OPTIONS.get(shape, ())]


class Rootless(Podman):
    """Podman of a user with a lingering session."""

    name = "Podman, rootless"
    prefix = "r"
    agent_drop_in = "rootless.conf"
    counts_block = False  # the io controller is not delegated to users
    unavailable: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("v1", "hybrid"),
        "without cgroup v2 a rootless container has no cgroup of its own, and podman stats refuses too",
    )

    def podman(self, *arguments: str, check: bool = True) -> str:
        home = ("HOME=/home/rooty", "USER=rooty", f"PATH={os.environ['PATH']}", "XDG_RUNTIME_DIR=/run/user/1000")
        bus = "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus"
        become = ("setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "env", "-i", *home, bus)
        return run(*become, "sh", "-c", 'cd; exec podman "$@"', "podman", *arguments, check=check)

    def start(self) -> None:
        run("modprobe", "-q", "tun", check=False)
        super().start()
