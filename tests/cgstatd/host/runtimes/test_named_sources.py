"""The runtimes whose containers are called what their cgroup is called: LXC and systemd-nspawn."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Root
from cgstatd.host.runtimes import Metadata, State, Unreadable
from cgstatd.host.runtimes.lxc import LxcSource
from cgstatd.host.runtimes.nspawn import NspawnSource
from helpers import near

Write = Callable[..., str]
LXC = "/var/lib/lxc/lx1/config"
CONFIG = """\
lxc.uts.name = lx1
lxc.rootfs.path = dir:/var/lib/lxc/lx1/rootfs
lxc.net.0.type = empty
lxc.environment = SECRET_ENV=s3cr3t
lxc.cgroup2.memory.max = 48M
"""
NSPAWN = "/run/systemd/machines/nsp"
MACHINE = """\
# This is private data. Do not parse.
NAME=nsp
SCOPE=machine-nsp.scope
SERVICE=systemd-nspawn
ROOT=/var/lib/machines/nsp
ID=ae91208961d247d99a01d16b6b2ee3c5
LEADER=2855
CLASS=container
REALTIME=1795604289866928
MONOTONIC=133469801
"""


def test_an_lxc_container(write: Write) -> None:
    write(LXC, CONFIG)
    write("/var/lib/lxc/notes", "x")
    expected = Metadata(runtime="lxc", id="lx1", name="lx1", network_mode="none", memory_limit_bytes=48 << 20)
    source = LxcSource(Root())
    assert source.get("lx1") == expected
    assert list(source.all()) == [expected]
    assert "s3cr3t" not in repr([expected, [each.value for each in source._files._shelf._files.values()]])


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


def test_an_nspawn_container(write: Write) -> None:
    write(NSPAWN, MACHINE)
    os.symlink("nsp", "/run/systemd/machines/unit:machine-nsp.scope")
    expected = Metadata(
        runtime="systemd-nspawn",
        id="nsp",
        name="nsp",
        created_seconds=near(1795604289.866928),
        state=State.RUNNING,
    )
    source = NspawnSource(Root())
    assert source.get("nsp") == expected
    assert list(source.all()) == [expected]
    os.unlink(NSPAWN)
    assert source.get("nsp") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (MACHINE.replace("=container", "=vm"), "the machine's class is not container"),
        ("NAME=nsp\n", "malformed: no CLASS"),
        ("CLASS=container\nREALTIME=soon\n", "malformed: REALTIME is not a number of microseconds"),
        (f"CLASS=container\nREALTIME={'9' * 5000}\n", "malformed: REALTIME is not a number of microseconds"),
        (b"NAME=\xff\n", "not valid UTF-8"),
    ],
)
def test_a_file_that_is_no_containers(write: Write, content: str | bytes, reason: str) -> None:
    write(NSPAWN, content)
    assert NspawnSource(Root()).get("nsp") == Unreadable(reason, NSPAWN)
    assert list(NspawnSource(Root()).all()) == []


def test_lxcs_config_that_is_not_utf_8(write: Write) -> None:
    write(LXC, b"lxc.uts.name = \xff\n")
    assert LxcSource(Root()).get("lx1") == Unreadable("not valid UTF-8", LXC)


def test_other_owners_and_links_are_refused(write: Write) -> None:
    for path, source, name in ((LXC, LxcSource(Root()), "lx1"), (NSPAWN, NspawnSource(Root()), "nsp")):
        write(path, MACHINE, uid=1000)
        assert source.get(name) == Unreadable("owned by uid 1000, not by 0", path)
        os.unlink(path)
        write("/elsewhere", MACHINE)
        os.symlink("/elsewhere", path)
        assert source.get(name) == Unreadable("is a symbolic link", path)


@pytest.mark.parametrize("bad", ["", ".", "..", "../lx1", "lx1/../lx1", "a\nb", "\0", "\udcff", "x" * 10_000])
def test_a_name_that_is_none(host: FakeFilesystem, bad: str) -> None:
    assert LxcSource(Root()).get(bad) is None
    assert NspawnSource(Root()).get(bad) is None
