"""Real containers of Docker and Podman: busybox that sleeps, or works; no registry is asked."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from engines import docker_client, docker_socket
from hosts import floor_line

from cgroupfs import Root, detect

IMAGE = "cgstatd-bench"
BATCH = 20
"""How many one command starts or removes at a time."""
COMMANDS = {
    "idle": "exec sleep 1000000",
    "busy": "while :; do dd if=/dev/zero of=/tmp/file bs=64k count=16 conv=fsync 2>/dev/null; "
            "cat /tmp/file >/dev/null; sleep 0.8; done",
}  # fmt: skip


@dataclass(frozen=True)
class Real:
    """Containers of an engine; ``ids`` and ``lines`` as in hosts.Containers."""

    ids: list[str]
    lines: list[str]


def engines() -> dict[str, list[str]]:
    """The engines that answer here: name -> command line."""
    found = {}
    client, sock = docker_client(), docker_socket()
    if client and sock:
        found["docker"] = [client, "-H", f"unix://{sock}"]
    if shutil.which("podman"):
        # a host whose cgroups podman cannot use (hybrid, without systemd) needs both
        plain = os.path.isdir("/run/systemd/system")
        found["podman"] = ["podman"] if plain else ["podman", "--cgroup-manager=cgroupfs", "--runtime=runc"]
    return found


def _run(command: list[str], data: bytes | None = None) -> str:
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: {' '.join(command)[:300]}: {done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout.decode()


def _busybox() -> bytes:
    """A root file system of one static program, as a tar."""
    program = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p)), None)
    if program is None:
        raise SystemExit("bench: --real needs a static busybox: apt install busybox-static")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name in ("bin", "tmp", "proc", "sys", "dev", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        archive.add(os.path.realpath(program), "bin/busybox")
        for name in ("sh", "sleep", "dd", "cat"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return tar.getvalue()


def _start(cli: list[str], work: str) -> str:
    # no network: a bridge would need the engine's rules in this host's firewall
    return _run([*cli, "run", "-d", "--network=none", IMAGE, "/bin/sh", "-c", COMMANDS[work]]).strip()


def _line(cli: list[str], each: str) -> str:
    pid = int(_run([*cli, "inspect", "--format", "{{.State.Pid}}", each]))
    hierarchy = detect(Root("/"))
    with open(f"/proc/{pid}/cgroup") as file:
        paths = {name: path for _, names, path in (line.rstrip("\n").split(":", 2) for line in file)
                 for name in names.split(",")}  # fmt: skip
    path = paths.get("memory") or paths[""]
    return floor_line(hierarchy, path.partition(each)[0] + each + _rest(path, each), pid)


def _rest(path: str, each: str) -> str:
    """``.scope`` of the container's own cgroup, without cgroups below it (podman with crun makes one)."""
    return path.partition(each)[2].partition("/")[0]


@contextlib.contextmanager
def containers(cli: list[str], count: int, work: str) -> Iterator[Real]:
    """So many, removed at the end with the image."""
    _run([*cli, "import", "-", IMAGE], _busybox())
    ids: list[str] = []
    at_once = ["-t", "0"] if "podman" in cli[0] else []  # docker's rm --force kills
    try:
        for _ in range(count):  # one by one: those before one that fails are removed, too
            ids.append(_start(cli, work))
        yield Real(ids, [_line(cli, each) for each in ids])
    finally:
        for at in range(0, len(ids), BATCH):
            subprocess.run([*cli, "rm", "-f", *at_once, *ids[at : at + BATCH]], capture_output=True, check=False)
        subprocess.run([*cli, "rmi", IMAGE], capture_output=True, check=False)
