"""Following the directories of one hierarchy: by inotify and by walking, with the same result."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cgroupfs import Directory, Mount, Root, Version
from cgstatd.host import cgroup_tree, runtimes, user_room
from cgstatd.host.cgroup_tree import Found, Tree
from cgstatd.host.inotify import IN_Q_OVERFLOW, Inotify
from cgstatd.host.runtimes.base import Match
from helpers import OwnedRoot, make_cgroup, unprivileged
from often import often

MOUNT = Mount("/cg", "/", Version.V2, frozenset())
A, B, C = "a" * 64, "b" * 64, "c" * 64
SCOPE = f"docker-{A}.scope"


class Followed:
    """A tree below a directory, and the inotify instance that it may have."""

    def __init__(self, top: str, *, follow: bool) -> None:
        self.top = f"{top}/cg"
        os.makedirs(self.top, exist_ok=True)
        self.root = OwnedRoot(top)
        self.inotify = Inotify() if follow else None
        self.tree = Tree(self.root, MOUNT, runtimes.match, self.inotify)

    def mkdir(self, *paths: str, uid: int = 0) -> None:
        for path in paths:
            os.makedirs(self.top + path, exist_ok=True)
            if uid:
                self.root.owners[f"/cg{path}"] = uid

    def rmdir(self, path: str) -> None:
        shutil.rmtree(self.top + path)

    def tell(self) -> None:
        """Pass on what inotify says."""
        for event in self.inotify.events() if self.inotify else ():
            self.tree.event(event.watch, event.mask)

    def lose(self) -> None:
        """What inotify says is lost, as by an overflow of its queue."""
        if self.inotify:
            self.inotify.events()
        self.tree.event(-1, IN_Q_OVERFLOW)

    def refresh(self) -> dict[str, Found]:
        self.tell()
        self.tree.refresh()
        return self.tree.containers

    def paths(self) -> list[str]:
        return sorted(self.refresh())

    def below(self, path: str) -> list[str]:
        """What is known below a directory."""
        return [each for each in self.tree._nodes if each.startswith(f"{path}/")]

    def watches(self) -> int:
        """How many watches the kernel holds for the instance."""
        assert self.inotify is not None
        with open(f"/proc/self/fdinfo/{self.inotify.fd}", encoding="ascii") as file:
            return sum(line.startswith("inotify") for line in file)

    def close(self) -> None:
        if self.inotify is not None:
            self.inotify.close()


@pytest.fixture(params=[True, False], ids=["inotify", "walk"])
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Followed]:
    """Each test is run with inotify and by walking: what is found is the same."""
    made = Followed(str(tmp_path), follow=request.param)
    yield made
    made.close()


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Followed]:
    made = Followed(str(tmp_path), follow=True)
    yield made
    made.close()


# -- what is found


def test_containers_are_found_by_name_with_their_inode_wherever_they_are(followed: Followed) -> None:
    assert followed.refresh() == followed.refresh() == {}
    followed.mkdir(f"/system.slice/{SCOPE}", f"/custom/group/{B}", "/lxc.payload.web", f"/machine/libpod-{C}.scope")
    found = followed.refresh()
    assert {path: each.match for path, each in found.items()} == {
        f"/system.slice/{SCOPE}": Match("docker", A),
        f"/custom/group/{B}": Match("docker", B),
        "/lxc.payload.web": Match("lxc", "web"),
        f"/machine/libpod-{C}.scope": Match("podman", C, "container"),
    }
    for path, each in found.items():
        assert (each.path, each.inode) == (path, os.stat(followed.top + path).st_ino)
        assert each.owner_uid == each.parent_owner_uid == 0


def test_what_comes_and_goes_later_is_noticed(followed: Followed) -> None:
    followed.refresh()
    followed.mkdir(f"/system.slice/{SCOPE}")
    assert followed.paths() == [f"/system.slice/{SCOPE}"]
    followed.mkdir(f"/system.slice/docker-{B}.scope")
    assert followed.paths() == [f"/system.slice/{SCOPE}", f"/system.slice/docker-{B}.scope"]
    followed.rmdir(f"/system.slice/{SCOPE}")
    assert followed.paths() == [f"/system.slice/docker-{B}.scope"]
    followed.rmdir("/system.slice")
    assert followed.paths() == []


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ([f"/1/2/3/4/5/{A}", f"/1/2/3/4/5/6/{B}"], [f"/1/2/3/4/5/6/{B}", f"/1/2/3/4/5/{A}"]),
        ([f"/docker/{A}/docker/{B}", f"/docker/{A}/system.slice/docker-{C}.scope"], [f"/docker/{A}"]),
        ([f"/lxc.payload.web/lxc.payload.inner/docker-{B}.scope"], ["/lxc.payload.web"]),
        ([f"/machine.slice/libpod-{A}.scope/container/docker/{B}"], [f"/machine.slice/libpod-{A}.scope"]),
        ([f"/machine.slice/libpod-conmon-{A}.scope/docker-{B}.scope"], []),
        ([f"/lxc.monitor.web/{B}", f"/lxc.monitor.web/docker-{C}.scope"], []),
    ],
    ids=["deep", "in Docker's", "in LXC's", "in Podman's", "Podman's monitor", "LXC's monitor"],
)
@pytest.mark.parametrize("later", [False, True], ids=["at first", "one by one"])
def test_the_outermost_container_counts_and_nothing_is_looked_for_in_it_or_in_what_is_known_to_be_none(
    followed: Followed, made: list[str], found: list[str], later: bool
) -> None:
    for path in made:
        if later:
            followed.refresh()
        followed.mkdir(path)
    assert followed.paths() == found


def test_files_and_links_are_no_containers(followed: Followed) -> None:
    followed.mkdir("/real")
    Path(f"{followed.top}/docker-{A}.scope").write_text("")
    os.symlink("real", f"{followed.top}/docker-{B}.scope")
    os.symlink(f"{followed.top}/real", f"{followed.top}/real/loop")
    assert followed.paths() == []


def test_a_name_that_is_not_utf_8_is_followed_as_any_other(followed: Followed) -> None:
    os.makedirs(os.fsencode(followed.top) + b"/\xff\xfe/" + SCOPE.encode())
    assert followed.paths() == [f"/\udcff\udcfe/{SCOPE}"]
    os.makedirs(os.fsencode(followed.top) + b"/\xff\xfe/docker-" + B.encode() + b".scope")
    assert len(followed.paths()) == 2


def test_the_version_counts_up_only_when_something_changed(followed: Followed) -> None:
    path = f"/system.slice/{SCOPE}"
    followed.mkdir(path)
    before, version = followed.refresh()[path], followed.tree.version
    followed.refresh()
    followed.mkdir("/system.slice/dbus.service")
    followed.refresh()
    assert followed.tree.version == version
    os.rename(followed.top + path, followed.top + "/system.slice/keeps-the-inode-number-in-use")
    followed.mkdir(path)
    assert followed.refresh()[path].inode != before.inode and followed.tree.version > version
    version = followed.tree.version
    followed.rmdir(path)
    followed.refresh()
    assert followed.tree.version > version


def test_a_directory_that_moved_takes_its_containers_along(followed: Followed) -> None:
    followed.mkdir(f"/a/b/{A}")
    followed.refresh()
    os.rename(f"{followed.top}/a", f"{followed.top}/z")
    assert followed.paths() == [f"/z/b/{A}"]
    followed.mkdir(f"/z/b/{B}")
    assert followed.paths() == [f"/z/b/{A}", f"/z/b/{B}"]
    os.rename(f"{followed.top}/z", f"{followed.top}/../outside")
    assert followed.paths() == []
    assert followed.inotify is None or followed.watches() == 1


# -- inotify alone


def test_only_the_directory_where_something_happened_is_scanned(
    following: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.mkdir(*(f"/{each}/below" for each in range(20)), f"/system.slice/{SCOPE}")
    following.refresh()
    scanned: list[str] = []

    def directory(path: str) -> Directory:
        scanned.append(path)
        return Directory(path)

    monkeypatch.setattr(cgroup_tree, "Directory", directory)
    assert following.paths() == [f"/system.slice/{SCOPE}"] and scanned == []
    following.mkdir(f"/3/{A}")
    assert following.paths() == [f"/3/{A}", f"/system.slice/{SCOPE}"] and scanned == [f"{following.top}/3"]


def test_a_container_and_what_is_inside_it_is_not_watched(following: Followed) -> None:
    following.mkdir("/system.slice")
    following.refresh()
    watches = following.watches()
    following.mkdir(f"/system.slice/{SCOPE}/inner/more")
    following.refresh()
    assert following.watches() == watches == 2


def test_watches_of_directories_that_are_gone_are_given_back(following: Followed) -> None:
    following.refresh()
    for round_ in range(3):
        following.mkdir(f"/{round_}/a/b/c")
        following.refresh()
        assert following.watches() == 5
        following.rmdir(f"/{round_}")
        following.refresh()
        assert following.watches() == 1
        assert len(following.tree._watches) == len(following.tree._nodes) == 1


@pytest.mark.parametrize("lost", [False, True])
def test_an_interior_directory_made_anew_between_two_refreshes_is_watched_again(
    following: Followed, lost: bool
) -> None:
    following.mkdir("/custom/group")
    following.refresh()
    following.rmdir("/custom")
    following.mkdir("/custom/group")
    if lost:  # the end of the watches, too
        following.lose()
    following.refresh()
    assert following.watches() == 3
    following.mkdir(f"/custom/group/{A}")
    assert following.paths() == [f"/custom/group/{A}"]
    following.rmdir(f"/custom/group/{A}")
    assert following.paths() == []


def test_after_an_overflow_everything_is_looked_at_again(following: Followed) -> None:
    following.mkdir(f"/a/b/{A}", f"/a/c/{B}")
    before = dict(following.refresh())
    following.lose()
    assert following.refresh() == before and following.watches() == 4, "it hid nothing"
    following.rmdir("/a/b")
    following.mkdir(f"/d/{C}")
    following.lose()
    assert following.paths() == [f"/a/c/{B}", f"/d/{C}"]
    following.mkdir(f"/d/e/{A}")
    assert following.paths() == [f"/a/c/{B}", f"/d/{C}", f"/d/e/{A}"]


def test_a_real_overflow_of_the_kernels_queue_is_survived(following: Followed) -> None:
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        queue = int(file.read())
    if queue > 50_000:
        pytest.skip(f"the queue holds {queue} events: too many to fill here")
    following.mkdir("/a/x")
    following.mkdir("/a/y")
    following.refresh()
    for _ in range(queue // 4 + 10):  # equal events that follow each other are merged; each is told to two watches
        os.chmod(f"{following.top}/a/x", 0o755)
        os.chmod(f"{following.top}/a/y", 0o755)
    following.rmdir("/a")
    following.mkdir(f"/a/b/{A}")
    following.tell()
    assert following.tree._lost
    assert following.paths() == [f"/a/b/{A}"]
    following.mkdir(f"/a/b/{B}")
    assert following.paths() == [f"/a/b/{A}", f"/a/b/{B}"]


def test_events_of_another_trees_watches_are_ignored(following: Followed) -> None:
    following.mkdir(f"/a/{A}")
    following.refresh()
    following.tree.event(999_999, 0x100)
    following.tree.event(999_999, 0x8000)
    assert following.paths() == [f"/a/{A}"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOMEM])
def test_without_watches_left_every_refresh_walks_and_it_is_said_once(
    following: Followed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    following.mkdir(f"/a/{A}")
    following.mkdir("/b")
    add = Inotify.add
    monkeypatch.setattr(Inotify, "add", fail_below(add, f"{following.top}/a", number))
    with caplog.at_level(logging.WARNING):
        assert following.paths() == [f"/a/{A}"]
    assert [record.message for record in caplog.records if "inotify" in record.message] == [
        f"inotify: {os.strerror(number)}: every listing walks the cgroups instead (see fs.inotify.max_user_watches)"
    ]
    caplog.clear()
    following.mkdir(f"/b/c/{B}")
    following.rmdir(f"/a/{A}")
    assert following.paths() == [f"/b/c/{B}"]
    assert caplog.records == []


def fail_below(original: Callable[[Inotify, str], int], top: str, number: int) -> Callable[[Inotify, str], int]:
    """inotify_add_watch failing for one directory and what is below it."""

    def add(self: Inotify, path: str) -> int:
        if path == top or path.startswith(f"{top}/"):
            raise OSError(number, os.strerror(number), path)
        return original(self, path)

    return add


def test_a_directory_that_vanishes_before_it_is_watched_is_not_followed(
    following: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.mkdir(f"/a/{A}")
    following.mkdir(f"/b/{B}")
    monkeypatch.setattr(Inotify, "add", fail_below(Inotify.add, f"{following.top}/a", errno.ENOENT))
    assert following.paths() == [f"/b/{B}"]


@pytest.mark.host
def test_on_a_cgroup_file_system_directories_made_anew_are_followed_too() -> None:
    """The kernel does not tell there that a watched directory is gone: its inode does."""
    top = make_cgroup()
    inotify = Inotify()
    followed = Tree(Root("/"), Mount(top, "/", Version.V2, frozenset()), runtimes.match, inotify)

    def paths() -> list[str]:
        for event in inotify.events():
            followed.event(event.watch, event.mask)
        followed.refresh()
        return sorted(followed.containers)

    made = [f"{top}/a", f"{top}/a/b"]
    try:
        for path in made:
            os.mkdir(path)
        assert paths() == []
        for path in reversed(made):
            os.rmdir(path)
        for path in made:
            os.mkdir(path)
        assert paths() == []
        made.append(f"{top}/a/b/{A}")
        os.mkdir(made[-1])
        assert paths() == [f"/a/b/{A}"]
        with open(f"/proc/self/fdinfo/{inotify.fd}", encoding="ascii") as file:
            assert sum(line.startswith("inotify") for line in file) == 3
    finally:
        for path in reversed(made):
            os.rmdir(path)
        os.rmdir(top)
        inotify.close()


# -- what cannot be read


@pytest.mark.parametrize("seen", [False, True])
def test_a_hierarchy_that_is_not_there_is_an_error_each_time_until_it_is_and_is_followed_anew(
    followed: Followed, seen: bool
) -> None:
    followed.mkdir(f"/a/{A}")
    if seen:
        followed.refresh()
    shutil.rmtree(followed.top)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            followed.refresh()
    for path in (f"/b/{B}", f"/b/{C}"):
        followed.mkdir(path)
        assert path in followed.paths()
    shutil.rmtree(followed.top)
    for expected in ([f"/a/{A}"], [f"/a/{A}", f"/c/{C}"]):  # replaced between two looks
        followed.mkdir(expected[-1])
        assert followed.paths() == expected


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_after_a_failure_of_the_moment_nothing_is_missing(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    followed.mkdir(f"/a/{A}")
    followed.mkdir(f"/b/{B}")
    failing = [f"{followed.top}/b"]

    def directory(path: str) -> object:
        if path in failing:
            raise OSError(number, os.strerror(number), path)
        return Directory(path)

    monkeypatch.setattr(cgroup_tree, "Directory", directory)
    with pytest.raises(OSError, match=os.strerror(number)):
        followed.refresh()
    failing.clear()
    assert followed.paths() == [f"/a/{A}", f"/b/{B}"]
    failing.append(f"{followed.top}/a")
    followed.mkdir(f"/a/{C}")
    with pytest.raises(OSError, match=os.strerror(number)):
        followed.refresh()
    failing.clear()
    assert followed.paths() == [f"/a/{A}", f"/a/{C}", f"/b/{B}"]


def test_a_directory_that_its_user_made_unreadable_costs_nobody_else_anything(followed: Followed) -> None:
    """An unprivileged agent must not lose its listing to a user's ``chmod 0`` in their own slice."""
    followed.mkdir(f"/system.slice/{SCOPE}")
    followed.mkdir(f"/user.slice/user-1000.slice/mine/docker-{B}.scope", uid=1000)
    for base, _, _ in os.walk(followed.top):
        os.chmod(base, 0o755)
    reachable(followed.top)
    mine = f"{followed.top}/user.slice/user-1000.slice/mine"
    os.chmod(mine, 0)
    try:
        with unprivileged():
            assert followed.paths() == [f"/system.slice/{SCOPE}"]
            assert followed.paths() == [f"/system.slice/{SCOPE}"]
        followed.mkdir(f"/system.slice/docker-{C}.scope")
        with unprivileged():
            assert followed.paths() == [f"/system.slice/{SCOPE}", f"/system.slice/docker-{C}.scope"]
    finally:
        os.chmod(mine, 0o755)
    assert followed.tree._inotify is followed.inotify  # still following
    with unprivileged():
        assert len(followed.paths()) == 3  # it became readable


