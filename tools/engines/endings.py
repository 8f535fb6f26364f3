"""How a container of each engine is made to end in each way, and the engine's own record of that. For `ends.py`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

LIVES = {
    "exit 0": "sleep 1; exit 0",
    "exit 3": "sleep 1; exit 3",
    "exit 137": "sleep 1; exit 137",
    "SIGSEGV": "sleep 1; exec /fault",
    "SIGKILL": "exec sleep 1000",
    "OOM": "sleep 1; exec tail /dev/zero",
    "gone": "exit 3",
    "loop": "sleep 0.5; exit 5",
    "renamed": "sleep 2; exit 4",
}
LOOPS = 5
MEMORY_BYTES = 64 << 20
"""Where runc copies itself into memory before it starts the program, that is the container's: some 20 MiB."""
_FAULT = b"\x31\xc0\x89\x00"
"""xor eax, eax; mov [rax], eax: the first act of the program is a fault (x86-64)."""


class Ended(NamedTuple):
    """One container's end as its engine has it. None: the engine does not say."""

    id: str
    code: int | None
    oom: bool | None = None


class NoSuch(Exception):
    """Why this engine cannot play a kind."""


@contextlib.contextmanager
def fault_program(folder: str) -> Iterator[str]:
    """A static program, without a compiler."""
    entry, head = 0x400000, struct.Struct("<16sHHIQQQIHHHHHH")
    size = head.size + 56 + len(_FAULT)
    elf = head.pack(b"\x7fELF\2\1\1", 2, 62, 1, entry + head.size + 56, head.size, 0, 0, head.size, 56, 1, 0, 0, 0)
    elf += struct.pack("<IIQQQQQQ", 1, 5, 0, entry, entry, size, size, 4096) + _FAULT
    path = Path(folder, "fault")
    path.write_bytes(elf)
    path.chmod(0o755)
    yield str(path)


