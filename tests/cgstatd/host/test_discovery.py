"""The hierarchies put together: one container per path, with its directories in every tree."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgroupfs import detect
from cgstatd.host import cgroup_tree, discovery, runtimes
from cgstatd.host.discovery import Discovery
from cgstatd.host.inotify import Inotify
from helpers import MadeUpHost

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture(params=[2, 1], ids=["v2", "v1"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> MadeUpHost:
    return MadeUpHost(str(tmp_path), request.param)


@pytest.fixture
def v1(tmp_path: Path) -> MadeUpHost:
    return MadeUpHost(str(tmp_path), 1)


@pytest.fixture(params=[True, False], ids=["inotify", "walk"])
def follow(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def opened() -> Iterator[list[Discovery]]:
    found: list[Discovery] = []
    yield found
    for each in found:
        each.close()


def discover(host: MadeUpHost, opened: list[Discovery], *, follow: bool) -> Discovery:
    opened.append(Discovery(host.root, detect(host.root), runtimes.match, follow=follow))
    return opened[-1]


def test_a_container_is_one_with_its_inode_in_every_tree(
    host: MadeUpHost, opened: list[Discovery], follow: bool
) -> None:
    host.mkdir(f"/docker/{A}")
    refs = discover(host, opened, follow=follow).refresh()
    assert list(refs) == [f"/docker/{A}"]
    ref = refs[f"/docker/{A}"]
    assert (ref.match.runtime, ref.match.id, ref.owner_uid, ref.parent_owner_uid) == ("docker", A, 0, 0)
    assert dict(ref.inodes) == {
        point: os.stat(host.real(f"{point}/docker/{A}")).st_ino for point in host.points.values()
    }


def test_the_same_object_is_given_until_something_changes(
    host: MadeUpHost, opened: list[Discovery], follow: bool
) -> None:
    host.mkdir(f"/docker/{A}")
    found = discover(host, opened, follow=follow)
    first = found.refresh()
    assert found.refresh() is first
    host.mkdir(f"/docker/{B}")
    second = found.refresh()
    assert second is not first
    assert list(second) == [f"/docker/{A}", f"/docker/{B}"]
    assert second[f"/docker/{A}"] == first[f"/docker/{A}"]


@pytest.mark.parametrize("missing", ["memory", "cpu,cpuacct", "freezer", "systemd"])
def test_a_container_in_some_trees_only_is_one_all_the_same(
    v1: MadeUpHost, opened: list[Discovery], follow: bool, missing: str
) -> None:
    v1.mkdir(f"/docker/{A}")
    os.rmdir(v1.real(f"{v1.points[missing]}/docker/{A}"))
    found = discover(v1, opened, follow=follow)
    (ref,) = found.refresh().values()
    assert {point for point, _ in ref.inodes} == {point for name, point in v1.points.items() if name != missing}
    os.mkdir(v1.real(f"{v1.points[missing]}/docker/{A}"))
    (whole,) = found.refresh().values()
    assert {point for point, _ in whole.inodes} == set(v1.points.values())
    assert set(ref.inodes) < set(whole.inodes)


def test_a_container_that_vanishes_tree_by_tree_is_there_until_the_last(
    v1: MadeUpHost, opened: list[Discovery], follow: bool
) -> None:
    v1.mkdir(f"/docker/{A}")
    found = discover(v1, opened, follow=follow)
    points = list(v1.points.values())
    for gone, point in enumerate(points):
        (ref,) = found.refresh().values()
        assert len(ref.inodes) == len(points) - gone
        os.rmdir(v1.real(f"{point}/docker/{A}"))
    assert found.refresh() == {}


def test_a_container_made_anew_in_one_tree_has_another_inode_there(
    v1: MadeUpHost, opened: list[Discovery], follow: bool
) -> None:
    v1.mkdir(f"/docker/{A}")
    found = discover(v1, opened, follow=follow)
    before = dict(found.refresh()[f"/docker/{A}"].inodes)
    memory = v1.points["memory"]
    os.rename(v1.real(f"{memory}/docker/{A}"), v1.real(f"{memory}/keeps-the-inode-in-use"))
    os.mkdir(v1.real(f"{memory}/docker/{A}"))
    after = dict(found.refresh()[f"/docker/{A}"].inodes)
    assert {point for point in after if after[point] != before[point]} == {memory}


def test_a_directory_of_a_user_in_any_tree_makes_the_container_that_users(
    v1: MadeUpHost, opened: list[Discovery], follow: bool
) -> None:
    v1.mkdir(f"/app/{A}")
    v1.root.owners[v1.points["systemd"] + "/app"] = 1000
    (ref,) = discover(v1, opened, follow=follow).refresh().values()
    assert (ref.owner_uid, ref.parent_owner_uid) == (1000, 1000)


# -- the cap


def test_a_users_containers_are_shown_up_to_a_number_and_it_is_said_once(
    host: MadeUpHost, opened: list[Discovery], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery, "MAX_PER_USER", 3)
    for n in range(6):
        host.mkdir(f"/user.slice/user-1000.slice/{n:064}")
        host.mkdir(f"/user.slice/user-1001.slice/{n + 10:064}" if n < 3 else f"/docker/{n:064x}")
    found = discover(host, opened, follow=True)
    with caplog.at_level(logging.WARNING):
        refs = found.refresh()
        host.mkdir(f"/docker/{A}")
        refs = found.refresh()
    count = {uid: sum(ref.owner_uid == uid for ref in refs.values()) for uid in (0, 1000, 1001)}
    assert count == {0: 4, 1000: 3, 1001: 3}
    assert [record.message for record in caplog.records] == [
        "uid=1000 has more than 3 container cgroups: the others are not shown"
    ]


def test_the_cap_never_counts_the_systems_containers_even_when_they_were_given_their_own_cgroup(
    host: MadeUpHost, opened: list[Discovery], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With user namespaces, root's engine gives every container's directory to the same unprivileged uid."""
    monkeypatch.setattr(discovery, "MAX_PER_USER", 3)
    for n in range(6):
        host.mkdir(f"/docker/{n:064}", uid=100_000)
    assert len(discover(host, opened, follow=True).refresh()) == 6


