"""Engines without a daemon of their own that take an OCI bundle or a directory: containerd's ctr, runc, crun.

They keep no statistics to compare with in one place, so the kernel's files are read instead, by the path given to them.
Their containers get ids of 64 hex digits, as every front end gives them: a cgroup named ``web`` could be anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from engine import COMMANDS, SLEEP, Container, Engine, container_root, hex_id, network_namespace, run
from figures import Figures, kernel_figures


class Ctr(Engine):
    """containerd through ctr, which Debian ships with it (nerdctl is not in Debian)."""

    name = "containerd (ctr)"
    skips_disk = True  # it keeps them in a database of its own

    def start(self) -> None:
        run("systemctl", "start", "containerd.service")
        container_root()

    def stop(self) -> None:
        for line in run("ctr", "container", "ls", "-q").splitlines():
            run("ctr", "task", "kill", "-s", "SIGKILL", line, check=False)
            run("ctr", "task", "rm", "-f", line, check=False)
            run("ctr", "container", "rm", line, check=False)
        run("systemctl", "stop", "containerd.service")

    def options(self, shape: str) -> list[str]:
        """What makes a container of a shape."""
        if shape in ("two-networks", "shared-network"):
            return ["--with-ns", f"network:{network_namespace()}"]
        return {
            "cpu-limited": ["--cpu-quota", "50000", "--cpu-period", "100000"],
            "memory-limited": ["--memory-limit", str(64 << 20)],
            "host-network": ["--net-host"],
            "nested": ["--privileged"],
        }.get(shape, [])

    def pid(self, container_id: str) -> int:
        """The task's first process."""
        found = [line.split() for line in run("ctr", "task", "ls").splitlines()]
        return next(int(fields[1]) for fields in found if fields[0] == container_id)

    def make(self, shape: str) -> Container:
        self.check(shape)
        # ctr's users choose an id themselves, and choose words; 64 digits are what nerdctl and the kubelet choose
        word = f"c-{shape}"
        container_id = hex_id(word) if shape == "cpu-limited" else word
        command = ("/bin/sh", "-c", COMMANDS.get(shape, SLEEP))
        options = ("--rootfs", "--env", "PATH=/bin", *self.options(shape))
        create = ("ctr", "run", "-d", *options, str(container_root()), container_id, *command)
        run(*create)
        if shape == "paused":
            run("ctr", "task", "pause", container_id)
        elif shape in ("stopped", "restarted"):
            run("ctr", "task", "kill", "-s", "SIGKILL", container_id)
            run("ctr", "task", "rm", "-f", container_id, check=False)
            if shape == "restarted":
                run("ctr", "container", "rm", container_id)
                run(*create)
        return Container(shape, container_id, container_id[:12] if container_id != word else word)

    def figures(self, container: Container) -> Figures:
        return kernel_figures(f"/default/{container.id}", self.pid(container.id))


class Oci(Engine):
    """runc or crun, called directly with a bundle."""

    skips_disk = True

    def __init__(self, program: str) -> None:
        self.name = f"{program}, called directly"
        self._program = program
        self._made: set[str] = set()

    def stop(self) -> None:
        for shape in list(self._made):
            run(self._program, "delete", "-f", self._id(shape), check=False)

    def _id(self, shape: str) -> str:
        return hex_id(f"{self._program}-{shape}")

    def pid(self, container_id: str) -> int:
        """The first process."""
        return int(json.loads(run(self._program, "state", container_id))["pid"])

    def make(self, shape: str) -> Container:
        self.check(shape)
        container_id = self._id(shape)
        bundle = Path("/run/bundles") / container_id
        bundle.mkdir(parents=True, exist_ok=True)
        (bundle / "config.json").write_text(json.dumps(self._configuration(shape, bundle)))
        create = (self._program, "run", "-d", "--bundle", str(bundle), container_id)
        self._made.add(shape)
        run("sh", "-c", 'exec "$@" >/dev/null 2>/run/bundles/log', "sh", *create)
        if shape == "paused":
            run(self._program, "pause", container_id)
        elif shape in ("stopped", "restarted"):
            run(self._program, "delete", "-f", container_id)
            if shape == "restarted":
                run("sh", "-c", 'exec "$@" >/dev/null 2>/run/bundles/log', "sh", *create)
        return Container(shape, container_id, container_id[:12])

    def _configuration(self, shape: str, bundle: Path) -> dict[str, Any]:
        (bundle / "config.json").unlink(missing_ok=True)
        run("runc", "spec", "--bundle", str(bundle))
        found: dict[str, Any] = json.loads((bundle / "config.json").read_text())
        linux = found["linux"]
        found["process"].update(terminal=False, args=["sh", "-c", COMMANDS.get(shape, SLEEP)])
        found["root"] = {"path": str(container_root()), "readonly": False}
        linux["cgroupsPath"] = f"/direct/{bundle.name}"
        namespaces = [each for each in linux["namespaces"] if each["type"] != "network"]
        if shape in ("two-networks", "shared-network"):
            namespaces.append({"type": "network", "path": network_namespace()})
        elif shape != "host-network":
            namespaces.append({"type": "network"})
        linux["namespaces"] = namespaces
        resources = linux.setdefault("resources", {})
        if shape == "cpu-limited":
            resources["cpu"] = {"quota": 50000, "period": 100000}
        if shape == "memory-limited":
            resources["memory"] = {"limit": 64 << 20}
        if shape == "nested":
            for mount in found["mounts"]:
                if mount["type"] == "cgroup":
                    mount["options"] = [option for option in mount["options"] if option != "ro"]
        return found

    def figures(self, container: Container) -> Figures:
        return kernel_figures(f"/direct/{container.id}", self.pid(container.id))


class Crun(Oci):
    """crun refuses hybrid hosts."""

    unavailable: ClassVar[Mapping[str, str]] = {"hybrid": "crun refuses: cgroups in hybrid mode are not supported"}
