"""Plays the unprivileged user and the container: what they make up never passes for a container of the system."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cgstatd.outputs.stats_json import encode_one, encode_streamed
from cgstatd.sampling.container import Container
from cgstatd.sampling.lookup import NotFound, merge, resolve
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.sampler import Sampler
from fakehost import readings
from helpers import MadeUpHost

REAL, OTHER, STOPPED, FREE = "a" * 64, "b" * 64, "d" * 64, "e" * 64
REAL_PATH = f"/system.slice/docker-{REAL}.scope"
USER = 1000
SLICE = f"/user.slice/user-{USER}.slice"
DELEGATED = "/system.slice/app.service"


@pytest.fixture(params=[2, 1], ids=["v2", "v1"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> MadeUpHost:
    """A host with one running and one stopped container of Docker, a user's slice and a unit given to that user."""
    made = MadeUpHost(str(tmp_path), request.param)
    made.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
    os.chmod(made.real("/etc/passwd"), 0o644)
    made.docker(REAL, "web")
    made.docker(STOPPED, "stopped")
    made.container(REAL_PATH, pids=[7])
    made.mkdir(SLICE)
    made.mkdir(DELEGATED, uid=USER)
    return made


@pytest.fixture
def samplers() -> Iterator[list[Sampler]]:
    opened: list[Sampler] = []
    yield opened
    for each in opened:
        each.close()


Read = Callable[[], dict[str, ContainerStats]]


@pytest.fixture
def sampler(host: MadeUpHost, samplers: list[Sampler]) -> Sampler:
    samplers.append(open_host(host.root, HostOptions()))
    return samplers[0]


def read(sampler: Sampler) -> dict[str, ContainerStats]:
    """Every container that is shown, by its cgroup's path."""
    return {container.ref.path: stats for container, stats in readings(sampler) if stats is not None}


def assert_the_systems_are_untouched(sampler: Sampler) -> None:
    """The real container has its id, its name and its own figures, and the stopped one is what its id and name find."""
    found = read(sampler)
    identity = found[REAL_PATH].identity
    assert (identity.id, identity.name, identity.owner_uid) == (REAL, "web", 0)
    assert found[REAL_PATH].memory_usage_bytes == 5_000_000
    others = {path: stats.identity for path, stats in found.items() if path != REAL_PATH}
    assert REAL not in {each.id for each in others.values()}
    assert {each.owner_uid for each in others.values()} <= {USER}
    known = merge(sampler.containers(), sampler.names.on_disk())
    for wanted in (REAL, REAL[:12], "web", "docker:web"):
        answer = resolve(wanted, known)
        assert (answer.id, answer.name, answer.owner_uid) == (REAL, "web", 0)
        assert answer.target is next(w for w in sampler.containers() if w.ref.path == REAL_PATH)
    for wanted in (STOPPED, STOPPED[:12], "stopped"):
        answer = resolve(wanted, known)
        assert (answer.name, answer.owner_uid) == ("stopped", 0)


NAMES = ["docker-{}.scope", "libpod-{}.scope", "{}", "cri-containerd-{}.scope", "crio-{}.scope", "docker/{}", "lxc/{}"]
PLACES = [SLICE, f"{SLICE}/session-1.scope", f"{SLICE}/user@1000.service/user.slice", DELEGATED, f"{DELEGATED}/a/b"]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", NAMES)
def test_a_forged_cgroup_with_a_real_containers_id_never_takes_its_place(
    host: MadeUpHost, samplers: list[Sampler], name: str, place: str, before: bool
) -> None:
    if not before:
        samplers.append(open_host(host.root, HostOptions()))
        read(samplers[0])
    forged = f"{place}/{name.format(REAL)}"
    host.container(forged, uid=USER, pids=[666])
    host.memory(forged, 666, 0, None)
    host.container(f"{place}/{name.format(STOPPED)}", uid=USER, pids=[667])
    if before:
        samplers.append(open_host(host.root, HostOptions()))
    assert_the_systems_are_untouched(samplers[0])
    assert forged not in read(samplers[0])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", NAMES)
def test_a_forged_cgroup_with_an_id_of_its_own_appears_as_the_users_and_without_a_name(
    host: MadeUpHost, sampler: Sampler, name: str, place: str
) -> None:
    forged = f"{place}/{name.format(FREE)}"
    host.container(forged, uid=USER, pids=[666])
    identity = read(sampler)[forged].identity
    assert (identity.id, identity.owner_uid, identity.metadata) == (FREE, USER, None)
    assert identity.name == FREE[:12]
    assert_the_systems_are_untouched(sampler)