# -- what cannot be read


def test_one_tree_that_cannot_be_read_costs_its_own_directories_only(
    v1: MadeUpHost, opened: list[Discovery], follow: bool
) -> None:
    v1.mkdir(f"/docker/{A}")
    found = discover(v1, opened, follow=follow)
    os.rename(v1.real(v1.points["memory"]), v1.real("/elsewhere"))
    (ref,) = found.refresh().values()
    assert v1.points["memory"] not in dict(ref.inodes)
    os.rename(v1.real("/elsewhere"), v1.real(v1.points["memory"]))
    (ref,) = found.refresh().values()
    assert v1.points["memory"] in dict(ref.inodes)


def test_where_no_tree_can_be_read_it_is_an_error(host: MadeUpHost, opened: list[Discovery], follow: bool) -> None:
    host.mkdir(f"/docker/{A}")
    found = discover(host, opened, follow=follow)
    found.refresh()
    os.rename(host.real("/sys/fs"), host.real("/sys/elsewhere"))
    if follow:  # as when the mounts are gone: the kernel ends the watches then, which a rename does not
        for tree in found._trees:
            tree._lost = True
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            found.refresh()
    os.rename(host.real("/sys/elsewhere"), host.real("/sys/fs"))
    assert list(found.refresh()) == [f"/docker/{A}"]


