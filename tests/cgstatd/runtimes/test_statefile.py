"""Reading a runtime's state file: what is believed, what is refused and how it is said."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs.pseudofs import Clock, Root
from cgstatd.runtimes import Unreadable
from cgstatd.runtimes.beneath import MAX_DEPTH, open_directory
from cgstatd.runtimes.statefile import StateFiles, is_file_name, parser_of

Write = Callable[..., str]
PlainUser = Callable[[], AbstractContextManager[None]]
PATH = "/var/lib/x/state"
LONG_AGO = (1_700_000_000, 1_700_000_000)


class Counting:
    """A parser that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, data: bytes) -> bytes:
        self.calls += 1
        return data


def test_a_file_is_read(write: Write) -> None:
    write(PATH, "content")
    assert StateFiles(Root()).read(PATH, bytes) == b"content"


def test_an_absent_file_or_directory_is_none(write: Write) -> None:
    write(PATH, "content")
    files = StateFiles(Root())
    assert files.read("/var/lib/x/other", bytes) is None
    assert files.read("/var/lib/y/state", bytes) is None
    assert files.names("/var/lib/y") == []


def test_an_unchanged_file_is_parsed_once_and_costs_one_stat(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(PATH, "content")
    os.utime(PATH, LONG_AGO)
    files, parse = StateFiles(Root()), Counting()
    files.read(PATH, parse)
    monkeypatch.setattr(os, "open", None)
    assert files.read(PATH, parse) == b"content"
    assert parse.calls == 1


def test_a_replaced_file_is_read_again(write: Write) -> None:
    write(PATH, "before")
    files = StateFiles(Root())
    assert files.read(PATH, bytes) == b"before"
    write(PATH, "behind")
    assert files.read(PATH, bytes) == b"behind"


class Later(Root):
    """A root whose clock a test moves on."""

    seconds = 0.0

    def clock(self) -> Clock:
        now = super().clock()
        return Clock(now.monotonic_ns + int(self.seconds * 1e9), now.time_ms + int(self.seconds * 1e3))


def test_a_file_that_had_just_changed_is_read_once_more(write: Write) -> None:
    write(PATH, "content")
    root = Later()
    files, parse = StateFiles(root), Counting()
    files.read(PATH, parse)
    files.read(PATH, parse)
    assert parse.calls == 1
    for _ in range(3):
        root.seconds += 1
        files.read(PATH, parse)
    assert parse.calls == 2


def test_a_new_owner_of_the_same_file_is_noticed(write: Write) -> None:
    write(PATH, "content")
    files = StateFiles(Root())
    assert files.read(PATH, bytes) == b"content"
    os.unlink(PATH)
    write(PATH, "content", uid=1000)
    assert files.read(PATH, bytes) == Unreadable("owned by uid 1000, not by 0", PATH)


def test_another_users_file_is_refused(write: Write) -> None:
    write(PATH, "content")
    assert StateFiles(Root(), owner_uid=1000).read(PATH, bytes) == Unreadable("owned by uid 0, not by 1000", PATH)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, real_root: Root, mode: int) -> None:
    (tmp_path / "state").write_text("content")
    files = StateFiles(real_root, os.getuid())
    assert files.read("/state", bytes) == b"content"
    (tmp_path / "state").chmod(mode)
    assert files.read("/state", bytes) == Unreadable("writable by its group or by others", "/state")


def test_a_file_that_cannot_be_read_says_what_is_missing(open_root: Root, plain_user: PlainUser) -> None:
    for name, mode in (("private", 0o600), ("public", 0o644)):
        with open(open_root.join(f"/{name}"), "wb") as file:
            file.write(b"content")
            os.fchmod(file.fileno(), mode)
    files = StateFiles(open_root)
    with plain_user():
        assert files.read("/public", bytes) == b"content"
        found = files.read("/private", bytes)
    assert found == Unreadable("permission denied (names need CAP_DAC_READ_SEARCH)", "/private")


def test_a_directory_is_passed_through_with_its_x_permission_alone(open_root: Root, plain_user: PlainUser) -> None:
    os.makedirs(open_root.join("/a/b"))
    os.chmod(open_root.join("/a"), 0o711)
    with open(open_root.join("/a/b/state"), "wb") as file:
        file.write(b"content")
    with plain_user():
        assert StateFiles(open_root).read("/a/b/state", bytes) == b"content"
        assert isinstance(StateFiles(open_root).names("/a"), Unreadable)


def test_a_link_in_place_of_the_file_is_refused(write: Write) -> None:
    write("/etc/shadow", "secret")
    os.makedirs("/var/lib/x")
    os.symlink("/etc/shadow", PATH)
    assert StateFiles(Root()).read(PATH, bytes) == Unreadable("is a symbolic link", PATH)


def test_a_directory_or_a_file_as_directory_is_refused(write: Write) -> None:
    write(PATH, "content")
    files = StateFiles(Root())
    assert files.read("/var/lib/x", bytes) == Unreadable("is not a regular file", "/var/lib/x")
    below = f"{PATH}/below"
    assert files.read(below, bytes) == Unreadable("a part of the path is not a directory", below)
    assert isinstance(files.names(PATH), Unreadable)


def test_a_fifo_does_not_block(tmp_path: Path, real_root: Root) -> None:
    os.mkfifo(tmp_path / "state")
    found = StateFiles(real_root, os.getuid()).read("/state", bytes)
    assert found == Unreadable("is not a regular file", "/state")


