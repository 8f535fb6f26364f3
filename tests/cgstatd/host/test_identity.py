"""Identities: metadata joined to cgroups."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import Clock, Root
from cgstatd.basics import file_look
from cgstatd.basics.text import printable
from cgstatd.host.discovery import CgroupRef
from cgstatd.host.identity import SHORT_ID, Identity, Names, left_behind, short
from cgstatd.host.runtimes.base import Match, Metadata, MetadataSource, Unreadable

A, B = "a" * 64, "b" * 64


class Source:
    """A runtime's state with what is given; everything it was asked for is noted."""

    def __init__(self, runtime: str = "docker", owner_uid: int = 0, /, **found: Metadata | Unreadable) -> None:
        self.runtime = runtime
        self.owner_uid = owner_uid
        self.found = found
        self.asked: list[str] = []
        self.places: tuple[str, ...] = ()

    def get(self, container_id: str) -> Metadata | Unreadable | None:
        self.asked.append(container_id)
        return self.found.get(container_id)

    def all(self) -> Iterator[Metadata]:
        yield from (each for each in self.found.values() if isinstance(each, Metadata))


def meta(container_id: str, name: str, runtime: str = "docker", uid: int = 0, **more: Any) -> Metadata:
    return Metadata(runtime, container_id, name, owner_uid=uid, **more)


def ref(container_id: str, runtime: str = "docker", uid: int = 0, parent_uid: int | None = None) -> CgroupRef:
    path = f"/docker/{container_id}"
    above = uid if parent_uid is None else parent_uid
    return CgroupRef(path, Match(runtime, container_id), (("/sys/fs/cgroup", 1),), uid, above)


def names(*system: MetadataSource, users: Mapping[int, Sequence[MetadataSource]] | None = None) -> Names:
    return Names(system, lambda uid: (users or {}).get(uid, []))


def with_more(first: Source, more: Source) -> Names:
    """Further sources are there for who asks for them; once."""
    further: list[list[MetadataSource]] = [[more]]
    return Names([first], lambda _: [], lambda: further.pop() if further else [])


X, SHOWN, LONG = meta(A, "x", "containerd"), meta(A, "", shown_id=B), meta(A, "x" * 10_000)
DENIED = Unreadable("permission denied", "/var/lib/docker/x")


@pytest.mark.parametrize(
    ("source", "cgroup", "identity"),
    [
        (Source(**{A: meta(A, "web")}), ref(A), Identity(A, "web", "docker", 0, meta(A, "web"))),
        (Source(), ref(A, "cri-o"), Identity(A, A[:SHORT_ID], "cri-o", 0, None)),
        (Source(), ref("lxc-name", "lxc"), Identity("lxc-name", "lxc-name", "lxc", 0, None)),
        (Source("containerd", **{A: X}), ref(A), Identity(A, "x", "containerd", 0, X)),
        (Source(**{A: SHOWN}), ref(A), Identity(B, B[:12], "docker", 0, SHOWN)),
        (Source(**{A: LONG}), ref(A), Identity(A, "x" * 256, "docker", 0, LONG)),
        *(
            (Source(other, web=meta("web", "other", other)), ref("web", own), Identity("web", "web", own, 0, None))
            for own, other in (("lxc", "docker"), ("docker", "lxc"), ("systemd-nspawn", "lxc"))
        ),
    ],
    ids=["its own name", "its short id", "its cgroup's name", "its metadata's runtime, not the guess",
         "the id that its runtime shows", "cut", "LXC's, not Docker's", "Docker's, not LXC's", "nspawn's, not LXC's"],
)  # fmt: skip
def test_a_systems_container_is_shown_by(source: Source, cgroup: CgroupRef, identity: Identity) -> None:
    assert names(source).identify(cgroup) == identity


def test_only_64_digits_are_shortened() -> None:
    assert [short(each) for each in (A, "a" * 63, "a-name-of-lxc")] == ["a" * 12, "a" * 63, "a-name-of-lxc"]


@pytest.mark.parametrize(
    ("identity", "left"),
    [
        (Identity(A, A[:12], "docker", 0, None), True),
        (Identity(A, "web", "docker", 0, meta(A, "web")), False),
        (Identity("web", "web", "lxc", 0, None), False),
        (Identity("web", "web", "containerd", 0, meta("web", "web", "containerd")), True),
    ],
)
def test_a_cgroup_without_a_process_is_no_container_where_no_engine_would_leave_a_living_one_so(
    identity: Identity, left: bool
) -> None:
    assert left_behind(identity) is left


