"""The processes of a cgroup that may have any number of others in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Cgroup, Directory, Exhausted, Hierarchy, Mount, Root, Version, detect, members
from helpers import TREES, MadeUpHost, cgroups, write_files

PATH = "/docker/" + "a" * 64


@pytest.fixture(params=[2, 1], ids=["v2", "v1"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> MadeUpHost:
    return MadeUpHost(str(tmp_path), request.param)


def cgroup(host: MadeUpHost) -> Cgroup:
    return Cgroup(host.root, detect(host.root), PATH)


def test_all_processes_below_are_counted(host: MadeUpHost) -> None:
    host.container(PATH, pids=[7, 8])
    for n in range(5):
        host.mkdir(f"{PATH}/{n}/deeper")
        host.procs(f"{PATH}/{n}/deeper", [100 + n])
    found = cgroup(host).population()
    assert (found.number, found.pids, found.whole) == (7, [7, 8], True)


@pytest.mark.parametrize("deep", [False, True], ids=["side by side", "one in the other"])
def test_a_look_is_bounded_however_many_cgroups_are_inside_and_says_so(
    host: MadeUpHost, deep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MOST_CGROUPS", 20)
    host.container(PATH, pids=[7])
    for n in range(60):
        host.mkdir(f"{PATH}{'/n' * min(n + 1, 12)}/{n}" if deep else f"{PATH}/{n}")
    looked: list[str] = []
    original = Directory.__init__

    def counted(self: Directory, path: str, *more: Any) -> None:
        looked.append(path)
        original(self, path, *more)

    monkeypatch.setattr(Directory, "__init__", counted)
    found = cgroup(host).population()
    assert (found.number, found.pids, found.whole) == (1, [7], False)
    trees = len(host.points)
    assert len(looked) <= 20 + 2 * trees
    looked.clear()
    assert cgroup(host).members().pids == [7]
    assert len(looked) == 1
    host.procs(PATH, [])
    looked.clear()
    listed = cgroup(host).members()
    assert (listed.pids, listed.whole) == ([], False)
    assert len(looked) <= 20 + 2 * trees


def test_only_as_many_names_are_listed_as_are_looked_into(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_CGROUPS", 10)
    host.container(PATH)
    for n in range(300):
        host.mkdir(f"{PATH}/{n}")
    asked: list[int] = []
    original = Directory.some

    def some(self: Directory, limit: int) -> list[str]:
        asked.append(limit)
        return original(self, limit)

    monkeypatch.setattr(Directory, "some", some)
    cgroup(host).population()
    assert max(asked) <= 11


def test_an_empty_cgroup_was_looked_into_whole(host: MadeUpHost) -> None:
    host.container(PATH)
    assert cgroup(host).population() == (0, "", [], True, ())
    assert cgroup(host).members().whole


def test_as_many_processes_are_listed_as_are_asked_for_those_of_cgroups_below_too(host: MadeUpHost) -> None:
    host.container(PATH, pids=[7, 8])
    host.container(f"{PATH}/inner", pids=[9, 10])
    found = cgroup(host)
    assert sorted(found.population(10).listed) == [7, 8, 9, 10]
    assert [len(found.population(most).listed) for most in (0, 1, 3)] == [0, 1, 3]
    assert found.population(3).number == 4


def test_a_list_of_processes_that_is_too_long_counts_those_that_were_read(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.container(PATH)
    host.write(f"{host.directory('memory', PATH)}/cgroup.procs", b"".join(b"%07d\n" % n for n in range(1, 200_000)))
    found = cgroup(host).population()
    assert 100_000 < found.number < 199_999 and not found.whole


def test_without_a_descriptor_it_is_no_empty_cgroup(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.container(PATH, pids=[7])

    def none_left(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    found = cgroup(host)
    monkeypatch.setattr(os, "open", none_left)
    with pytest.raises(Exhausted):
        found.members()
    with pytest.raises(Exhausted):
        found.population()


@pytest.mark.parametrize(("host", "reading"), TREES)
def test_every_running_container_has_a_process(host: str, reading: str) -> None:
    for name, group in cgroups(host, reading):
        assert group.procs() or name == "flappy", name


@pytest.mark.parametrize(
    ("lists", "pids"),
    [
        ({"a/c/cgroup.procs": "", "a/c/container/cgroup.procs": "7\n8\n"}, [7, 8]),
        ({"a/c/cgroup.procs": "", "b/c/cgroup.procs": "9\n"}, [9]),
        ({"a/c/cgroup.procs": ""}, []),
        ({"b/x/cgroup.procs": "1\n"}, []),
        ({"a/c/" + "d/" * 30 + "cgroup.procs": "7\n"}, []),
    ],
    ids=["of a payload below", "of the next tree", "none", "without a directory", "however deep it is"],
)
def test_processes_are_looked_for_below_and_in_the_next_tree(
    tmp_path: Path, lists: dict[str, bytes | str], pids: list[int]
) -> None:
    points = sorted({"/" + name.split("/")[0] for name in lists})
    trees = tuple(Mount(point, "/", Version.V1, frozenset()) for point in points)
    group = Cgroup(Root(write_files(str(tmp_path), lists)), Hierarchy("legacy", (), trees), "/c")
    assert group.procs() == pids and group.procs(limit=1) == pids[:1]