def test_a_sparse_gigabyte_is_not_read(tmp_path: Path, real_root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "state", "wb") as file:
        file.truncate(1 << 30)
    monkeypatch.setattr(os, "read", None)
    found = StateFiles(real_root, os.getuid()).read("/state", bytes)
    assert found == Unreadable("larger than 4194304 bytes", "/state")


def test_a_file_that_grows_while_it_is_read_is_given_up(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(PATH, "content")
    monkeypatch.setattr(os, "read", lambda fd, size: b"x" * size)
    assert StateFiles(Root()).read(PATH, bytes) == Unreadable("larger than 4194304 bytes", PATH)


class Named(msgspec.Struct):
    name: str
    labels: dict[str, str] | None = None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"name": "a"', "malformed: Input data was truncated"),
        ("", "malformed: Input data was truncated"),
        ("[]", "malformed: Expected `object`, got `array`"),
        ("{}", "malformed: Object missing required field `name`"),
        ('{"name": 5}', "malformed: Expected `str`, got `int` - at `$.name`"),
        ('{"name": "a", "labels": {"s3cr3t": 1}}', "malformed: Expected `str`, got `int` - at `$.labels[...]`"),
        (b'{"name": "\xff"}', "not valid UTF-8"),
        ('{"x":' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_without_its_content(write: Write, content: str | bytes, reason: str) -> None:
    write(PATH, content)
    assert StateFiles(Root()).read(PATH, parser_of(Named)) == Unreadable(reason, PATH)


def test_links_of_the_host_stay_below_the_hosts_root(write: Write, host: FakeFilesystem) -> None:
    write("/host/mnt/data/docker/state", "the host's")
    write("/mnt/data/docker/state", "the agent's own")
    os.makedirs("/host/var/lib")
    os.symlink("/mnt/data/docker", "/host/var/lib/docker")
    os.symlink("../../../../../mnt/data", "/host/var/lib/data")
    os.symlink("/var/lib/data/docker", "/host/twice")
    files = StateFiles(Root("/host"))
    for path in ("/var/lib/docker/state", "/var/lib/data/docker/state", "/twice/state"):
        assert files.read(path, bytes) == b"the host's"
    assert files.names("/twice") == ["state"]


def test_the_path_told_is_the_one_without_links(write: Write) -> None:
    write("/host/mnt/data/state", "x", uid=5)
    os.symlink("/mnt/data", "/host/data")
    assert StateFiles(Root("/host")).read("/data/state", bytes) == Unreadable(
        "owned by uid 5, not by 0", "/mnt/data/state"
    )


def test_links_that_do_not_end_are_given_up(write: Write, host: FakeFilesystem) -> None:
    os.makedirs("/a")
    os.symlink("/b", "/b")
    os.symlink("c/" * MAX_DEPTH + "c", "/a/far")
    os.makedirs("/a/" + "c/" * MAX_DEPTH)
    files = StateFiles(Root())
    assert files.read("/b/state", bytes) == Unreadable("is a symbolic link", "/b/state")
    assert isinstance(files.read("/a/far/state", bytes), Unreadable)


def test_descriptors_are_closed(tmp_path: Path, real_root: Root) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "state").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    before = set(os.listdir("/proc/self/fd"))
    files = StateFiles(real_root, os.getuid())
    for path in ("/a/state", "/a/none", "/loop/x", "/a/state/x", "/none/x"):
        files.read(path, bytes)
    fd, _ = open_directory(real_root, "/a/../a/.")
    os.close(fd)
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("path", ["/a\0b/state", "/a/\ud800/state"])
def test_an_impossible_path_is_unreadable(tmp_path: Path, real_root: Root, path: str) -> None:
    (tmp_path / "a").mkdir()
    assert isinstance(StateFiles(real_root).read(path, bytes), Unreadable)
    assert isinstance(StateFiles(real_root).names(path), Unreadable)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "a\n", "\udcff", "a" * 256])
def test_such_names_never_become_part_of_a_path(name: str) -> None:
    assert not is_file_name(name)


# -- a user's share


def test_what_a_users_files_have_together_is_bounded_and_said(write: Write) -> None:
    for name in "abc":
        write(f"/home/ann/{name}", name * 40, uid=1000)
    root = Later()
    files = StateFiles(root, 1000, share=100)
    assert [files.read(f"/home/ann/{name}", bytes) for name in "ab"] == [b"a" * 40, b"b" * 40]
    refused = Unreadable("the files of uid 1000 have more than 100 bytes together", "/home/ann/c")
    assert files.read("/home/ann/c", bytes) == refused
    os.unlink("/home/ann/a")
    assert files.read("/home/ann/a", bytes) is None
    assert files.read("/home/ann/c", bytes) == refused  # looked at a moment ago
    root.seconds += 11
    assert files.read("/home/ann/c", bytes) == b"c" * 40


def test_a_file_that_is_read_again_counts_once_and_one_that_is_refused_not_at_all(write: Write) -> None:
    files = StateFiles(Root(), 1000, share=100)
    for number in range(5):
        write("/home/ann/a", f"{number}" * 60, uid=1000)
        assert files.read("/home/ann/a", bytes) == b"%d" % number * 60
    write("/home/ann/malformed", "x" * 40, uid=1000)
    assert isinstance(files.read("/home/ann/malformed", parser_of(int)), Unreadable)
    write("/home/ann/b", "b" * 40, uid=1000)
    assert files.read("/home/ann/b", bytes) == b"b" * 40


def test_the_systems_own_files_have_no_such_bound(write: Write) -> None:
    files = StateFiles(Root())
    for number in range(10):
        write(f"/var/lib/x/{number}", "x" * (2 << 20))
        assert files.read(f"/var/lib/x/{number}", len) == 2 << 20
