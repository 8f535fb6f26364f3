"""Cgroup names that say they are somebody else's container, on a made-up host and on the running kernel."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attacks.arena import Arena, TreeArena, often, require_root
from attacks.kernel import FORGER, KernelArena, enter
from fakehost import container_id
from wire import ALL

USER = 1000
_SLICE = f"sys/fs/cgroup/user.slice/user-{USER}.slice"
_SHOWN = 500
"""A new cgroup is listed with the next reading; requests within half a second share one."""


def listed(a: Arena) -> dict[str, list[dict[str, Any]]]:
    """id -> what GET /api/containers says of it."""
    status, _, body = a.ask("/api/containers")
    assert status == 200
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(body):
        found.setdefault(each["id"], []).append(each)
    return found


def stats(a: Arena, wanted: str) -> dict[str, Any]:
    """One container's figures."""
    status, _, body = a.ask(f"/api/containers/{wanted}/stats")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def _whose(a: Arena, identity: str) -> tuple[int, str]:
    """(owner, name) of the only container of this id, once it is listed."""
    while identity not in (found := listed(a)):
        time.sleep(0.1)
    [only] = found[identity]
    return only["ownerUid"], only["name"]


def _the_users(a: Arena) -> list[dict[str, Any]]:
    """All that are shown as some user's, once there are many and no more come."""
    shown: list[dict[str, Any]] = []
    before = -1
    while len(shown) < min(_SHOWN - 1, often(600)) or len(shown) != before:
        before = len(shown)
        shown = [each for found in listed(a).values() for each in found if each["ownerUid"]]
        time.sleep(0.2)
    return shown


def _forge(a: TreeArena, directory: str, pid: int) -> None:
    path = a.host.path / directory
    shutil.copytree(a.host.scope("c1"), path)
    (path / "memory.current").write_text(f"{666 << 20}\n")
    (path / "cgroup.procs").write_text(f"{pid}\n")


def forged_by_a_user(a: TreeArena) -> str:
    """an unprivileged user forges cgroup names: 600 cgroups in the user's own slice of a made-up host, one with the id
    of a running container
    """
    require_root()
    real, free = container_id("c1"), [container_id(f"forged{number}") for number in range(often(600))]
    before = stats(a, "c1")
    _forge(a, f"{_SLICE}/docker-{real}.scope", 70_000)
    for number, identity in enumerate(free):
        _forge(a, f"{_SLICE}/docker-{identity}.scope", 70_001 + number)
    try:
        shown = _the_users(a)
        owner, name = _whose(a, real)
        after = stats(a, "c1")
    finally:
        shutil.rmtree(a.host.path / _SLICE)
    assert (owner, name) == (0, "c1")
    assert {each["ownerUid"] for each in shown} == {USER} and len(shown) in (_SHOWN - 1, _SHOWN, often(600))
    assert all(each["name"] == each["id"][:12] and not each["labels"] for each in shown)
    assert {**after, "timestamp": 0} == {**before, "timestamp": 0}
    return (
        f"the real one's figures are the same to the byte, its double is left out; {len(shown)} of the others shown, "
        f"as uid {USER}'s and without a name (500 a user at most)"
    )


def forged_in_a_container(a: TreeArena) -> str:
    """a container forges cgroup names: 600 cgroups inside its own on a made-up host, one with the id of another
    container
    """
    require_root()
    before, inner = stats(a, "c1"), [container_id(f"inner{number}") for number in range(often(600))]
    inside = f"sys/fs/cgroup/system.slice/{a.host.scope('c3').name}"
    for number, identity in enumerate([container_id("c1"), *inner]):
        _forge(a, f"{inside}/docker-{identity}.scope", 80_000 + number)
    try:
        time.sleep(1)
        after, found = stats(a, "c1"), listed(a)
    finally:
        for each in (a.host.path / inside).glob("docker-*"):
            shutil.rmtree(each)
    assert len(found[container_id("c1")]) == 1 and not set(inner) & set(found)
    assert {**after, "timestamp": 0} == {**before, "timestamp": 0}
    return "the other one's figures are the same to the byte; none of the inner ones is shown"


def _unharmed(a: KernelArena, before: dict[str, Any]) -> str:
    """The victim's figures are its own, whatever the forger's cgroup of the same id uses."""
    time.sleep(1)
    after = stats(a, a.victim)
    if before["memoryRaw"]:
        assert abs(after["memoryRaw"] - before["memoryRaw"]) < 4 << 20, (before, after)
    assert after["cpuPercent"] < 25, after
    [only] = listed(a)[a.victim]
    assert (only["ownerUid"], only["name"], only["pids"]) == (0, "attack-victim", 1)
    assert sum(each["id"] == a.victim for each in json.loads(a.ask(ALL)[2])) == 1
    mib = [figures["memoryRaw"] / (1 << 20) for figures in (before, after)]
    return f"the real one: {mib[0]:.1f} MiB before, {mib[1]:.1f} meanwhile, {after['cpuPercent']:.0f} % CPU, 1 process"


@contextmanager
def _sleeper() -> Iterator[int]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def kernel_user(a: KernelArena) -> str:
    """an unprivileged user forges cgroup names, running kernel: in a directory delegated to it a cgroup with a running
    container's id, in which it burns CPU and holds 64 MiB, and one with a made-up id
    """
    before = stats(a, a.victim)
    with a.forger("delegated", uid=FORGER) as forged, _sleeper() as pid:
        for each in (a.victim, a.free):
            forged.make(f"docker-{each}.scope")
        for tree in forged.directories:
            enter(f"{tree}/docker-{a.free}.scope", pid)  # one without a process is not shown
        forged.enter(f"docker-{a.victim}.scope")
        owner, name = _whose(a, a.free)
        assert (owner, name) == (FORGER, a.free[:12])
        unharmed = _unharmed(a, before)
        assert a.logged("left out", a.victim[:12])
    return f"{unharmed}; the double left out (and logged), the made-up one shown as uid {FORGER}'s, without a name"


def kernel_container(a: KernelArena) -> str:
    """a container forges cgroup names, running kernel: as root inside its own cgroup, with a running container's id and
    with a made-up one, burning CPU and holding 64 MiB in the first
    """
    before, own = stats(a, a.victim), stats(a, a.attacker)
    with a.forger(f"docker-{a.attacker}.scope", uid=0) as forged:
        for each in (a.victim, a.free):
            forged.make(f"docker-{each}.scope")
        forged.enter(f"docker-{a.victim}.scope")
        unharmed = _unharmed(a, before)
        assert a.free not in listed(a)
        used = stats(a, a.attacker)
    if own["memoryRaw"] or used["memoryRaw"]:
        assert used["memoryRaw"] - own["memoryRaw"] > 60 << 20, (own, used)
    grown, cpu = (used["memoryRaw"] - own["memoryRaw"]) / (1 << 20), used["cpuPercent"]
    return f"{unharmed}; neither is shown, and {grown:.0f} MiB and {cpu:.0f} % CPU count for the forger itself"
