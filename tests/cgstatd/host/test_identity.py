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


def test_a_systems_container_has_its_runtimes_name() -> None:
    found = names(Source(**{A: meta(A, "web")})).identify(ref(A))
    assert (found.id, found.name, found.runtime, found.owner_uid) == (A, "web", "docker", 0)
    assert found.metadata == meta(A, "web")


def test_without_metadata_it_is_shown_by_its_short_id_and_its_names_runtime() -> None:
    found = names(Source()).identify(ref(A, "cri-o"))
    assert found == (A, A[:SHORT_ID], "cri-o", 0, None)
    assert names().identify(ref("lxc-name", "lxc")).name == "lxc-name"


def test_the_metadatas_runtime_counts_where_the_cgroups_name_was_a_guess() -> None:
    assert names(Source("containerd", **{A: meta(A, "x", "containerd")})).identify(ref(A)).runtime == "containerd"


@pytest.mark.parametrize(("cgroup", "metadata"), [("lxc", "docker"), ("docker", "lxc"), ("systemd-nspawn", "lxc")])
def test_a_name_in_one_runtime_is_not_the_container_of_that_name_in_another(cgroup: str, metadata: str) -> None:
    found = names(Source(metadata, web=meta("web", "other", metadata))).identify(ref("web", cgroup))
    assert (found.name, found.runtime, found.metadata) == ("web", cgroup, None)


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


def test_an_id_that_the_runtime_itself_shows_is_taken() -> None:
    found = names(Source(**{A: meta(A, "", shown_id=B)})).identify(ref(A))
    assert (found.id, found.name) == (B, B[:12])


def test_the_first_source_that_knows_it_counts_even_where_one_before_cannot_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = Source(**{A: Unreadable("permission denied", "/x")}), Source(**{A: meta(A, "web")})
    assert names(first, second).identify(ref(A)).name == "web"
    assert caplog.records == []


def test_what_cannot_be_read_is_said_once_and_without_any_content(caplog: pytest.LogCaptureFixture) -> None:
    source = Source(**{A: Unreadable("permission denied", "/var/lib/docker/x")})
    known = names(source)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert known.identify(ref(A)).name == A[:12]
    assert [record.message for record in caplog.records] == [
        f"container={A[:12]} permission denied (/var/lib/docker/x): shown by its short id"
    ]


def test_a_right_that_is_missing_is_one_line_for_all_containers_of_a_place(caplog: pytest.LogCaptureFixture) -> None:
    folder = "/var/lib/docker/containers"
    denied = {each: Unreadable("permission denied", f"{folder}/{each}/config.v2.json", True) for each in (A, B)}
    known = names(Source(**denied))
    with caplog.at_level(logging.WARNING):
        for each in (A, B, A):
            known.identify(ref(each))
    assert [record.message for record in caplog.records] == [
        f"{folder}: permission denied: its containers are shown by their short ids"
    ]


def test_what_was_said_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    known = names()
    caplog.set_level(logging.CRITICAL)
    for n in range(10_050):
        known.say_once(f"{n:064}", "something")
    assert len(known._said) < 10_002


def test_a_forged_id_cannot_write_lines_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    names().say_once("evil\nERROR all is lost\x1b[2J", "something")
    assert "\n" not in caplog.records[0].message
    assert "\x1b" not in caplog.records[0].message


# -- whose


def test_a_users_container_gets_its_name_from_that_users_files_alone() -> None:
    system = Source(**{A: meta(A, "the-systems")})
    users = {1000: [Source("podman", 1000, **{A: meta(A, "mine", "podman", 1000)})]}
    found = names(system, users=users).identify(ref(A, uid=1000))
    assert (found.name, found.owner_uid) == ("mine", 1000)
    assert system.asked == []


def test_a_user_without_files_has_no_name_and_no_other_users() -> None:
    system = Source(**{A: meta(A, "the-systems")})
    users = {1001: [Source("podman", 1001, **{A: meta(A, "another-users", "podman", 1001)})]}
    found = names(system, users=users).identify(ref(A, uid=1000))
    assert found == (A, A[:12], "docker", 1000, None)