def run(*command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """A command to its end, with what it printed."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)


def wait_until(what: Callable[[], object], seconds: float = 60) -> None:
    """Or for so long."""
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.05)


def kill_first(pid: Callable[[], object]) -> None:
    """Kill the first process once its engine knows it: before that it may say 0, which is whoever calls this."""
    wait_until(lambda: str(pid()).strip() not in ("", "0"))
    os.kill(int(str(pid())), signal.SIGKILL)


class Engine:
    """Docker or Podman, by its command line."""

    def __init__(self, name: str, command: list[str], options: argparse.Namespace, fault: str) -> None:
        self.name, self.command, self.options, self.fault = name, command, options, fault

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Its command line."""
        return run(*self.command, *arguments)

    def inspect(self, key: str, form: str) -> str:
        """What it says of a container."""
        return self.run("inspect", "--format", form, key).stdout.strip()

    def play(self, kind: str, name: str) -> Ended:
        """One container, and its end. Raises NoSuch."""
        more = ["--restart=always"] if kind == "loop" else []
        more += [f"--memory={MEMORY_BYTES}", f"--memory-swap={MEMORY_BYTES}"] if kind == "OOM" else []
        more += [*self.options.run_argument, "-v", f"{self.fault}:/fault:ro", "--network=none"]
        made = self.run("run", "-d", "--name", name, *more, self.options.image, "sh", "-c", LIVES[kind])
        key = made.stdout.strip()
        if made.returncode or len(key) != 64:
            raise SystemExit(f"{self.name}: {made.stderr}")
        if kind == "SIGKILL":
            time.sleep(1)
            kill_first(lambda: self.inspect(key, "{{.State.Pid}}"))
        if kind == "renamed":
            self.run("rename", name, f"{name}2")
        if kind == "loop":
            wait_until(lambda: int(self.inspect(key, "{{.RestartCount}}") or 0) >= LOOPS)
            self.run("stop", "-t", "0", name)
        else:
            self.run("wait", key)
        code, oom = self.inspect(key, "{{.State.ExitCode}} {{.State.OOMKilled}}").split()
        return Ended(key, int(code), oom == "true")

    def remove(self, key: str) -> None:
        """It is no longer on disk."""
        self.run("rm", "-f", key)


class Foreground(Engine):
    """An engine whose command runs a container in the foreground and exits with its code."""

    def start(self, kind: str, name: str) -> tuple[str, list[str]]:
        """The agent's id for the container, and the command."""
        raise NotImplementedError

    def pid(self, name: str) -> object:
        """Of the first process, as its command line says it; 0 or nothing: not yet known."""
        raise NotImplementedError

    def play(self, kind: str, name: str) -> Ended:
        if kind == "renamed":
            raise NoSuch("it renames nothing")
        if kind == "OOM" and not self.limits:
            raise NoSuch("no limit without systemd")
        key, code = name, 0
        for _ in range(LOOPS if kind == "loop" else 1):
            key, command = self.start(kind, name)
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                if kind == "SIGKILL":
                    time.sleep(2)
                    kill_first(lambda: self.pid(name))
                code = process.wait()
            self.after(name)
        return Ended(key, self.code_of(code))

    limits = True

    def code_of(self, code: int) -> int | None:
        """What the command's own code says of the container's."""
        return code

    def after(self, name: str) -> None:
        """Between two lives."""

    def remove(self, key: str) -> None:
        pass


class Ctr(Foreground):
    """containerd, by ctr."""

    def start(self, kind: str, name: str) -> tuple[str, list[str]]:
        limit = ["--memory-limit", str(MEMORY_BYTES)] if kind == "OOM" else []
        mount = ["--mount", f"type=bind,src={self.fault},dst=/fault,options=rbind:ro"]
        command = [*self.command, "run", "--rm", *limit, *self.options.run_argument, *mount]
        return name, [
            *command,
            "--env",
            "PATH=/bin",
            "--rootfs",
            self.options.rootfs,
            name,
            "/bin/sh",
            "-c",
            LIVES[kind],
        ]

    def pid(self, name: str) -> object:
        listed = self.run("task", "ls").stdout.split("\n")
        return next((line.split()[1] for line in listed if line.startswith(name)), "")


class Oci(Foreground):
    """runc or crun with a bundle: without an engine above it."""

    def start(self, kind: str, name: str) -> tuple[str, list[str]]:
        key = f"{name.encode().hex():0>64}"[-64:]
        bundle = Path(self.options.work, name)
        bundle.mkdir(exist_ok=True)
        Path(bundle, "config.json").unlink(missing_ok=True)
        run(self.command[0], "spec", "--bundle", str(bundle))
        found = json.loads(Path(bundle, "config.json").read_text())
        found["process"].update(terminal=False, args=["/bin/sh", "-c", LIVES[kind]])
        found["root"] = {"path": self.options.rootfs, "readonly": False}
        found["mounts"].append(
            {"destination": "/fault", "type": "bind", "source": self.fault, "options": ["rbind", "ro"]}
        )
        found["linux"]["cgroupsPath"] = f"/ends/{key}"
        if kind == "OOM":
            found["linux"].setdefault("resources", {})["memory"] = {"limit": MEMORY_BYTES}
        Path(bundle, "config.json").write_text(json.dumps(found))
        return key, [*self.command, "run", "--bundle", str(bundle), key]

    def pid(self, name: str) -> object:
        key = f"{name.encode().hex():0>64}"[-64:]
        return json.loads(self.run("state", key).stdout or "{}").get("pid", "")


class Lxc(Foreground):
    """LXC, by a configuration file."""

    def start(self, kind: str, name: str) -> tuple[str, list[str]]:
        folder = Path(self.options.work, "lxc", name)
        folder.mkdir(parents=True, exist_ok=True)
        init = Path(self.options.rootfs, f"init-{kind.replace(' ', '')}")
        init.write_text(f"#!/bin/sh\n{LIVES[kind]}\n")
        init.chmod(0o755)
        version = (
            "cgroup2.memory.max"
            if Path("/sys/fs/cgroup/cgroup.controllers").exists()
            else ("cgroup.memory.limit_in_bytes")
        )
        lines = [f"lxc.rootfs.path = dir:{self.options.rootfs}", "lxc.apparmor.profile = unconfined",
                 "lxc.net.0.type = empty", f"lxc.init.cmd = /{init.name}", "lxc.mount.auto = proc",
                 f"lxc.mount.entry = {self.fault} fault none bind,create=file,ro 0 0"]  # fmt: skip
        if kind == "OOM":
            lines.append(f"lxc.{version} = {MEMORY_BYTES}")
        Path(folder, "config").write_text("\n".join([*lines, ""]))
        return name, ["lxc-start", "-F", "-P", str(folder.parent), "-n", name]

    def code_of(self, code: int) -> int | None:
        """lxc-start exits with 0 whatever its container did, and writes no record."""
        return None

    def pid(self, name: str) -> object:
        return run("lxc-info", "-P", f"{self.options.work}/lxc", "-n", name, "-p", "-H").stdout


class Unit(Foreground):
    """systemd's: a service, or a machine that systemd-nspawn runs as one. Needs systemd as pid 1."""

    def start(self, kind: str, name: str) -> tuple[str, list[str]]:
        more = [f"--property=MemoryMax={MEMORY_BYTES}", "--property=MemorySwapMax=0"] if kind == "OOM" else []
        command = ["systemd-run", "--quiet", "--wait", "--collect", f"--unit={self._unit(name)}"]
        if self.name == "service":
            bind = f"--property=BindReadOnlyPaths={self.fault}:/fault"
            root = f"--property=RootDirectory={self.options.rootfs}"
            return f"{name}.service", [*command, *more, root, bind, "/bin/sh", "-c", LIVES[kind]]
        spawn = ["systemd-nspawn", "--quiet", "-M", name, "-D", self.options.rootfs, "--console=pipe"]
        spawn += [f"--bind-ro={self.fault}:/fault", "--private-network", *more, "/bin/sh", "-c", LIVES[kind]]
        return name, [*command, *spawn]

    def _unit(self, name: str) -> str:
        return f"{name}.service" if self.name == "service" else f"spawn-{name}.service"

    def pid(self, name: str) -> object:
        if self.name == "service":
            return run("systemctl", "show", "-P", "MainPID", self._unit(name)).stdout
        return run("machinectl", "show", "-P", "Leader", name).stdout

    def after(self, name: str) -> None:
        run("systemctl", "reset-failed", self._unit(name))

    def code_of(self, code: int) -> int | None:
        """systemd-nspawn exits with 255 where a signal ended the container's first process, and systemd-run with 255
        where one ended the service's: neither says which."""
        return None if code == 255 else code


ENGINES: dict[str, type[Engine]] = {
    "docker": Engine, "podman": Engine, "ctr": Ctr, "runc": Oci, "crun": Oci, "lxc": Lxc, "nspawn": Unit,
    "service": Unit,
}  # fmt: skip