def test_the_first_source_that_knows_it_counts_even_where_one_before_cannot_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = Source(**{A: Unreadable("permission denied", "/x")}), Source(**{A: meta(A, "web")})
    assert names(first, second).identify(ref(A)).name == "web"
    assert caplog.records == []


FOLDER = "/var/lib/docker/containers"
NO_RIGHT = {each: Unreadable("permission denied", f"{FOLDER}/{each}/config.v2.json", True) for each in (A, B)}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({A: DENIED}, f"container={A[:12]} permission denied (/var/lib/docker/x): shown by its short id"),
        (NO_RIGHT, f"{FOLDER}: permission denied: its containers are shown by their short ids"),
    ],
    ids=["one container's", "a right that is missing for a place"],
)
def test_what_cannot_be_read_is_said_once(
    found: dict[str, Unreadable], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    known = names(Source(**found))
    with caplog.at_level(logging.WARNING):
        for each in (*found, *found, A):
            assert known.identify(ref(each)).name == each[:12]
    assert [record.message for record in caplog.records] == [said]


def test_what_was_said_is_bounded_and_a_forged_id_cannot_write_lines(caplog: pytest.LogCaptureFixture) -> None:
    known = names()
    known.say_once("evil\nERROR all is lost\x1b[2J", "something")
    assert not {"\n", "\x1b"} & set(caplog.records[0].message)
    caplog.set_level(logging.CRITICAL)
    for n in range(10_050):
        known.say_once(f"{n:064}", "something")
    assert len(known._said) < 10_002


# -- whose


MINE, SYSTEMS = meta(A, "mine", "podman", 1000), meta(A, "the-systems")


@pytest.mark.parametrize(
    ("system", "user", "cgroup", "shown"),
    [
        (SYSTEMS, (1000, MINE), ref(A, uid=1000), ("mine", 1000)),
        (SYSTEMS, (1001, meta(A, "another's", "podman", 1001)), ref(A, uid=1000), (A[:12], 1000)),
        (SYSTEMS, (1000, MINE), ref(A, uid=100_000, parent_uid=0), ("the-systems", 0)),
        (None, (1000, MINE), ref(A, uid=1000, parent_uid=0), ("mine", 1000)),
    ],
    ids=["the user's", "no other user's", "root's, given away", "the user's, given away, where root says nothing"],
)
def test_whose_files_name_a_container(
    system: Metadata | None, user: tuple[int, Metadata], cgroup: CgroupRef, shown: tuple[str, int]
) -> None:
    source, (uid, mine) = Source(**({A: system} if system else {})), user
    found = names(source, users={uid: [Source("podman", uid, **{A: mine})]}).identify(cgroup)
    assert (found.name, found.owner_uid) == shown
    assert bool(source.asked) is (cgroup.parent_owner_uid == 0), "of a user's, the system's files are not asked"


def test_a_users_sources_are_made_once() -> None:
    made: list[int] = []

    def rootless(uid: int) -> list[MetadataSource]:
        made.append(uid)
        return [Source("podman", uid)]

    known = Names([], rootless)
    for uid in (1000, 1000, 1001):
        known.identify(ref(A, uid=uid))
    assert known.sources(0) == [] and made == [1000, 1001]


def test_further_sources_are_asked_for_when_none_knows_a_systems_container() -> None:
    late = Source(**{A: meta(A, "late")})
    known = with_more(Source(), late)
    assert known.identify(ref(B, uid=1000)).name == B[:12] and late.asked == []  # not for a user's
    assert [known.identify(ref(A)).name for _ in range(2)] == ["late"] * 2 and late.asked == [A, A]


def test_further_sources_are_asked_for_where_anothers_state_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """A dockerd --data-root elsewhere that came up later, on a host whose Podman may not be read."""
    podman = Source("podman", **dict.fromkeys((A, B), Unreadable("denied", "/p")))
    known = with_more(podman, Source(**{A: meta(A, "late")}))
    assert [known.identify(ref(each)).name for each in (A, B)] == ["late", B[:12]]
    assert caplog.records == []  # what Podman's state would say has nothing to do with it
    known = with_more(Source(**{A: Unreadable("denied", "/d")}), Source())
    assert known.identify(ref(A)).metadata is None and "denied (/d)" in caplog.text


def test_what_another_runtimes_state_would_say_is_not_the_reason_but_what_is_its_own_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    podman = Source("podman", **dict.fromkeys((A, B), Unreadable("is being written (it has a journal)", "/db.sql")))
    containerd = Source("containerd", **{B: Unreadable("permission denied", f"/tasks/{B}/config.json")})
    known = names(podman, containerd)
    for cgroup, said in ((ref(A), ""), (ref(B), "permission denied"), (ref(A, "podman"), "journal")):
        caplog.clear()
        assert known.identify(cgroup).metadata is None
        assert said in caplog.text and bool(caplog.records) is bool(said)


def test_everything_on_disk_is_the_systems_and_the_known_users() -> None:
    users = {1000: [Source("podman", 1000, **{B: meta(B, "mine", "podman", 1000)})]}
    known = names(Source(**{A: meta(A, "web")}), users=users)
    assert [each.name for each in known.on_disk()] == ["web"]
    known.identify(ref(B, uid=1000))
    assert [each.name for each in known.on_disk()] == ["web", "mine"]


# -- places that change


class Places:
    """A source's place, and a clock that the test moves."""

    def __init__(self, place: Path, uid: int = 0) -> None:
        self.place = place
        self.seconds = 0.0
        source = Source("docker", uid)
        source.places = (str(place),)
        changed = os.stat(place).st_ctime_ns
        root_clock = Clock(0, changed // 1_000_000 + 2)
        self.names = Names(
            [] if uid else [source],
            lambda _: [source],
            root=At(lambda: root_clock._replace(time_ms=root_clock.time_ms + int(self.seconds * 1000))),
            clock=lambda: self.seconds,
        )
        if uid:
            self.names.sources(uid)

    def counted(self, seconds: float) -> int:
        """The generation so much later."""
        self.seconds += seconds
        return self.names.generation()


class At(Root):
    """A root with a wall clock of its own."""

    __slots__ = ("_now",)

    def __init__(self, now: Callable[[], Clock]) -> None:
        super().__init__("")
        self._now = now

    def clock(self, path: str = "") -> Clock:
        return self._now()


@pytest.fixture
def same_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes looks as it did before."""
    monkeypatch.setattr(file_look, "version_of", lambda found: (1,))


@pytest.mark.usefixtures("same_tick")
def test_a_place_that_changed_within_the_same_tick_as_the_look_at_it_is_looked_at_soon(tmp_path: Path) -> None:
    places = Places(tmp_path)
    first = places.counted(0)
    assert places.counted(0.05) == first
    assert places.counted(0.05) == first + 1, "what came behind the look in that tick"
    assert places.counted(0.5) == first + 1
    assert places.counted(1) == places.counted(1) == first + 1


@pytest.mark.usefixtures("same_tick")
def test_a_users_place_is_looked_at_once_a_second_however_often_it_changes(tmp_path: Path) -> None:
    places = Places(tmp_path, 1000)
    first = places.counted(0)
    assert places.counted(0.5) == first
    assert places.counted(0.5) == first + 1
    assert places.counted(1) == first + 1


def test_a_place_that_comes_goes_and_changes_counts_each_time(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    places = Places(place)
    places.seconds = 10
    before = places.counted(0)
    for change in ((place / "a").mkdir, (place / "a").rmdir, place.rmdir, place.mkdir):
        change()
        before += 1
        assert places.counted(10) == places.counted(10) == before


# -- what may be shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web", "web"),
        ("Größe 漢字", "Größe 漢字"),
        ("a\nb\tc\0d\x7fe\x1bf", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"),
        ("\udcff\udcfe", "\ufffd\ufffd"),
        ("\u202eevil", "\ufffdevil"),
        ("\u2028", "\ufffd"),
        ("", ""),
    ],
)
def test_control_characters_and_bytes_that_are_no_text_are_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(), max_size=400), st.integers(1, 300))
def test_what_is_shown_is_always_bounded_printable_and_encodable(text: str, limit: int) -> None:
    shown = printable(text, limit)
    shown.encode()
    assert len(shown) <= limit and shown.isprintable()
