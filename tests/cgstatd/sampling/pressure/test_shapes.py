"""Why a container waits, on files of real kernels: each shape was made on purpose, and its files read 1.5 s apart.

A shape is one JSON object: the truth in words, the host, the names of the containers by their ids, the verdicts (and
those without the v2 tree), and the files, each with one content, or with that of the first look and that of the second.
Of long files only the lines that a look reads are kept.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Clock
from cgstatd.host.identity import Identity
from cgstatd.recording.recorded_root import Reading
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.pressure.looker import Looker
from cgstatd.sampling.pressure.looks import Counted, Look
from cgstatd.sampling.pressure.verdict import Verdict, verdicts
from fakehost import LiveRoot
from helpers import write_files

SHAPES = sorted((Path(__file__).parent / "shapes").glob("*.json"))
HYBRID = [path for path in SHAPES if '"waits_on_v1"' in path.read_text()]
ALL = ("cpu", "memory", "io")
SECOND = 10**9


class ShapeRoot(LiveRoot):
    """A host whose clock stands."""

    __slots__ = ("now_ns",)
    now_ns: int

    def clock(self, path: str = "") -> Clock:
        return Clock(self.now_ns, 0)


def look(tree: Path, shape: dict[str, Any], which: int) -> Look:
    files = {path.lstrip("/"): contents[min(which, len(contents) - 1)] for path, contents in shape["files"].items()}
    for container, name in shape["containers"].items():
        config = {"State": {"Running": True}, "Config": {}, "Name": f"/{name}"}
        files[f"var/lib/docker/containers/{container}/config.v2.json"] = json.dumps(config)
    write_files(str(tree), files)
    root = ShapeRoot(str(tree), Reading(monotonic_ns=0, time_ms=0))
    root.now_ns = round(which * shape["seconds"] * SECOND)
    looker = Looker(open_host(root, HostOptions()))
    begun = looker.begin(ALL)
    taken = looker.end(begun, [each for item in begun.items if (each := looker.read(begun, item)) is not None])
    named: dict[Hashable, tuple[Identity, str, Counted]] = {}
    named |= {identity.id: (identity, path, counted) for identity, path, counted in taken.containers.values()}
    return taken._replace(containers=named)


def told(said: Verdict) -> list[object]:
    shares = [share.identity.name if share.identity else "" for share in said.shares]
    return [said.identity.name, said.resource, said.cause.value, said.limit, *shares]


@pytest.mark.parametrize("path", SHAPES, ids=[path.stem for path in SHAPES])
def test_a_shape_has_its_verdicts(path: Path, tmp_path: Path) -> None:
    shape = json.loads(path.read_text())
    found = verdicts(look(tmp_path / "before", shape, 0), look(tmp_path / "after", shape, 1), ALL)
    assert [told(said) for said in found] == shape["waits"], shape["truth"]


@pytest.mark.parametrize("path", HYBRID, ids=[path.stem for path in HYBRID])
def test_without_the_v2_tree_limits_are_told_and_nothing_else(path: Path, tmp_path: Path) -> None:
    """The same host as it is where v1 is mounted alone: it does not say how long anybody waited."""
    shape = json.loads(path.read_text())
    files = {each: contents for each, contents in shape["files"].items() if "/unified/" not in each}
    mounts = files["/proc/1/mountinfo"][0].splitlines(keepends=True)
    files["/proc/1/mountinfo"] = ["".join(line for line in mounts if "cgroup2" not in line)]
    v1 = shape | {"files": files}
    found = verdicts(look(tmp_path / "before", v1, 0), look(tmp_path / "after", v1, 1), ALL)
    assert [told(said) for said in found] == shape["waits_on_v1"], shape["truth"]
    assert all(said.stalled is None for said in found)