def reachable(path: str) -> None:
    """Let everybody pass through the directories above a path (pytest makes them private)."""
    while path != "/":
        os.chmod(path, os.stat(path).st_mode | 0o055) if os.stat(path).st_uid == os.geteuid() else None
        path = os.path.dirname(path)


# -- limits


def test_directories_are_followed_to_a_depth_and_no_further(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    deep = "/d" * cgroup_tree.MAX_DEPTH
    followed.mkdir(f"{deep}/{A}", f"{deep}/e/{B}", f"{deep}/e/f/g/{C}")
    with caplog.at_level(logging.WARNING):
        assert followed.paths() == followed.paths() == [f"{deep}/{A}"]
    assert [record.message[:25] for record in caplog.records] == ["too many or too deep cgro"]


def test_a_number_of_directories_is_followed_and_no_more(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cgroup_tree, "MAX_DIRECTORIES", 10)
    followed.mkdir(*(f"/{n:02}" for n in range(30)))
    with caplog.at_level(logging.WARNING):
        followed.refresh()
    assert len(followed.tree._nodes) == 10 and len(caplog.records) == 1
    for n in range(25):
        followed.rmdir(f"/{n:02}")
    followed.mkdir(f"/29/{A}")
    assert followed.paths() == [f"/29/{A}"], "there is room again"


def test_of_one_directory_of_a_users_a_number_of_entries_is_listed_and_no_more(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each change in it makes all be listed anew: 60,000 took 0.4 s a pass, and put off everybody's."""
    monkeypatch.setattr(cgroup_tree, "MOST_OF_A_USER", 5)
    followed.mkdir(*(f"/user-1000.slice/{n}" for n in range(30)), uid=1000)
    followed.mkdir(*(f"/kubepods/{n}" for n in range(30)))
    with caplog.at_level(logging.WARNING):
        followed.refresh()
    assert len(followed.below("/user-1000.slice")) == 5 and len(caplog.records) == 1
    assert len(followed.below("/kubepods")) == 30


def scans(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every directory that is listed from now on, in their order."""
    listed: list[str] = []
    original = Tree._list

    def listing(known: Tree, path: str, node: cgroup_tree._Node) -> dict[str, int]:
        listed.append(path)
        return original(known, path, node)

    monkeypatch.setattr(Tree, "_list", listing)
    return listed


def test_of_the_directories_that_a_user_changes_a_part_is_listed_each_time_and_all_have_their_turn(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing all of 5,800 took 0.1 s of each pass, for each user: making and removing costs them little."""
    places = [f"/user-1000.slice/{n:02}" for n in range(30)]
    for place in places:
        followed.mkdir(place)
    for _ in range(10):
        followed.refresh()
    monkeypatch.setattr(cgroup_tree, "USERS_LOOKS", 12)
    listed = scans(followed, monkeypatch)
    for place in places:
        followed.mkdir(f"{place}/{A}")
    followed.mkdir(f"/kubepods/{B}")
    followed.mkdir(f"/user-1001.slice/{C}")
    found = [len(followed.refresh())]
    assert f"/kubepods/{B}" in followed.tree.containers and f"/user-1001.slice/{C}" in followed.tree.containers
    assert 10 <= len([path for path in listed if path.startswith("/user-1000.slice")]) <= 12
    found += [len(followed.refresh()) for _ in range(3)]
    assert found[0] < found[1] < found[2] == found[3] == 32


@pytest.mark.parametrize("lost", [False, True])
def test_of_the_directories_that_a_user_makes_a_part_is_followed_each_time_until_all_are(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """``lost``: events are, meanwhile; all are found at last then too."""
    monkeypatch.setattr(cgroup_tree, "USERS_LOOKS", 12)
    followed.mkdir(*(f"/user-1000.slice/{n}/{A}" for n in range(30)), *(f"/kubepods/{n}/{B}" for n in range(30)))
    found = []
    for round_ in range(15):
        containers = followed.refresh()
        assert sum(path.startswith("/kubepods/") for path in containers) == 30
        found.append(len(containers) - 30)
        if lost and round_ == 2:
            followed.lose()
    assert (lost or found == sorted(found)) and 0 < found[0] <= 12 and found[-1] == 30
    assert set(followed.below("/user-1000.slice")) == {f"/user-1000.slice/{n}" for n in range(30)}
    followed.rmdir("/user-1000.slice")
    assert len(followed.refresh()) == 30


def test_a_users_directories_never_take_the_room_of_the_systems(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup_tree, "MAX_DIRECTORIES", 40)
    followed.mkdir(*(f"/a.slice/user-1000.slice/{n}" for n in range(60)), uid=1000)
    followed.refresh()
    followed.mkdir(*(f"/kubepods/{n}/{n:064}" for n in range(10)))
    assert len(followed.paths()) == 10


# -- owners


@pytest.mark.parametrize(
    ("path", "given", "owners"),
    [
        (f"/user.slice/user-1000.slice/session-1.scope/{A}", {}, (1000, 1000)),
        (f"/system.slice/app.service/deep/er/{A}", {"/system.slice/app.service": 1001}, (1001, 1001)),
        (f"/system.slice/docker-{A}.scope", {f"/system.slice/docker-{A}.scope": 100_000}, (100_000, 0)),
        (f"/user-1000.slice/user-0.slice/user-2000.slice/{A}", {}, (1000, 1000)),
        (f"/mine/user-0.slice/{A}", {"/mine": 1000}, (1000, 1000)),
        (f"/user.slice/user-0.slice/{A}", {}, (0, 0)),
        *((f"/{name}/{A}", {}, (0, 0)) for name in ("user-1000.slicer", "xuser-1000.slice", "user-.slice",
                                                    "user-1000.slice.d")),
    ],
)  # fmt: skip
def test_the_outermost_owner_counts_of_a_users_slice_or_of_a_directory(
    followed: Followed, path: str, given: dict[str, int], owners: tuple[int, int]
) -> None:
    for each, uid in given.items():
        followed.mkdir(each, uid=uid)
    followed.mkdir(path)
    assert {each: owners_of(found) for each, found in followed.refresh().items()} == {path: owners}


def owners_of(found: Found) -> tuple[int, int]:
    return found.owner_uid, found.parent_owner_uid


def test_a_directory_that_is_given_to_a_user_after_it_was_seen_is_theirs(followed: Followed) -> None:
    """systemd makes a delegated unit's cgroup first and gives it to the unit's user then."""
    path = f"/system.slice/app.service/docker-{A}.scope"
    followed.mkdir(path)
    assert owners_of(followed.refresh()[path]) == (0, 0)
    followed.root.owners["/cg/system.slice/app.service"] = 1000
    os.chmod(f"{followed.top}/system.slice/app.service", 0o755)  # as a chown would, this wakes the watch
    assert owners_of(followed.refresh()[path]) == (1000, 1000)
    followed.mkdir(f"/system.slice/app.service/docker-{B}.scope")
    assert [owners_of(each) for each in followed.refresh().values()] == [(1000, 1000)] * 2


# -- any sequence of changes


NAMES = st.sampled_from(["a", "b", "user-1000.slice", "lxc", f"docker-{A}.scope", B, f"libpod-conmon-{C}.scope"])


class Changes(RuleBasedStateMachine):
    """mkdir, rmdir and re-creation anywhere: after each refresh the followed state equals a fresh walk."""

    @initialize()
    def start(self) -> None:
        self.top = tempfile.mkdtemp(prefix="cgstatd-tree-")
        self.followed = Followed(self.top, follow=True)
        self.walking = Followed(self.top, follow=False)
        self.made = [""]

    @rule(data=st.data(), name=NAMES)
    def mkdir(self, data: st.DataObject, name: str) -> None:
        path = f"{data.draw(st.sampled_from(self.made))}/{name}"
        if path.count("/") > 6 or not os.path.isdir(self.followed.top + os.path.dirname(path)):
            return
        os.makedirs(self.followed.top + path, exist_ok=True)
        if path not in self.made:
            self.made.append(path)

    @rule(data=st.data())
    def rmdir(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(self.made))
        if path:
            shutil.rmtree(self.followed.top + path, ignore_errors=True)

    @rule(data=st.data())
    def recreate(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(self.made))
        if path and os.path.isdir(self.followed.top + path):
            below = [base for base, _, _ in os.walk(self.followed.top + path)]
            shutil.rmtree(self.followed.top + path)
            for each in below:
                os.makedirs(each, exist_ok=True)

    @rule(data=st.data(), name=NAMES)
    def rename(self, data: st.DataObject, name: str) -> None:
        path = data.draw(st.sampled_from(self.made))
        target = f"{os.path.dirname(path)}/{name}"
        if path and os.path.isdir(self.followed.top + path) and not os.path.exists(self.followed.top + target):
            os.rename(self.followed.top + path, self.followed.top + target)
            self.made.append(target)

    @rule()
    def overflow(self) -> None:
        assert self.followed.inotify is not None
        self.followed.inotify.events()
        self.followed.tree.event(-1, IN_Q_OVERFLOW)

    @rule()
    def tell(self) -> None:
        self.followed.tell()

    @rule()
    def refresh(self) -> None:
        fresh = Followed(self.top, follow=False)
        expected = fresh.refresh()
        assert self.walking.refresh() == expected
        assert self.followed.refresh() == expected
        assert self.followed.tree._nodes.keys() == fresh.tree._nodes.keys()
        assert self.followed.watches() == len(fresh.tree._nodes)

    @invariant()
    def bounded(self) -> None:
        if hasattr(self, "followed"):
            assert len(self.followed.tree._watches) <= len(self.followed.tree._nodes)

    def teardown(self) -> None:
        if hasattr(self, "followed"):
            self.refresh()
            self.followed.close()
            shutil.rmtree(self.top)


TestChanges = Changes.TestCase
TestChanges.settings = settings(
    max_examples=often(60), stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)


def test_what_is_known_of_one_users_directories_has_so_many_bytes_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_room, "USERS_BYTES", 20_000)
    followed = Followed(str(tmp_path), follow=False)
    for uid in (1000, 1001):
        for number in range(100):
            followed.mkdir(f"/user.slice/user-{uid}.slice/docker-{number:064x}.scope")
    followed.mkdir(f"/system.slice/{SCOPE}")
    found = followed.refresh()
    owners = [each.parent_owner_uid for each in found.values()]
    assert 0 < owners.count(1000) == owners.count(1001) < 25 and owners.count(0) == 1
    for path in [path for path, each in found.items() if each.parent_owner_uid == 1000]:
        followed.rmdir(path)  # those that there was no room for come up, and nothing is lost of it
    again = [each.parent_owner_uid for each in followed.refresh().values()]
    assert again.count(1000) == owners.count(1000) and again.count(1001) == owners.count(1001)


def test_a_users_long_paths_take_the_place_of_its_own_directories_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_room, "USERS_BYTES", 20_000)
    followed = Followed(str(tmp_path), follow=False)
    deep = "/user.slice/user-1000.slice" + "".join(f"/{letter * 250}" for letter in "abcdefghijkl")
    followed.mkdir(f"{deep}/{SCOPE}")
    followed.mkdir(f"/user.slice/user-1001.slice/docker-{B}.scope")
    assert followed.paths() == [f"/user.slice/user-1001.slice/docker-{B}.scope"]
    followed.rmdir("/user.slice/user-1000.slice")
    followed.mkdir(f"/user.slice/user-1000.slice/{SCOPE}")
    assert len(followed.paths()) == 2