def test_what_is_left_out_is_said_once(host: MadeUpHost, sampler: Sampler, caplog: pytest.LogCaptureFixture) -> None:
    host.container(f"{SLICE}/docker-{REAL}.scope", uid=USER, pids=[666])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            read(sampler)
    assert [record.message for record in caplog.records] == [
        f"container={REAL[:12]} uid={USER} has a cgroup of the same id, left out: '{SLICE}/docker-{REAL}.scope'"
    ]


def test_when_the_real_container_ends_the_forged_one_is_the_users_still(host: MadeUpHost, sampler: Sampler) -> None:
    forged = f"{SLICE}/docker-{REAL}.scope"
    host.container(forged, uid=USER, pids=[666])
    read(sampler)
    host.rmdir(REAL_PATH)
    found = read(sampler)
    assert {path: (s.identity.owner_uid, s.identity.metadata) for path, s in found.items()} == {forged: (USER, None)}
    answer = resolve(REAL, merge(sampler.containers(), sampler.names.on_disk()))
    assert (answer.name, answer.owner_uid) == ("web", 0)


def test_a_directory_given_to_a_user_while_we_look_is_theirs(host: MadeUpHost, sampler: Sampler) -> None:
    host.mkdir("/system.slice/late.service")
    read(sampler)
    for each in host.directories("/system.slice/late.service"):
        host.root.owners[each] = USER
        os.chmod(host.real(each), 0o755)
    host.container(f"/system.slice/late.service/docker-{STOPPED}.scope", pids=[666])
    assert_the_systems_are_untouched(sampler)


# -- containers


@pytest.mark.parametrize("name", NAMES)
def test_what_a_container_makes_inside_its_own_cgroup_is_not_looked_at(
    host: MadeUpHost, sampler: Sampler, name: str
) -> None:
    for inner in (OTHER, STOPPED, REAL):
        host.container(f"{REAL_PATH}/{name.format(inner)}", pids=[666])
        host.container(f"{REAL_PATH}/x/y/{name.format(inner)}", pids=[666])
    assert list(read(sampler)) == [REAL_PATH]
    assert_the_systems_are_untouched(sampler)


def test_a_container_of_lxc_named_like_an_id_is_not_the_container_of_that_id(
    host: MadeUpHost, sampler: Sampler
) -> None:
    host.container(f"/lxc.payload.{OTHER}", pids=[8])
    host.docker(OTHER, "other")
    identity = read(sampler)[f"/lxc.payload.{OTHER}"].identity
    assert (identity.runtime, identity.metadata, identity.name) == ("lxc", None, OTHER[:12])


def test_containers_of_one_name_in_two_runtimes_of_the_system_are_both_shown(
    host: MadeUpHost, sampler: Sampler
) -> None:
    host.container("/lxc.payload.db", pids=[8])
    host.container("/machine.slice/machine-db.scope", pids=[9])
    found = read(sampler)
    assert {found[path].identity.runtime for path in found if path != REAL_PATH} == {"lxc", "systemd-nspawn"}
    known = merge(sampler.containers(), [])
    assert resolve("lxc:db", known).runtime == "lxc"
    assert resolve("systemd-nspawn:db", known).runtime == "systemd-nspawn"


def test_a_users_container_of_lxc_never_takes_the_name_of_the_systems(host: MadeUpHost, sampler: Sampler) -> None:
    host.container("/lxc.payload.db", pids=[8])
    host.container(f"{SLICE}/lxc.payload.db", uid=USER, pids=[666])
    host.container(f"{SLICE}/machine.slice/machine-db.scope", uid=USER, pids=[667])
    found = read(sampler)
    assert [path for path, stats in found.items() if stats.identity.id == "db"] == ["/lxc.payload.db"]
    resolved = resolve("db", merge(sampler.containers(), []))
    assert isinstance(resolved.target, Container) and resolved.target.ref.path == "/lxc.payload.db"


# -- metadata


