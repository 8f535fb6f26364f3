"""What a user, or whoever can write where a runtime keeps its state, plants there for the agent to read."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attacks.arena import Arena, TreeArena, Work, require_root, running
from attacks.forged import listed
from fakehost import FakeHost, container_id
from helpers import write_files
from wire import ALL, STREAM

USER = 1000
USERS = tuple(range(1001, 1009))
HOMES = {"ann": USER} | {f"user{uid}": uid for uid in USERS}
CORES = 2
CANARY = "canary-7d1f"
MOST = Work(20_000, 1 << 25)
"""Read for one answer, with whatever the agent reads meanwhile."""
_HOME = "home/ann/.local/share/docker/containers"
_SYSTEMS = "var/lib/docker/containers"


def users_host(path: Path, containers: int) -> FakeHost:
    """A host of two cores with containers c0, c1, …, users who have homes, and root's files that nobody may see."""
    host = FakeHost(path)
    for number in range(containers):
        host.add(f"c{number}")
    people = "".join(f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n" for name, uid in HOMES.items())
    secret = {"Name": f"/{CANARY}", "Config": {"Image": CANARY, "Labels": {CANARY: CANARY}}}
    files: dict[str, bytes | str] = {
        "etc/passwd": f"root:x:0:0::/root:/bin/sh\n{people}",
        "etc/shadow": f"root:{CANARY}:20000::::::\n",
        "root/config.v2.json": json.dumps(secret),
        "sys/devices/system/cpu/online": f"0-{CORES - 1}\n",
    }
    write_files(str(path), files)
    for each in ("etc/shadow", "root/config.v2.json"):
        (path / each).chmod(0o600)
    return host


@contextmanager
def users_arena(_folder: Path, containers: int = 20, prefix: tuple[str, ...] = ()) -> Iterator[TreeArena]:
    """An agent over a host that has users. Not in ``_folder``, which stays until the end of the run."""
    with tempfile.TemporaryDirectory() as here:
        host = users_host(Path(here) / "host", containers)
        with running(Path(here), "--host-root", str(host.path), prefix=prefix) as found:
            port, pid, tokens, token, folder, log = found
            made = TreeArena(port, pid, tokens, token, folder, container_id("c1"), log, host=host)
            made.warm()
            yield made


@contextmanager
def container(a: TreeArena, name: str, *, users: bool, engine: str = "docker") -> Iterator[Path]:
    """Where the files of a container of the system or of the user are to be. It runs at the end of the block: a runtime
    writes them before it starts a container.
    """
    identity = container_id(name)
    folder = a.host.path / (_HOME if users else _SYSTEMS) / identity
    folder.parent.mkdir(parents=True, exist_ok=True)
    yield folder
    if users:
        own(folder)
        for each in folder.parents[: _HOME.count("/")]:
            os.chown(each, USER, USER)
    place = f"user.slice/user-{USER}.slice" if users else "system.slice"
    run(a, a.host.path / f"sys/fs/cgroup/{place}/{engine}-{identity}.scope")


def run(a: TreeArena, cgroup: Path) -> None:
    """A container runs in this cgroup, which is there with all its files at once."""
    made = cgroup.with_name(f".{cgroup.name}")
    made.mkdir(parents=True)
    for file in ("cpu.stat", "memory.current", "memory.stat", "cgroup.events", "io.stat"):
        (made / file).write_bytes((a.host.scope("c1") / file).read_bytes())
    (made / "cgroup.procs").write_text("70000\n")  # without one it is what a dead engine left behind
    made.rename(cgroup)


def own(path: Path, uid: int = USER) -> None:
    """The user's, and for nobody else; what a link leads to stays whose it is."""
    require_root()
    for each in (path, *(() if path.is_symlink() else path.rglob("*"))):
        os.chown(each, uid, uid, follow_symlinks=False)
        if each.is_file() and not each.is_symlink():
            each.chmod(0o600)


def everything(a: Arena, wanted: list[str], most: Work = MOST) -> tuple[bytes, Work]:
    """All that the agent says, log included, and the most that it read for one answer: ``most`` at the most."""
    said, largest = b"", Work(0, 0)
    targets = ["/api/containers", ALL, STREAM, "/metrics", "/api/host"]
    targets += [f"/api/containers/{each}/{what}" for each in wanted for what in ("stats", "detail")]
    for target in targets:
        (status, _, body), work = a.ask_counted(target)
        assert status == 200, (target, body)
        largest = max(largest, work.within(*most))
        said += body
    return said + "".join(a.log).encode(), largest


def until_listed(a: Arena, wanted: list[str]) -> dict[str, list[dict[str, Any]]]:
    while not set(wanted) <= set(found := listed(a)):
        time.sleep(0.1)
    return found


def links(a: TreeArena) -> str:
    """symbolic links where metadata is read: config.v2.json -> /etc/shadow, -> another container's and -> an absolute
    path outside; a container's directory and a user's whole storage -> elsewhere
    """
    root, wanted = a.host.path, []
    targets = [
        "/etc/shadow",
        "/root/config.v2.json",
        f"{root}/etc/shadow",
        f"/{_SYSTEMS}/{container_id('c1')}/config.v2.json",
    ]
    for users in (False, True):
        for number, target in enumerate(targets):
            with container(a, f"link {users} {number}", users=users) as folder:
                folder.mkdir()
                (folder / "config.v2.json").symlink_to(target)
            wanted.append(folder.name)
        with container(a, f"link {users} directory", users=True) as folder:  # root's own links to directories are good
            folder.symlink_to("/root" if users else f"{root}/root")
        wanted.append(folder.name)
    (root / "home/ann/.local/share/containers").mkdir(parents=True)
    (root / "home/ann/.local/share/containers/storage").symlink_to("/root")
    own(root / "home/ann")
    found = until_listed(a, wanted)
    assert a.logged("is a symbolic link")
    said, work = everything(a, wanted)
    assert CANARY.encode() not in said
    assert {found[each][0]["name"] for each in wanted} == {each[:12] for each in wanted}
    return (
        f"{len(wanted)} containers shown by their short ids, nothing of the targets in any answer or in the log; "
        f"{work} for an answer"
    )


def fifos(a: TreeArena) -> str:
    """FIFOs and directories where metadata is read: config.v2.json, hostconfig.json and Podman's db.sql"""
    root, wanted = a.host.path, []
    for users in (False, True):
        with container(a, f"fifo {users}", users=users) as folder:
            folder.mkdir()
            os.mkfifo(folder / "config.v2.json", 0o600)
        wanted.append(folder.name)
        with container(a, f"hostconfig {users}", users=users) as folder:
            folder.mkdir()
            (folder / "config.v2.json").write_text('{"Name": "/kept"}')
            (folder / "config.v2.json").chmod(0o600)
            os.mkfifo(folder / "hostconfig.json", 0o600)
        wanted.append(folder.name)
        with container(a, f"directory {users}", users=users) as folder:
            (folder / "config.v2.json").mkdir(parents=True)
        wanted.append(folder.name)
    storage = root / "var/lib/containers/storage"
    storage.mkdir(parents=True)
    os.mkfifo(storage / "db.sql", 0o600)
    found = until_listed(a, wanted)
    _, work = everything(a, wanted)
    names = sorted(found[each][0]["name"] for each in wanted)
    assert names == sorted(["kept", "kept", *(each[:12] for each in wanted if found[each][0]["name"] != "kept")])
    return f"none is waited for: {len(wanted)} containers answered, {work} for an answer"
