"""System containers and services: LXC, systemd-nspawn, systemd's own units. Compared with the kernel's files."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from engine import COMMANDS, SLEEP, Container, Engine, container_root, run, wait_until
from figures import IS_V2, Figures, kernel_figures

_FREEZE = dict.fromkeys(
    ("paused v1", "paused hybrid"), "systemctl freeze needs the unified hierarchy: such a unit cannot be paused there"
)


class Lxc(Engine):
    """LXC, by configuration files."""

    name = "LXC"
    state = Path("/var/lib/lxc")

    def stop(self) -> None:
        for path in self.state.glob("l-*"):
            run("lxc-stop", "-k", "-n", path.name, check=False)
            shutil.rmtree(path)

    def _configuration(self, shape: str, name: str) -> str:
        version = "cgroup2" if IS_V2 else "cgroup"
        lines = [
            f"lxc.uts.name = {name}",
            f"lxc.rootfs.path = dir:{container_root()}",
            "lxc.apparmor.profile = unconfined",
            f"lxc.mount.auto = proc sys cgroup{':rw' if shape == 'nested' else ''}",
            f"lxc.init.cmd = /init-{shape}",
        ]
        kinds = {"host-network": ["none"], "two-networks": ["veth", "veth"], "shared-network": []}
        lines += [f"lxc.net.{n}.type = {kind}" for n, kind in enumerate(kinds.get(shape, ["empty"]))]
        if shape == "cpu-limited":
            v1 = ["lxc.cgroup.cpu.cfs_period_us = 100000", "lxc.cgroup.cpu.cfs_quota_us = 50000"]
            lines += ["lxc.cgroup2.cpu.max = 50000 100000"] if IS_V2 else v1
        if shape == "memory-limited":
            lines.append(f"lxc.{version}.memory.{'max' if IS_V2 else 'limit_in_bytes'} = 64M")
        return "\n".join([*lines, ""])

    def make(self, shape: str) -> Container:
        self.check(shape)
        name = f"l-{shape}"
        (self.state / name).mkdir(parents=True, exist_ok=True)
        (self.state / name / "config").write_text(self._configuration(shape, name))
        init = container_root() / f"init-{shape}"
        init.write_text(f"#!/bin/sh\n{COMMANDS.get(shape, SLEEP)}\n")
        init.chmod(0o755)
        share = ("--share-net", "l-two-networks") if shape == "shared-network" else ()
        start = ("lxc-start", "-n", name, *share)
        run(*start)
        if shape == "paused":
            run("lxc-freeze", "-n", name)
        elif shape in ("stopped", "restarted"):
            run("lxc-stop", "-k", "-n", name)
            if shape == "restarted":
                run(*start)
        return Container(shape, name, name)

    def pid(self, name: str) -> int:
        """Its init."""
        return int(run("lxc-info", "-n", name, "-p", "-H"))

    def figures(self, container: Container) -> Figures:
        return kernel_figures(f"/lxc.payload.{container.id}", self.pid(container.id))


class Unit(Engine):
    """What a transient unit can be told; nspawn's and the services' common ground."""

    skips_disk = True
    without: ClassVar[Mapping[str, str]] = {
        **_FREEZE,
        "nested": "the unit would have to be given its cgroup (Delegate=); the others show it",
    }

    def properties(self, shape: str) -> list[str]:
        """Limits are the unit's."""
        found = ["CPUAccounting=yes", "MemoryAccounting=yes", "IOAccounting=yes"]
        if shape == "cpu-limited":
            found.append("CPUQuota=50%")
        if shape == "memory-limited":
            found.append("MemoryMax=64M" if IS_V2 else "MemoryLimit=64M")
        return [f"--property={each}" for each in found]

    def unit(self, container: Container) -> str:
        """The unit that a container is."""
        raise NotImplementedError

    def pid(self, container: Container) -> int:
        """A process inside."""
        raise NotImplementedError

    def pause(self, container: Container) -> None:
        """Freeze the unit."""
        run("systemctl", "freeze", self.unit(container))

    def figures(self, container: Container) -> Figures:
        cgroup = run("systemctl", "show", "-P", "ControlGroup", self.unit(container))
        return kernel_figures(cgroup, self.pid(container))


