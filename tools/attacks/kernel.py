"""The agent on the running kernel, with cgroups of our own for a container that is attacked and one that attacks.

Everything is below one directory in each tree, named after this process, and is removed again; mounts are not touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from attacks.arena import Arena, require_root, running
from cgroupfs import NoCgroups, Root, Version, detect
from fakehost import container_id

FORGER = 65_534
"""An unprivileged uid that every system has."""
_TOP = f"cgstatd-attack-{os.getpid()}"
_VICTIM = """
import sys, time
print("ready", flush=True)
sys.stdin.readline()  # memory belongs to the cgroup in which it is first used
held = bytearray(b"x") * (8 << 20)
print("done", flush=True)
time.sleep(600)
"""
_FORGER = """
import os, sys
uid = int(sys.argv[1])
if uid:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
print("ready", flush=True)
for line in sys.stdin:
    verb, *paths = line.rstrip("\\n").split("\\0")
    for path in paths:
        if verb == "make":
            os.mkdir(path)
        else:
            with open(path + "/cgroup.procs", "w") as procs:
                procs.write(str(os.getpid()))
    if verb == "enter":
        held = bytearray(b"x") * (64 << 20)
    print("done", flush=True)
    if verb == "enter":
        break
while True:
    sum(range(10_000))
"""


@dataclass
class Forger:
    """A process that makes cgroups below a directory, as root or as somebody else."""

    process: subprocess.Popen[str]
    directories: list[str]

    def make(self, name: str) -> None:
        """A cgroup, in every tree."""
        self._tell("make", name)

    def enter(self, name: str) -> None:
        """Be in that cgroup from now on, hold 64 MiB and use all the CPU time there is."""
        self._tell("enter", name)

    def _tell(self, verb: str, name: str) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\0".join([verb, *(f"{each}/{name}" for each in self.directories)]) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"


@dataclass
class KernelArena(Arena):
    """An agent that reads the running kernel."""

    trees: list[str] = field(kw_only=True)
    """The directory of ours in each tree."""
    victim: str = field(kw_only=True)
    attacker: str = field(kw_only=True)
    free: str = container_id(f"nobody's {os.getpid()}")
    """An id that no container has."""

    @contextmanager
    def forger(self, inside: str, uid: int) -> Iterator[Forger]:
        """A process that starts in a directory (as a user, in ``start`` below it) and makes cgroups there."""
        directories = [f"{tree}/{inside}" for tree in self.trees]
        starts = [f"{each}/start" if uid else each for each in directories]
        with _process(_FORGER, str(uid)) as process:
            try:
                for start in starts:
                    enter(start, process.pid)
                yield Forger(process, directories)
            finally:
                process.kill()
                process.wait()
                for each in directories:
                    remove(each, keep=(each, f"{each}/start"))


@contextmanager
def _process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-S", "-c", code, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def enter(directory: str, pid: int) -> None:
    """Move a process into a cgroup."""
    with open(f"{directory}/cgroup.procs", "w") as procs:
        procs.write(str(pid))


def remove(directory: str, keep: tuple[str, ...] = ()) -> None:
    """A cgroup with all below it, but for some; their processes have ended, which the kernel may notice late."""
    for path, _, _ in os.walk(directory, topdown=False):
        while path not in keep and os.path.isdir(path):
            with suppress(OSError):
                os.rmdir(path)
                break
            time.sleep(0.02)


def _made(victim: str, attacker: str) -> list[str]:
    """The trees in which the cgroups could be made. Not v1's cpuset, in which new ones take no process."""
    trees = []
    for mount in detect(Root("/")).trees:
        top = f"{mount.point}/{_TOP}"
        if mount.version is Version.V1 and "cpuset" in mount.controllers:
            continue
        with suppress(OSError):
            os.mkdir(top)
            trees.append(top)
            _enable(mount.point, top)
            for name in (victim, attacker, "delegated"):
                os.mkdir(f"{top}/{name}")
            _enable(top, f"{top}/delegated")
            os.mkdir(f"{top}/delegated/start")
            for path in (f"{top}/delegated", f"{top}/delegated/start"):
                for each in (path, f"{path}/cgroup.procs"):
                    os.chown(each, FORGER, FORGER)
    return trees


def _enable(above: str, directory: str) -> None:
    """On v2: what is enabled above is enabled below the directory too."""
    with suppress(FileNotFoundError):
        with open(f"{above}/cgroup.subtree_control", encoding="ascii") as file:
            enabled = "".join(f"+{name} " for name in file.read().split())
        with open(f"{directory}/cgroup.subtree_control", "w", encoding="ascii") as file:
            file.write(enabled)


@contextmanager
def kernel_arena(folder: Path) -> Iterator[KernelArena]:
    """Skips, saying why, where no cgroup can be made."""
    require_root()
    victim, attacker = (container_id(f"{each} {os.getpid()}") for each in ("victim", "attacker"))  # of this run
    names = {victim: "attack-victim", attacker: "attack-attacker"}
    data = folder / "docker"
    for identity, name in names.items():
        (data / "containers" / identity).mkdir(parents=True)
        config = data / "containers" / identity / "config.v2.json"
        config.write_text(json.dumps({"Name": f"/{name}", "State": {"Running": True}, "Config": {"Image": "x"}}))
        config.chmod(0o600)
    with ExitStack() as stack:
        try:
            trees = _made(f"docker-{victim}.scope", f"docker-{attacker}.scope")
        except NoCgroups as error:
            pytest.skip(str(error))
        for tree in trees:
            stack.callback(remove, tree)
        if not trees:
            pytest.skip("no cgroup can be made here")
        sleeper = stack.enter_context(_process(_VICTIM))
        for tree in trees:
            enter(f"{tree}/docker-{victim}.scope", sleeper.pid)
        assert sleeper.stdin is not None and sleeper.stdout is not None
        sleeper.stdin.write("\n")
        sleeper.stdin.flush()
        assert sleeper.stdout.readline() == "done\n"
        found = stack.enter_context(running(folder, "--docker-root", str(data)))
        port, pid, tokens, secret, _, log = found
        yield KernelArena(port, pid, tokens, secret, folder, victim, log, trees=trees, victim=victim, attacker=attacker)
