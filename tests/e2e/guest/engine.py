"""What every engine in the matrix offers: containers of the same shapes, and its own figures of them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from figures import Figures

MODE = os.environ.get("MODE", "v2")
SHAPES = (
    "plain",
    "memory-limited",
    "host-network",
    "no-network",
    "two-networks",
    "shared-network",
    "paused",
    "stopped",
    "restarted",
    "nested",
    "cpu-limited",
)
"""In the order they are started: shared-network uses two-networks', and the busy one does not slow down the others."""
SHORT = ("cpu-limited", "memory-limited", "host-network", "two-networks", "paused", "stopped")
SLEEP = "exec sleep 1000000"
BURN = "while :; do :; done"
CACHE = (
    f"rm -f /data/file; dd if=/dev/zero of=/data/file bs=1M count=100 conv=fsync; cat /data/file >/dev/null; {SLEEP}"
)
"""More page cache than its limit (64 MB), then quiet. A new file: writes count for its inode's cgroup."""
TRAFFIC = f"""
number=0
for link in $(ls /sys/class/net); do
    number=$((number + 1))
    ip -4 addr show $link | grep -q inet || ip addr add 10.99.$number.2/24 dev $link
    ip link set $link up
done
sleep 1
for net in $(ip -4 addr | sed -n 's:.* inet \\([0-9.]*\\)\\.[0-9]*/.*:\\1:p'); do
    [ $net = 127.0.0 ] || for n in 1 2 3; do wget -q -T 1 -O /dev/null http://$net.1:9/; done
done
{SLEEP}"""
"""Asks the first address of every network for a port that nobody serves: packets, and no answer needed.

An interface without an address gets one, where the container may do so itself (nspawn, LXC).
"""
NESTED = f"""
for d in /sys/fs/cgroup /sys/fs/cgroup/memory /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/pids; do
    [ -e $d/cgroup.procs ] || continue
    mkdir -p $d/outer/inner; echo $$ >$d/outer/inner/cgroup.procs
    [ -e $d/cgroup.subtree_control ] || continue
    for p in $d $d/outer; do echo "+memory +cpu +pids" >$p/cgroup.subtree_control; done
done
head -c 20000000 /dev/zero >/data/x; {SLEEP}"""
PYTHON = ("-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro")
"""Docker's options for a container that has the guest's own Python."""
COMMANDS = {"cpu-limited": BURN, "memory-limited": CACHE, "two-networks": TRAFFIC, "paused": BURN, "nested": NESTED}
ROOT = Path("/var/tmp/container-root")


class Missing(Exception):
    """Why there is no such container here: the reason that stands in the empty cell."""


@dataclass(slots=True)
class Container:
    """A container that was started; ``id`` and ``name`` are what the agent must show. ``extra``: the engine's own."""

    shape: str
    id: str
    name: str
    extra: dict[str, str] = field(default_factory=dict)


def run(*command: str, check: bool = True, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that must succeed; the failure shows what it printed."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def wait_until(what: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that takes a moment under emulation."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def container_root() -> Path:
    """The busybox root file system, unpacked, for engines that take a directory."""
    if not ROOT.exists():
        with tarfile.open("/opt/busybox.tar") as archive:
            archive.extractall(ROOT, filter="tar")
    return ROOT


def network_namespace() -> str:
    """What CNI makes for the engines that leave networks to it: a namespace with two interfaces. Its path."""
    path = Path("/run/netns/e2e")
    if not path.exists():
        run("ip", "netns", "add", path.name)
        for number in (1, 2):
            inside, outside = f"eth{number}", f"e2e{number}"
            run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", path.name)
            run("ip", "addr", "add", f"10.98.{number}.1/24", "dev", outside)
            run("ip", "link", "set", outside, "up")
            run("ip", "-n", path.name, "addr", "add", f"10.98.{number}.2/24", "dev", inside)
            run("ip", "-n", path.name, "link", "set", inside, "up")
    return str(path)


def record_host(name: str) -> str:
    """Leave the host as it is now in results/, by the agent's own tool; what it said."""
    tree = Path("/run/e2e-recorded") / ("recorded-" + re.sub(r"[^A-Za-z0-9]+", "-", name)[-60:].strip("-"))
    tree.parent.mkdir(exist_ok=True)
    command = ["/opt/cgstatd/bin/cgstatd", "record", "--services", str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if tree.is_dir():
        run("tar", "-C", str(tree.parent), "-czf", f"results/{tree.name}.tar.gz", tree.name, check=False)
        shutil.rmtree(tree)
    return f"{tree.name}: {done.returncode} {done.stdout}{done.stderr}"


def hex_id(text: str) -> str:
    """64 hex digits made from a name, as the engines' ids are."""
    return hashlib.sha256(text.encode()).hexdigest()


class Engine:
    """One row of the matrix."""

    name = ""
    prefix = "e2e"
    """Of its containers' names."""
    agent_options = ""
    """What the agent must be told to see these."""
    agent_drop_in = ""
    """The drop-in that a host with these needs."""
    unavailable: ClassVar[Mapping[str, str]] = {}
    """Mode -> why this engine does not run there."""
    without: ClassVar[Mapping[str, str]] = {}
    """Shape -> why this engine has no such container."""
    skips_disk = False
    """Whether a stopped container leaves nothing that can be read behind, so that the agent answers 404."""
    counts_block = True
    """Whether the kernel counts block I/O of its containers on cgroup v2."""

    def start(self) -> None:
        """Start the engine. Raises Missing."""

    def stop(self) -> None:
        """Remove the containers and stop the engine."""

    def make(self, shape: str) -> Container:
        """Start a container of a shape. Raises Missing."""
        raise NotImplementedError

    def figures(self, container: Container) -> Figures:
        """The engine's figures of a running container, or the kernel's where the engine has none."""
        raise NotImplementedError

    def check(self, shape: str) -> None:
        """Raises Missing where there is no such container."""
        reason = self.unavailable.get(MODE) or self.without.get(shape) or self.without.get(f"{shape} {MODE}")
        if reason:
            raise Missing(reason)


def shapes_of(short: bool) -> Sequence[str]:
    """All of them, or a handful for continuous integration."""
    return (
        SHAPES if not short else ("cpu-limited", "memory-limited", "host-network", "two-networks", "paused", "stopped")
    )