def rootless(host: MadeUpHost, container_id: str, name: str, uid: int = USER) -> str:
    """A user's own Podman database with one container; the file's host path."""
    path = "/home/ann/.local/share/containers/storage/db.sql"
    os.makedirs(os.path.dirname(host.real(path)), exist_ok=True)
    with closing(sqlite3.connect(host.real(path))) as db:
        db.execute("CREATE TABLE ContainerConfig (ID TEXT, Name TEXT, PodID TEXT, JSON TEXT)")
        db.execute("CREATE TABLE ContainerState (ID TEXT, State INTEGER, ExitCode INTEGER, JSON TEXT)")
        db.execute("CREATE TABLE PodConfig (ID TEXT, Name TEXT, JSON TEXT)")
        db.execute("INSERT INTO ContainerConfig VALUES (?, ?, NULL, '{}')", (container_id, name))
        db.execute("INSERT INTO ContainerState VALUES (?, 3, 0, '{\"state\":3}')", (container_id,))
        db.commit()
    os.chmod(host.real(path), 0o600)
    host.root.owners[path] = uid
    return path


def test_a_users_container_has_the_name_of_that_users_own_files(host: MadeUpHost, sampler: Sampler) -> None:
    rootless(host, FREE, "mine")
    path = f"{SLICE}/user@1000.service/user.slice/libpod-{FREE}.scope"
    host.container(path, uid=USER, pids=[8])
    identity = read(sampler)[path].identity
    assert (identity.name, identity.owner_uid, identity.runtime) == ("mine", USER, "podman")
    assert_the_systems_are_untouched(sampler)


def test_a_users_files_never_name_or_stand_for_a_container_of_the_system(host: MadeUpHost, sampler: Sampler) -> None:
    rootless(host, REAL, "evil")
    host.container(f"{SLICE}/libpod-{FREE}.scope", uid=USER, pids=[8])  # makes the user's sources known
    shutil.rmtree(host.real(f"/var/lib/docker/containers/{REAL}"))
    found = read(sampler)
    identity = found[REAL_PATH].identity
    assert (identity.name, identity.owner_uid, identity.metadata) == (REAL[:12], 0, None)
    with pytest.raises(NotFound):
        answer = resolve("evil", merge(sampler.containers(), sampler.names.on_disk()))
        assert answer.owner_uid == USER
        raise NotFound


def test_a_users_name_that_is_the_systems_finds_the_systems(host: MadeUpHost, sampler: Sampler) -> None:
    rootless(host, FREE, "web")
    path = f"{SLICE}/user@1000.service/user.slice/libpod-{FREE}.scope"
    host.container(path, uid=USER, pids=[8])
    assert read(sampler)[path].identity.name == "web"
    assert_the_systems_are_untouched(sampler)


@pytest.mark.parametrize("uid", [0, 1001, 65534])
def test_files_in_a_users_home_that_are_not_that_users_are_not_believed(
    host: MadeUpHost, sampler: Sampler, uid: int
) -> None:
    rootless(host, FREE, "planted", uid=uid)
    path = f"{SLICE}/libpod-{FREE}.scope"
    host.container(path, uid=USER, pids=[8])
    assert read(sampler)[path].identity.metadata is None


