"""The agent in a memory cgroup of its own, while users hoard: under 128 MiB with 300 containers, and with 2,000 under
what its unit allows.

The cgroup is one of ours directly below the memory controller's mount and is removed again; the containers are made up.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from attacks.arena import TreeArena, require_root
from attacks.forged import listed
from attacks.hoards import SMALL_LABELS, USERS, Following, clean, come, go, hoards_arena, plant_small_rows, seen
from attacks.kernel import remove
from attacks.planted import everything
from cgroupfs import NoCgroups, Root, Version, detect
from helpers import PROJECT

_UNIT = Path(PROJECT, "systemd/cgstatd.service").read_text("utf-8")
_found = re.search(r"(?m)^MemoryMax=(\d+)M$", _UNIT)
assert _found
UNITS_MIB = int(_found[1])
_INTO = ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"')


@contextmanager
def limited(mib: int) -> Iterator[Path]:
    """A memory cgroup with that limit; skips, with the reason, where none can be made."""
    require_root()
    try:
        mount = detect(Root("/")).mount("memory")
    except NoCgroups as error:
        pytest.skip(str(error))
    if mount is None:
        pytest.skip("this kernel has no memory controller")
    made = Path(mount.point, f"cgstatd-memory-{os.getpid()}-{mib}")
    limit = "memory.limit_in_bytes" if mount.version is Version.V1 else "memory.max"
    try:
        made.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        try:
            (made / limit).write_text(f"{mib << 20}\n")
        except OSError as error:
            pytest.skip(f"no limit can be set here: {error}")
        yield made
    finally:
        remove(str(made))


def _killed(cgroup: Path) -> int:
    for name in ("memory.oom_control", "memory.events"):
        with suppress(FileNotFoundError):
            found = re.search(r"(?m)^oom_kill (\d+)$", (cgroup / name).read_text("ascii"))
            return int(found[1]) if found else 0
    return 0


def _peak_mib(a: TreeArena) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{a.pid}/status").read_text("ascii"))
    assert found
    return int(found[1]) / 1024


def _hoard(a: TreeArena) -> None:
    """All at once: users' 4 MiB of labels, the system's of 20 kB, both coming and going while somebody follows."""
    labels = {f"org.example.label.{number}": "x" * 70 for number in range(250)}
    config = json.dumps({"Name": "/hoard", "Config": {"Labels": labels}}).encode()
    followed = Following(a)
    try:
        for turn in range(2):
            users = {come(a, f"{turn} {uid} {n}", uid, SMALL_LABELS): uid for uid in USERS for n in range(3)}
            systems = [come(a, f"{turn} {number}", 0, config) for number in range(150)]
            seen(a, [*users, *systems])
            a.ask("/metrics")
            for each in systems:
                go(a, 0, each)
            for each, uid in users.items():
                go(a, uid, each)
        rows = plant_small_rows(a)
    finally:
        followed.close()
    everything(a, rows)  # what an answer costs is counted: without that of following 2,000 containers meanwhile
    clean(a)


@pytest.mark.timeout(400)  # it computes all the time, so that a busy machine takes several times as long
@pytest.mark.parametrize(("containers", "mib"), [(300, 128), pytest.param(2000, UNITS_MIB, marks=pytest.mark.nightly)])
def test_the_agent_stays_within_its_limit_whatever_users_hoard(tmp_path: Path, containers: int, mib: int) -> None:
    with limited(mib) as cgroup, hoards_arena(tmp_path, containers, (*_INTO, str(cgroup))) as a:
        assert str(a.pid) in (cgroup / "cgroup.procs").read_text("ascii").split()
        before = a.memory()
        _hoard(a)
        peak, killed = _peak_mib(a), _killed(cgroup)
        print(f"{containers} containers: {before:.0f} MiB before, {peak:.0f} at most, {a.memory():.0f} after")
        assert killed == 0 and peak < mib
        assert len(listed(a)) >= containers
