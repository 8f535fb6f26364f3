"""The hierarchies put together: one container per path, with its directories in every tree."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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


Discover = Callable[..., Discovery]


@pytest.fixture
def discover() -> Iterator[Discover]:
    with ExitStack() as opened:

        def discover(host: MadeUpHost, *, follow: bool = True) -> Discovery:
            made = Discovery(host.root, detect(host.root), runtimes.match, follow=follow)
            opened.callback(made.close)
            opened.callback(made.close)  # twice is no error
            return made

        yield discover


def test_a_container_is_one_with_its_inode_in_every_tree_and_the_same_object_until_something_changes(
    host: MadeUpHost, discover: Discover, follow: bool
) -> None:
    host.mkdir(f"/docker/{A}")
    found = discover(host, follow=follow)
    first = found.refresh()
    [(path, ref)] = first.items()
    assert (path, ref.match.runtime, ref.match.id) == (f"/docker/{A}", "docker", A)
    assert ref.owner_uid == ref.parent_owner_uid == 0
    assert dict(ref.inodes) == {
        point: os.stat(host.real(f"{point}/docker/{A}")).st_ino for point in host.points.values()
    }
    assert found.refresh() is first and not found.pending()
    host.mkdir(f"/docker/{B}")
    assert found.pending() is follow
    second = found.refresh()
    assert second is not first and list(second) == [f"/docker/{A}", f"/docker/{B}"]
    assert second[f"/docker/{A}"] == first[f"/docker/{A}"]


def test_a_container_is_one_while_it_is_in_any_tree_and_has_another_inode_where_it_is_made_anew(
    v1: MadeUpHost, discover: Discover, follow: bool
) -> None:
    v1.mkdir(f"/docker/{A}")
    found = discover(v1, follow=follow)
    points = list(v1.points.values())
    for gone, point in enumerate(points):
        (ref,) = found.refresh().values()
        assert [each for each, _ in ref.inodes] == points[gone:]
        os.rename(v1.real(f"{point}/docker/{A}"), v1.real(f"{point}/keeps-the-inode-in-use"))
    assert found.refresh() == {}
    for number, point in enumerate(reversed(points), 1):
        os.mkdir(v1.real(f"{point}/docker/{A}"))
        (ref,) = found.refresh().values()
        inodes = {each: os.stat(v1.real(f"{each}/docker/{A}")).st_ino for each in points[-number:]}
        assert dict(ref.inodes) == inodes


def test_a_directory_of_a_user_in_any_tree_makes_the_container_that_users(
    v1: MadeUpHost, discover: Discover, follow: bool
) -> None:
    v1.mkdir(f"/app/{A}")
    v1.root.owners[v1.points["systemd"] + "/app"] = 1000
    (ref,) = discover(v1, follow=follow).refresh().values()
    assert (ref.owner_uid, ref.parent_owner_uid) == (1000, 1000)


# -- the cap


def test_a_users_containers_are_shown_up_to_a_number_and_it_is_said_once(
    host: MadeUpHost, discover: Discover, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With user namespaces, root's engine gives every container's directory to one unprivileged uid: all are shown."""
    monkeypatch.setattr(discovery, "MAX_PER_USER", 3)
    for n in range(6):
        host.mkdir(f"/user.slice/user-1000.slice/{n:064}")
        host.mkdir(f"/user.slice/user-1001.slice/{n + 10:064}" if n < 3 else f"/docker/{n:064x}")
        host.mkdir(f"/docker/{n + 20:064}", uid=100_000)
    found = discover(host)
    with caplog.at_level(logging.WARNING):
        found.refresh()
        host.mkdir(f"/docker/{A}")
        refs = found.refresh()
    count = {uid: sum(ref.owner_uid == uid for ref in refs.values()) for uid in (0, 1000, 1001, 100_000)}
    assert count == {0: 4, 1000: 3, 1001: 3, 100_000: 6}
    assert [record.message for record in caplog.records] == [
        "uid=1000 has more than 3 container cgroups: the others are not shown"
    ]


# -- what cannot be read


def test_one_tree_that_cannot_be_read_costs_its_own_directories_only_and_no_tree_is_an_error(
    host: MadeUpHost, discover: Discover, follow: bool
) -> None:
    host.mkdir(f"/docker/{A}")
    found = discover(host, follow=follow)
    if host.version == 1:
        memory = host.points["memory"]
        for there, back in ((memory, "/elsewhere"), ("/elsewhere", memory)):
            os.rename(host.real(there), host.real(back))
            (ref,) = found.refresh().values()
            assert (memory in dict(ref.inodes)) is (back == memory)
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
    host: MadeUpHost, discover: Discover, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Inotify) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Inotify, "__init__", refuse)
    found = discover(host)
    assert "fs.inotify.max_user_instances" in caplog.text
    host.mkdir(f"/docker/{A}")
    assert list(found.refresh()) == [f"/docker/{A}"]
    host.mkdir(f"/docker/{B}")
    assert len(found.refresh()) == 2


def test_a_container_that_came_and_went_between_two_refreshes_is_named_by_inotify_unless_it_is_a_users(
    host: MadeUpHost, discover: Discover
) -> None:
    users = "/user.slice/user-1000.slice"
    host.mkdir(f"/docker/{A}")
    host.mkdir(users)
    found = discover(host)
    found.refresh()
    for path in (f"/docker/{A}", f"/docker/{B}", f"/docker/{C}", "/docker/no container", f"{users}/docker-{A}.scope"):
        host.rmdir(path)
        host.mkdir(path)
        if path not in (f"/docker/{A}", "/docker/no container"):
            host.rmdir(path)
    assert f"/docker/{A}" in found.refresh(), "it was made anew, and is there"
    assert {path: match.id for path, match in found.unseen.items()} == {f"/docker/{B}": B, f"/docker/{C}": C}
    found.unseen.clear()
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
    host: MadeUpHost, discover: Discover, follow: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """With 20,000 the agent was killed for want of memory, again and again."""
    for each in ids(20):
        host.mkdir(f"/docker/{each}")
    found = discover(host, follow=follow)
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
    host: MadeUpHost, discover: Discover, follow: bool
) -> None:
    greedy, modest = "/user.slice/user-1000.slice/x", "/user.slice/user-1001.slice/x"
    for number, each in enumerate(ids(6)):
        host.mkdir(f"{greedy if number < 5 else modest}/docker-{each}.scope")
    host.mkdir(f"/docker/{A}")
    host.mkdir(f"/docker/{B}")
    refs = discover(host, follow=follow).refresh()
    assert sorted(ref.parent_owner_uid for ref in refs.values()) == [0, 0, 1000, 1001]