def test_a_users_link_to_a_file_of_the_system_is_not_followed(
    host: MadeUpHost, sampler: Sampler, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent may read what the user may not: a link would show it to them."""
    host.docker(OTHER, "secret-name")
    home = "/home/ann/.local/share/docker/containers"
    os.makedirs(host.real(f"{home}/{FREE}"))
    target = f"/var/lib/docker/containers/{OTHER}"
    os.symlink(host.real(f"{target}/config.v2.json"), host.real(f"{home}/{FREE}/config.v2.json"))
    os.symlink(target, host.real(f"{home}/{OTHER}"))
    for each in (FREE, OTHER):
        host.container(f"{SLICE}/docker-{each}.scope", uid=USER, pids=[8])
    found = read(sampler)
    for each in (FREE, OTHER):
        identity = found[f"{SLICE}/docker-{each}.scope"].identity
        assert (identity.name, identity.metadata, identity.owner_uid) == (each[:12], None, USER)
    assert "secret-name" not in caplog.text


@pytest.mark.parametrize("uid", [1000, 65534])
def test_metadata_of_the_system_that_somebody_else_owns_is_not_believed(
    host: MadeUpHost, sampler: Sampler, uid: int, caplog: pytest.LogCaptureFixture
) -> None:
    host.docker(OTHER, "planted", uid=uid)
    path = f"/system.slice/docker-{OTHER}.scope"
    host.container(path, pids=[8])
    identity = read(sampler)[path].identity
    assert (identity.name, identity.metadata, identity.owner_uid) == (OTHER[:12], None, 0)
    assert f"owned by uid {uid}" in caplog.text


def test_metadata_of_the_system_that_anybody_may_write_is_not_believed(host: MadeUpHost, sampler: Sampler) -> None:
    host.docker(OTHER, "planted")
    os.chmod(host.real(f"/var/lib/docker/containers/{OTHER}/config.v2.json"), 0o666)
    path = f"/system.slice/docker-{OTHER}.scope"
    host.container(path, pids=[8])
    assert read(sampler)[path].identity.metadata is None


def test_metadata_behind_a_link_of_its_own_name_is_not_believed(host: MadeUpHost, sampler: Sampler) -> None:
    host.docker(OTHER, "elsewhere", home="/mnt")
    folder = f"/var/lib/docker/containers/{OTHER}"
    os.makedirs(host.real(folder))
    os.symlink(f"/mnt/containers/{OTHER}/config.v2.json", host.real(f"{folder}/config.v2.json"))
    path = f"/system.slice/docker-{OTHER}.scope"
    host.container(path, pids=[8])
    assert read(sampler)[path].identity.metadata is None


def test_a_container_with_a_user_namespace_stays_the_systems_by_roots_own_metadata(
    host: MadeUpHost, sampler: Sampler
) -> None:
    """dockerd --userns-remap: the container's cgroup is given to uid 100000, its metadata is root's."""
    path = f"/system.slice/docker-{OTHER}.scope"
    host.docker(OTHER, "remapped")
    host.container(path, uid=100_000, pids=[8])
    identity = read(sampler)[path].identity
    assert (identity.id, identity.name, identity.owner_uid) == (OTHER, "remapped", 0)
    assert resolve("remapped", merge(sampler.containers(), sampler.names.on_disk())).owner_uid == 0


def test_a_container_with_a_user_namespace_and_no_metadata_is_marked_with_its_uid(
    host: MadeUpHost, sampler: Sampler
) -> None:
    path = f"/system.slice/docker-{OTHER}.scope"
    host.container(path, uid=100_000, pids=[8])
    identity = read(sampler)[path].identity
    assert (identity.name, identity.owner_uid, identity.metadata) == (OTHER[:12], 100_000, None)


def test_metadata_that_comes_late_makes_a_container_the_systems(
    host: MadeUpHost, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/system.slice/docker-{OTHER}.scope"
    host.container(path, uid=100_000, pids=[8])
    assert read(sampler)[path].identity.owner_uid == 100_000
    host.docker(OTHER, "remapped")
    for container in sampler.containers():
        container.due_ns = 0
    identity = read(sampler)[path].identity
    assert (identity.name, identity.owner_uid) == ("remapped", 0)


# -- what is shown


@pytest.mark.parametrize(
    "name", ["x" * 10_000, "a\nb", "\x1b[2J", "\u202e\u2066", "</script>", '"},{"id":"', "\ud83d\ude00", "\x00"]
)
def test_whatever_a_name_holds_an_answer_is_one_line_of_json(host: MadeUpHost, sampler: Sampler, name: str) -> None:
    path = f"/system.slice/docker-{OTHER}.scope"
    host.docker(OTHER, name)
    host.container(path, pids=[8])
    stats = read(sampler)[path]
    for line in (encode_one(stats), encode_streamed(stats)):
        assert b"\n" not in line and len(line) < 3000
        shown = json.loads(line).get("name", "")
        assert all(c.isprintable() for c in shown)
    assert_the_systems_are_untouched_but_for(sampler, path)


def assert_the_systems_are_untouched_but_for(sampler: Sampler, path: str) -> None:
    assert {stats.identity.owner_uid for stats in read(sampler).values()} == {0}
    assert set(read(sampler)) == {REAL_PATH, path}


def test_cgroup_names_that_are_no_text_cost_nothing(host: MadeUpHost, sampler: Sampler) -> None:
    for each in host.points.values():
        os.makedirs(os.fsencode(host.real(f"{each}{SLICE}")) + b"/\xff\xfe\n", exist_ok=True)
        os.makedirs(os.fsencode(host.real(f"{each}{SLICE}")) + b"/lxc.payload.\xff", exist_ok=True)
    host.container(f"{SLICE}/\udcff\udcfe\n/docker-{FREE}.scope", uid=USER, pids=[8])
    found = read(sampler)
    assert [stats.identity.owner_uid for path, stats in found.items() if path != REAL_PATH] == [USER]
    assert_the_systems_are_untouched(sampler)
