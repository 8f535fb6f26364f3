"""The agent in a memory cgroup of its own, while users hoard: under 128 MiB with 300 containers, and with 2,000 under
what its unit allows.

The cgroup is one of ours directly below the memory controller's mount and is removed again; the containers are made up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from attacks.arena import TreeArena, require_root
from attacks.bounds import Bounds, bounds, of_the_unit
from attacks.forged import listed
from attacks.hoards import SMALL_LABELS, Following, clean, come, go, plant_small_rows, seen
from attacks.planted import USERS, everything, users_arena


@contextmanager
def limited(mib: int) -> Iterator[Bounds]:
    """A cgroup with that memory limit; skips, with the reason, where none can be made."""
    require_root()
    with ExitStack() as stack:
        try:
            found = stack.enter_context(bounds(f"cgstatd-memory-{os.getpid()}-{mib}", mib << 20))
        except OSError as error:
            pytest.skip(f"no limit can be set here: {error}")
        yield found


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


@pytest.mark.nightly
@pytest.mark.timeout(400)  # it computes all the time, so that a busy machine takes several times as long
@pytest.mark.parametrize(("containers", "mib"), [(300, 128), (2000, of_the_unit("MemoryMax") >> 20)])
def test_the_agent_stays_within_its_limit_whatever_users_hoard(tmp_path: Path, containers: int, mib: int) -> None:
    with limited(mib) as cgroup, users_arena(tmp_path, containers, cgroup.prefix()) as a:
        assert str(a.pid) in (cgroup.memory / "cgroup.procs").read_text("ascii").split()
        before = a.memory()
        _hoard(a)
        peak, killed = a.most_memory(), cgroup.kills()
        print(f"{containers} containers: {before:.0f} MiB before, {peak:.0f} at most, {a.memory():.0f} after")
        assert killed == 0 and peak < mib
        assert len(listed(a)) >= containers
