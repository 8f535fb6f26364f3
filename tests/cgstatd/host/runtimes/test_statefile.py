"""Reading a runtime's state file: what is believed, what is refused and how it is said."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec
import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Root
from cgstatd.host.runtimes import Unreadable
from cgstatd.host.runtimes.beneath import MAX_DEPTH, open_directory
from cgstatd.host.runtimes.budget import ENTRY_BYTES, READ_BYTES, SYSTEM, USER, Budget, Share, weigh
from cgstatd.host.runtimes.state_values import is_file_name, parser_of
from cgstatd.host.runtimes.statefile import MOST_HUNG, USERS_NAMES, StateFiles

from ..conftest import Later
from .conftest import Write

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


def test_a_file_is_read_and_what_is_not_there_costs_one_call(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(PATH, "content")
    files = StateFiles(Root())
    assert files.read(PATH, bytes) == b"content"
    assert files.read("/var/lib/x/other", bytes) is None
    monkeypatch.setattr(os, "open", None)
    assert files.read("/var/lib/y/state", bytes) is None and files.names("/var/lib/y") == []


def test_an_unchanged_file_is_parsed_once_and_costs_one_stat(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(PATH, "content")
    os.utime(PATH, LONG_AGO)
    root = Later()
    root.stopped = root.clock()
    files, parse = StateFiles(root), Counting()
    files.read(PATH, parse)
    monkeypatch.setattr(os, "open", None)
    assert files.read(PATH, parse) == b"content"
    assert parse.calls == 1


def test_a_file_that_had_just_changed_is_read_once_more(write: Write) -> None:
    write(PATH, "content")
    root = Later()
    root.stopped = root.clock()
    files, parse = StateFiles(root), Counting()
    for seconds, calls in ((0, 1), (0, 1), (1, 2), (1, 2), (1, 2)):
        root.seconds += seconds
        files.read(PATH, parse)
        assert parse.calls == calls


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: (path.touch(), path.chmod(0o664)), "writable by its group or by others"),
        (lambda path: (path.touch(), path.chmod(0o646)), "writable by its group or by others"),
        (lambda path: path.symlink_to("/etc/passwd"), "is a symbolic link"),
        (Path.mkdir, "is not a regular file"),
        (os.mkfifo, "is not a regular file"),
        (sparse, "larger than 4194304 bytes"),
    ],
    ids=["its group may write", "others may write", "link", "directory", "fifo that would block", "sparse gigabyte"],
)
def test_what_is_no_plain_file_of_the_owners_alone_is_refused_unread(
    tmp_path: Path, real_root: Root, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "state")
    monkeypatch.setattr(os, "read", None)
    assert StateFiles(real_root, os.getuid()).read("/state", bytes) == Unreadable(reason, "/state")


def test_an_owner_is_looked_at_again_and_the_path_told_is_the_one_without_links(write: Write) -> None:
    write("/host/mnt/data/state", "content")
    os.symlink("/mnt/data", "/host/data")
    files = StateFiles(Root("/host"))
    assert files.read("/data/state", bytes) == b"content"
    os.unlink("/host/mnt/data/state")
    write("/host/mnt/data/state", "content", uid=5)
    refused = Unreadable("owned by uid 5, not by 0", "/mnt/data/state")
    assert files.read("/data/state", bytes) == refused == StateFiles(Root("/host")).read("/data/state", bytes)


def test_a_file_that_cannot_be_read_says_what_is_missing(open_root: Root, plain_user: PlainUser) -> None:
    for name, mode in (("private", 0o600), ("public", 0o644)):
        with open(open_root.join(f"/{name}"), "wb") as file:
            file.write(b"content")
            os.fchmod(file.fileno(), mode)
    files = StateFiles(open_root)
    with plain_user():
        assert files.read("/public", bytes) == b"content"
        found = files.read("/private", bytes)
    assert found == Unreadable("permission denied (names need CAP_DAC_READ_SEARCH)", "/private", right=True)


def test_a_directory_is_passed_through_with_its_x_permission_alone(open_root: Root, plain_user: PlainUser) -> None:
    os.makedirs(open_root.join("/a/b"))
    os.chmod(open_root.join("/a"), 0o711)
    with open(open_root.join("/a/b/state"), "wb") as file:
        file.write(b"content")
    with plain_user():
        assert StateFiles(open_root).read("/a/b/state", bytes) == b"content"
        assert isinstance(StateFiles(open_root).names("/a"), Unreadable)


def test_a_file_as_directory_is_refused(write: Write) -> None:
    below = f"{write(PATH, 'content')}/below"
    files = StateFiles(Root())
    assert files.read(below, bytes) == Unreadable("a part of the path is not a directory", below)
    assert isinstance(files.names(PATH), Unreadable)


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
    assert StateFiles(Root()).read(write(PATH, content), parser_of(Named)) == Unreadable(reason, PATH)


@pytest.mark.parametrize(
    "raised",
    [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), msgspec.DecodeError("Invalid UTF-8 string")],
)
def test_bytes_that_are_no_text_are_called_so_by_any_version_of_the_parser(write: Write, raised: ValueError) -> None:
    def parse(_data: bytes) -> object:
        raise raised

    assert StateFiles(Root()).read(write(PATH, "content"), parse) == Unreadable("not valid UTF-8", PATH)


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


def test_links_that_do_not_end_are_given_up(write: Write, host: FakeFilesystem) -> None:
    os.makedirs("/a")
    os.symlink("/b", "/b")
    os.symlink("c/" * MAX_DEPTH + "c", "/a/far")
    os.makedirs("/a/" + "c/" * MAX_DEPTH + "c")
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


# -- what is kept


ENTRY = weigh(b"a" * 40) + ENTRY_BYTES


def users(root: Root, kept: int = 1 << 20, share: Share = USER) -> StateFiles:
    return StateFiles(root, 1000, Budget(user=share._replace(kept=kept)))


def anns(write: Write, *names: str, size: int = 40) -> list[str]:
    """Files of a user's."""
    return [write(f"/home/ann/{name}", name * size, uid=1000) for name in names]


