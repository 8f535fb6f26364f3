"""The runtimes whose containers are called what their cgroup is called: LXC and systemd-nspawn."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cgroupfs import Root
from cgstatd.host.runtimes import Metadata
from cgstatd.host.runtimes.lxc import LxcSource
from cgstatd.host.runtimes.nspawn import NspawnSource

Write = Callable[..., str]
LXC = "/var/lib/lxc/lx1/config"
NSPAWN = "/run/systemd/machines/nsp"
MACHINE = (Path(__file__).with_name("states") / "nspawn" / NSPAWN.lstrip("/")).read_text()


@pytest.mark.parametrize(
    ("lines", "network", "memory"),
    [
        ("lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\n", "lxcbr0", None),
        ("lxc.net.0.type=none\n", "host", None),
        ("lxc.network.type = phys\n", "phys", None),
        ("lxc.cgroup.memory.limit_in_bytes = 1073741824\n", None, 1 << 30),
        ("lxc.cgroup2.memory.max = max\n", None, None),
        ("lxc.cgroup2.memory.max = 5PB\nnonsense\n=\n", None, None),
        ("", None, None),
    ],
)
def test_lxcs_words(write: Write, lines: str, network: str | None, memory: int | None) -> None:
    write(LXC, lines)
    found = LxcSource(Root()).get("lx1")
    assert isinstance(found, Metadata)
    assert (found.network_mode, found.memory_limit_bytes) == (network, memory)


def test_an_nspawn_containers_unit_is_no_second_one(write: Write) -> None:
    write(NSPAWN, MACHINE)
    os.symlink("nsp", "/run/systemd/machines/unit:machine-nsp.scope")
    assert [each.name for each in NspawnSource(Root()).all()] == ["nsp"]