def test_without_an_inotify_instance_it_walks_and_says_so(
    host: MadeUpHost, opened: list[Discovery], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Inotify) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Inotify, "__init__", refuse)
    found = discover(host, opened, follow=True)
    assert "fs.inotify.max_user_instances" in caplog.text
    host.mkdir(f"/docker/{A}")
    assert list(found.refresh()) == [f"/docker/{A}"]
    host.mkdir(f"/docker/{B}")
    assert len(found.refresh()) == 2


def test_closing_twice_is_no_error(host: MadeUpHost, opened: list[Discovery], follow: bool) -> None:
    found = discover(host, opened, follow=follow)
    found.close()
    found.close()


def test_a_container_that_came_and_went_between_two_refreshes_is_named_by_inotify(
    host: MadeUpHost, opened: list[Discovery]
) -> None:
    host.mkdir(f"/docker/{A}")
    found = discover(host, opened, follow=True)
    found.refresh()
    for name in (A, B, C, "no container"):
        for point in host.points.values():
            shutil.rmtree(host.real(f"{point}/docker/{name}"), ignore_errors=True)
        host.mkdir(f"/docker/{name}")
        if name in (B, C):
            for point in host.points.values():
                shutil.rmtree(host.real(f"{point}/docker/{name}"))
    assert f"/docker/{A}" in found.refresh(), "it was made anew, and is there"
    assert {path: match.id for path, match in found.unseen.items()} == {f"/docker/{B}": B, f"/docker/{C}": C}
    found.unseen.clear()
    found.refresh()
    assert found.unseen == {}


def test_of_a_users_containers_that_are_gone_nobody_is_named(tmp_path: Path, opened: list[Discovery]) -> None:
    host = MadeUpHost(str(tmp_path), 2)
    host.mkdir("/user.slice/user-1000.slice")
    found = discover(host, opened, follow=True)
    found.refresh()
    host.mkdir(f"/user.slice/user-1000.slice/docker-{A}.scope")
    shutil.rmtree(host.real(f"{next(iter(host.points.values()))}/user.slice/user-1000.slice/docker-{A}.scope"))
    found.refresh()
    assert found.unseen == {}


# -- more than can be kept


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most four are shown."""
    monkeypatch.setattr(discovery, "MOST_CONTAINERS", 4)
    monkeypatch.setattr(cgroup_tree, "MOST_CONTAINERS", 4)


def ids(number: int) -> list[str]:
    return [f"{each:064x}" for each in range(number)]


@pytest.mark.usefixtures("few")
def test_of_more_containers_than_can_be_kept_some_are_shown_and_the_log_says_so_once(
    host: MadeUpHost, opened: list[Discovery], follow: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """With 20,000 the agent was killed for want of memory, again and again."""
    for each in ids(20):
        host.mkdir(f"/docker/{each}")
    found = discover(host, opened, follow=follow)
    assert len(found.refresh()) == 4 and found.left_out
    assert all(len(tree.containers) <= 5 for tree in found._trees), "nor is more of them remembered"
    host.mkdir(f"/docker/{A}")
    assert len(found.refresh()) == 4
    assert caplog.text.count("more than 4 containers") == 1
    for each in ids(18):
        host.rmdir(f"/docker/{each}")
    found.refresh()
    assert sorted(found.refresh()) == sorted(f"/docker/{each}" for each in [*ids(20)[18:], A]) and not found.left_out


@pytest.mark.usefixtures("few")
def test_the_systems_containers_are_shown_first_then_one_of_each_user(
    host: MadeUpHost, opened: list[Discovery], follow: bool
) -> None:
    greedy, modest = "/user.slice/user-1000.slice/x", "/user.slice/user-1001.slice/x"
    for number, each in enumerate(ids(6)):
        host.mkdir(f"{greedy if number < 5 else modest}/docker-{each}.scope")
    host.mkdir(f"/docker/{A}")
    host.mkdir(f"/docker/{B}")
    refs = discover(host, opened, follow=follow).refresh()
    assert sorted(ref.parent_owner_uid for ref in refs.values()) == [0, 0, 1000, 1001]