def test_what_is_kept_of_a_users_files_is_bounded_until_some_were_not_asked_for_lately(write: Write) -> None:
    a, b, c = anns(write, *"abc")
    root = Later()
    files = users(root, 2 * ENTRY + 100)
    assert [files.read(path, bytes) for path in (a, b)] == [b"a" * 40, b"b" * 40]
    found = files.read(c, bytes)
    assert isinstance(found, Unreadable) and found.reason.startswith("no room: of the files of uid 1000 at most")
    root.seconds += 11
    files.read(b, bytes)
    assert files.read(c, bytes) == b"c" * 40


def test_a_file_that_is_gone_gives_its_place_to_the_next_one(write: Write) -> None:
    root = Later()
    files = users(root, 2 * ENTRY + 100)
    for number in range(10):
        root.seconds += 2
        [path] = anns(write, f"{number}")
        assert files.read(path, bytes) == b"%d" % number * 40
        os.unlink(path)


def test_files_that_are_gone_are_not_kept_for_longer_than_some_seconds(write: Write) -> None:
    root, budget = Later(), Budget()
    files = StateFiles(root, 0, budget)
    other = write("/var/lib/other", "x")
    for number in range(20):
        files.read(write(f"/var/lib/x/{number}", "x" * 1000), bytes)
        os.unlink(f"/var/lib/x/{number}")
    files.read(other, bytes)
    before = budget.shelf(0).bytes
    root.seconds += 60
    files.read(other, bytes)
    assert before > 20_000 and budget.shelf(0).bytes < 2_000


def test_what_counts_is_what_was_made_of_a_file_and_once(write: Write) -> None:
    budget = Budget()
    files = StateFiles(Root(), 1000, budget)
    for number in range(5):
        write("/home/ann/a", f"{number}" * 100_000, uid=1000)
        assert files.read("/home/ann/a", len) == 100_000
    assert budget.shelf(1000).bytes < 2_000
    os.unlink("/home/ann/a")
    assert files.read("/home/ann/a", len) is None
    assert budget.shelf(1000).bytes == 0


def test_the_systems_files_have_a_bound_too(write: Write) -> None:
    budget = Budget(system=SYSTEM._replace(kept=1 << 20))
    files = StateFiles(Root(), 0, budget)
    found = [files.read(write(f"/var/lib/x/{number}", "x" * 100_000), bytes) for number in range(20)]
    assert sum(isinstance(each, bytes) for each in found) == 10
    assert budget.shelf(0).bytes <= 1 << 20