def test_a_container_that_root_made_and_gave_away_stays_the_systems_where_root_says_so() -> None:
    found = names(Source(**{A: meta(A, "remapped")})).identify(ref(A, uid=100_000, parent_uid=0))
    assert (found.name, found.owner_uid) == ("remapped", 0)


def test_a_container_that_root_made_and_gave_away_is_the_users_where_only_the_user_says_so() -> None:
    users = {1000: [Source("podman", 1000, **{A: meta(A, "mine", "podman", 1000)})]}
    found = names(Source(), users=users).identify(ref(A, uid=1000, parent_uid=0))
    assert (found.name, found.owner_uid) == ("mine", 1000)


def test_a_users_sources_are_made_once() -> None:
    made: list[int] = []

    def rootless(uid: int) -> list[MetadataSource]:
        made.append(uid)
        return [Source("podman", uid)]

    known = Names([], rootless)
    for uid in (1000, 1000, 1001):
        known.identify(ref(A, uid=uid))
    assert made == [1000, 1001]
    assert known.sources(0) == []
    assert made == [1000, 1001]


def test_further_sources_are_asked_for_when_none_knows_a_systems_container() -> None:
    late = Source(**{A: meta(A, "late")})
    more = [[late]]
    known = Names([Source()], lambda _: [], lambda: more.pop() if more else [])
    assert known.identify(ref(B, uid=1000)).name == B[:12]
    assert more  # not for a user's
    assert known.identify(ref(A)).name == "late"
    assert known.identify(ref(A)).name == "late"
    assert len(late.asked) == 2


def test_further_sources_are_asked_for_where_another_runtimes_state_cannot_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A dockerd --data-root elsewhere that came up later, on a host whose Podman may not be read."""
    podman, late = Source("podman", **dict.fromkeys((A, B), Unreadable("denied", "/p"))), Source(**{A: meta(A, "late")})
    more = [[late]]
    known = Names([podman], lambda _: [], lambda: more.pop() if more else [])
    assert known.identify(ref(A)).name == "late"
    assert caplog.records == []
    assert known.identify(ref(B)).name == B[:12]
    assert caplog.records == []  # what Podman's state would say has nothing to do with it


def test_what_another_runtimes_state_would_say_is_not_the_reason_but_what_is_its_own_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    podman = Source("podman", **dict.fromkeys((A, B), Unreadable("is being written (it has a journal)", "/db.sql")))
    containerd = Source("containerd", **{B: Unreadable("permission denied", f"/tasks/{B}/config.json")})
    known = names(podman, containerd)
    assert known.identify(ref(A)).metadata is None
    assert caplog.records == []
    assert known.identify(ref(B)).metadata is None
    assert "permission denied" in caplog.text
    assert known.identify(ref(A, "podman")).metadata is None
    assert "journal" in caplog.text


def test_what_could_not_be_read_is_still_said_where_further_sources_know_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    more: list[list[MetadataSource]] = [[Source()]]
    known = Names([Source(**{A: Unreadable("denied", "/d")})], lambda _: [], lambda: more.pop() if more else [])
    assert known.identify(ref(A)).metadata is None
    assert not more and "denied (/d)" in caplog.text


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
    assert len(shown) <= limit
    assert shown.isprintable()
    shown.encode()


def test_a_name_of_10_000_characters_is_cut() -> None:
    assert printable("x" * 10_000) == "x" * 256
    found = names(Source(**{A: meta(A, "x" * 10_000)})).identify(ref(A))
    assert found.name == "x" * 256


def test_only_64_digits_are_shortened() -> None:
    assert short(A) == "a" * 12
    assert short("a" * 63) == "a" * 63
    assert short("a-long-name-of-a-container-of-lxc") == "a-long-name-of-a-container-of-lxc"