class Nspawn(Unit):
    """systemd-nspawn in scopes of machine.slice."""

    name = "systemd-nspawn"

    def start(self) -> None:
        run("systemctl", "start", "systemd-machined.service")

    def stop(self) -> None:
        for line in run("machinectl", "list", "--no-legend").splitlines():
            run("systemctl", "thaw", f"machine-{line.split()[0]}.scope".replace("-", "\\x2d", 1), check=False)
            run("machinectl", "terminate", line.split()[0], check=False)

    def _network(self, shape: str) -> list[str]:
        if shape == "shared-network":
            return [f"--network-namespace-path=/proc/{self._leader('n-two-networks')}/ns/net"]
        two = ["--network-veth-extra=e2ea:a", "--network-veth-extra=e2eb:b"]
        return {"host-network": [], "two-networks": two}.get(shape, ["--private-network"])

    def make(self, shape: str) -> Container:
        self.check(shape)
        name = f"n-{shape}"
        root = Path("/var/lib/machines") / name
        if not root.exists():
            shutil.copytree(container_root(), root, symlinks=True)
        self._spawn(name, root, shape)
        for link in ("e2ea", "e2eb") if shape == "two-networks" else ():
            run("ip", "link", "set", link, "up")
        container = Container(shape, name, name)
        if shape == "paused":
            self.pause(container)
        elif shape in ("stopped", "restarted"):
            run("machinectl", "terminate", name)
            wait_until(lambda: not os.path.exists(f"/run/systemd/machines/{name}"))
            if shape == "restarted":
                run("systemctl", "stop", f"spawn-{name}.service", check=False)
                self._spawn(name, root, shape)
        return container

    def _spawn(self, name: str, root: Path, shape: str) -> None:
        spawn = ("systemd-nspawn", "--quiet", "-M", name, "-D", str(root), "--as-pid2", "--console=pipe")
        options = (*self._network(shape), *self.properties(shape))
        unit = ("systemd-run", "--quiet", "--collect", f"--unit=spawn-{name}")
        run(*unit, *spawn, *options, "sh", "-c", COMMANDS.get(shape, SLEEP))
        wait_until(lambda: os.path.exists(f"/run/systemd/machines/{name}"))

    def _leader(self, name: str) -> str:
        return run("machinectl", "show", "-P", "Leader", name)

    def unit(self, container: Container) -> str:
        return run("machinectl", "show", "-P", "Unit", container.id)

    def pid(self, container: Container) -> int:
        return int(self._leader(container.id))


class Service(Unit):
    """Plain services, which the agent shows with --services."""

    name = "services (--services)"
    prefix = "s"
    agent_options = "--services"
    without: ClassVar[Mapping[str, str]] = {
        **Unit.without,
        "two-networks": "a unit has the host's network, another unit's, or an empty one",
    }

    def stop(self) -> None:
        for shape in COMMANDS | dict.fromkeys(("plain", "host-network", "no-network", "shared-network", "restarted")):
            with contextlib.suppress(AssertionError):
                run("systemctl", "thaw", f"s-{shape}.service", check=False)
                run("systemctl", "kill", "-s", "KILL", f"s-{shape}.service", check=False)
                run("systemctl", "stop", f"s-{shape}.service", check=False)

    def properties(self, shape: str) -> list[str]:
        found = super().properties(shape)
        if shape in ("no-network", "plain"):
            found.append("--property=PrivateNetwork=yes")
        if shape == "shared-network":
            found += ["--property=PrivateNetwork=yes", "--property=JoinsNamespaceOf=s-plain.service"]
        return found

    def make(self, shape: str) -> Container:
        self.check(shape)
        unit = f"s-{shape}.service"
        command = COMMANDS.get(shape, SLEEP).replace("/data/file", f"/var/tmp/{shape}")
        run("systemd-run", "--quiet", f"--unit={unit}", *self.properties(shape),
            "busybox", "sh", "-c", command)  # fmt: skip
        container = Container(shape, unit, unit)
        if shape == "paused":
            self.pause(container)
        elif shape == "stopped":
            run("systemctl", "stop", unit)
        elif shape == "restarted":
            run("systemctl", "restart", unit)
        return container

    def unit(self, container: Container) -> str:
        return container.id

    def pid(self, container: Container) -> int:
        return int(run("systemctl", "show", "-P", "MainPID", container.id))