def test_what_is_equal_is_what_there_was(write: Write) -> None:
    files, parse = StateFiles(Root()), parser_of(dict[str, Named])
    before = files.read(write(PATH, '{"1": {"name": "a"}, "2": {"name": "b"}}'), parse)
    after = files.read(write(PATH, '{"1": {"name": "a"},  "2": {"name": "c"}, "3": {"name": "d"}}'), parse)
    assert isinstance(before, dict) and isinstance(after, dict)
    assert after["1"] is before["1"] and after["2"] == Named("c")
    one = files.read(write("/var/lib/x/one", '{"name": "a"}'), parser_of(Named))
    assert files.read(write("/var/lib/x/one", '{"name":  "a"}'), parser_of(Named)) is one
    assert files.read(write("/var/lib/x/one", '{"name": "b"}'), parser_of(Named)) == Named("b")


# -- how much is read


def test_a_file_that_changes_all_the_time_is_read_for_so_many_bytes_a_second(write: Write) -> None:
    root, parse = Later(), Counting()
    files = users(root, share=Share(0, burst=3 * (1000 + READ_BYTES), rate=1000))
    for number in range(20):
        assert isinstance(files.read(write("/home/ann/a", f"{number:01000}", uid=1000), parse), bytes)
    assert parse.calls == 3
    root.seconds += 60
    assert files.read("/home/ann/a", parse) == b"%01000d" % 19
    assert parse.calls == 4


def test_a_file_that_is_to_be_read_later_says_so_until_then_and_is_not_believed_once_it_is_somebody_elses(
    write: Write,
) -> None:
    root = Later()
    files = users(root, share=Share(0, burst=READ_BYTES + 100, rate=1000))
    a, b = anns(write, "a", "b", size=100)
    assert files.read(a, bytes) == b"a" * 100
    found = files.read(b, bytes)
    assert isinstance(found, Unreadable) and found.reason.startswith("read later: of the files of uid 1000")
    write(a, "b" * 100, uid=1001)
    assert files.read(a, bytes) == Unreadable("owned by uid 1001, not by 1000", a)
    root.seconds += 10
    assert files.read(b, bytes) == b"b" * 100


def test_a_file_dated_in_the_future_is_read_once_more_and_no_oftener(write: Write) -> None:
    write(PATH, "content")
    os.utime(PATH, (4_000_000_000, 4_000_000_000))
    root = Later()
    files, parse = StateFiles(root), Counting()
    for _ in range(10):
        files.read(PATH, parse)
        root.seconds += 1
    assert parse.calls == 2


def test_the_names_of_a_users_directory_are_so_many_at_most(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(USERS_NAMES + 10):
        (tmp_path / f"{number}").touch()
    files = StateFiles(Root(str(tmp_path)), 1000)
    for _ in range(2):
        names = files.names("/")
        assert isinstance(names, list) and len(names) == USERS_NAMES
    assert [record.message for record in caplog.records] == [
        f"uid=1000 more than {USERS_NAMES} names in /: the others are left out"
    ]
    names = StateFiles(Root(str(tmp_path))).names("/")
    assert len(names) == USERS_NAMES + 10 if isinstance(names, list) else False


def test_a_file_that_another_thread_hangs_at_is_what_it_was_before_or_unreadable_with_the_reason(write: Write) -> None:
    write(PATH, "content")
    files, new = StateFiles(Root()), StateFiles(Root())
    assert files.read(PATH, bytes) == b"content"
    write(PATH, "other")
    with files.root.readers.of(PATH), new.root.readers.of(PATH):
        assert files.read(PATH, bytes) == b"content"
        found = new.read(PATH, bytes)
    assert isinstance(found, Unreadable) and "still hangs" in found.reason
    assert files.read(PATH, bytes) == b"other" == new.read(PATH, bytes)


def test_a_dead_disk_below_an_engines_state_does_not_take_every_thread(write: Write) -> None:
    write(PATH, "content")
    files = StateFiles(Root())
    with ExitStack() as stack:
        for number in range(MOST_HUNG):
            stack.enter_context(files.root.readers.of(f"/var/lib/x/{number}"))
        assert isinstance(files.read(PATH, bytes), Unreadable)
    assert files.read(PATH, bytes) == b"content"
