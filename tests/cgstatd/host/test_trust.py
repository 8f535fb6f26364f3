"""Plays the unprivileged user and the container: what they make up never passes for a container of the system."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from cgstatd.outputs.stats_json import encode_one, encode_streamed
from cgstatd.sampling.container import Container
from cgstatd.sampling.lookup import merge, resolve
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


OF_OTHER = f"/system.slice/docker-{OTHER}.scope"


@pytest.fixture
def sampler(host: MadeUpHost) -> Iterator[Sampler]:
    with closing(open_host(host.root, HostOptions())) as made:
        yield made


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


def forged(place: str, container_id: str) -> list[str]:
    """A cgroup by each name."""
    return [f"{place}/{name.format(container_id)}" for name in NAMES]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("place", PLACES)
def test_a_forged_cgroup_with_a_real_containers_id_never_takes_its_place(
    host: MadeUpHost, sampler: Sampler, place: str, before: bool
) -> None:
    if not before:
        read(sampler)
    for path in forged(place, REAL):
        host.container(path, uid=USER, pids=[666])
        host.memory(path, 666, 0, None)
    for path in forged(place, STOPPED):
        host.container(path, uid=USER, pids=[667])
    with closing(open_host(host.root, HostOptions())) if before else nullcontext(sampler) as looking:
        assert_the_systems_are_untouched(looking)
        assert not {*forged(place, REAL)} & read(looking).keys()


@pytest.mark.parametrize("place", PLACES)
def test_a_forged_cgroup_with_an_id_of_its_own_appears_as_the_users_and_without_a_name(
    host: MadeUpHost, sampler: Sampler, place: str
) -> None:
    ids = [f"{number:064x}" for number in range(len(NAMES))]
    paths = [f"{place}/{name.format(each)}" for name, each in zip(NAMES, ids, strict=True)]
    for path in paths:
        host.container(path, uid=USER, pids=[666])
    found = read(sampler)
    for path, each in zip(paths, ids, strict=True):
        assert found[path].identity == (each, each[:12], found[path].identity.runtime, USER, None)
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


def test_what_a_container_makes_inside_its_own_cgroup_is_not_looked_at(host: MadeUpHost, sampler: Sampler) -> None:
    for inner in (OTHER, STOPPED, REAL):
        for path in (*forged(REAL_PATH, inner), *forged(f"{REAL_PATH}/x/y", inner)):
            host.container(path, pids=[666])
    assert list(read(sampler)) == [REAL_PATH]
    assert_the_systems_are_untouched(sampler)


def test_a_name_is_one_runtimes_own_and_never_a_users_while_the_system_has_it(
    host: MadeUpHost, sampler: Sampler
) -> None:
    host.docker(OTHER, "other")
    for number, path in enumerate(("/lxc.payload.db", "/machine.slice/machine-db.scope", f"/lxc.payload.{OTHER}")):
        host.container(path, pids=[8 + number])
    for number, path in enumerate((f"{SLICE}/lxc.payload.db", f"{SLICE}/machine.slice/machine-db.scope")):
        host.container(path, uid=USER, pids=[666 + number])
    found = read(sampler)
    named = {path: stats.identity.runtime for path, stats in found.items() if stats.identity.id == "db"}
    assert named == {"/lxc.payload.db": "lxc", "/machine.slice/machine-db.scope": "systemd-nspawn"}
    known = merge(sampler.containers(), [])
    for runtime in named.values():
        resolved = resolve(f"{runtime}:db", known)
        assert isinstance(resolved.target, Container) and named[resolved.target.ref.path] == runtime
    assert found[f"/lxc.payload.{OTHER}"].identity == (OTHER, OTHER[:12], "lxc", 0, None), "not Docker's of that id"


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


@pytest.mark.parametrize("name", ["mine", "web"])
def test_a_users_container_has_the_name_of_that_users_own_files_and_finds_the_systems_by_its(
    host: MadeUpHost, sampler: Sampler, name: str
) -> None:
    rootless(host, FREE, name)
    path = f"{SLICE}/user@1000.service/user.slice/libpod-{FREE}.scope"
    host.container(path, uid=USER, pids=[8])
    identity = read(sampler)[path].identity
    assert (identity.name, identity.owner_uid, identity.runtime) == (name, USER, "podman")
    assert_the_systems_are_untouched(sampler)


def test_a_users_files_never_name_or_stand_for_a_container_of_the_system(host: MadeUpHost, sampler: Sampler) -> None:
    rootless(host, REAL, "evil")
    host.container(f"{SLICE}/libpod-{FREE}.scope", uid=USER, pids=[8])  # makes the user's sources known
    shutil.rmtree(host.real(f"/var/lib/docker/containers/{REAL}"))
    found = read(sampler)
    identity = found[REAL_PATH].identity
    assert (identity.name, identity.owner_uid, identity.metadata) == (REAL[:12], 0, None)
    assert resolve("evil", merge(sampler.containers(), sampler.names.on_disk())).owner_uid == USER


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


def foreign(uid: int) -> Callable[[MadeUpHost], None]:
    return lambda host: host.docker(OTHER, "planted", uid=uid)


def writable(host: MadeUpHost) -> None:
    host.docker(OTHER, "planted")
    os.chmod(host.real(f"/var/lib/docker/containers/{OTHER}/config.v2.json"), 0o666)


def linked(host: MadeUpHost) -> None:
    host.docker(OTHER, "elsewhere", home="/mnt")
    folder = f"/var/lib/docker/containers/{OTHER}"
    os.makedirs(host.real(folder))
    os.symlink(f"/mnt/containers/{OTHER}/config.v2.json", host.real(f"{folder}/config.v2.json"))


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (foreign(1000), "owned by uid 1000"),
        (foreign(65534), "owned by uid 65534"),
        (writable, "writable"),
        (linked, "symbolic link"),
    ],
    ids=["a user's", "nobody's", "anybody may write it", "behind a link of its own name"],
)
def test_metadata_of_the_system_that_is_not_roots_alone_is_not_believed(
    host: MadeUpHost,
    sampler: Sampler,
    plant: Callable[[MadeUpHost], None],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plant(host)
    host.container(OF_OTHER, pids=[8])
    assert read(sampler)[OF_OTHER].identity == (OTHER, OTHER[:12], "docker", 0, None)
    assert said in caplog.text


@pytest.mark.parametrize("late", [False, True])
def test_a_container_with_a_user_namespace_is_the_systems_by_roots_own_metadata_alone(
    host: MadeUpHost, sampler: Sampler, late: bool
) -> None:
    """dockerd --userns-remap: the container's cgroup is given to uid 100000, its metadata is root's."""
    host.container(OF_OTHER, uid=100_000, pids=[8])
    if late:
        assert read(sampler)[OF_OTHER].identity == (OTHER, OTHER[:12], "docker", 100_000, None)
    host.docker(OTHER, "remapped")
    for container in sampler.containers():
        container.due_ns = 0
    identity = read(sampler)[OF_OTHER].identity
    assert (identity.id, identity.name, identity.owner_uid) == (OTHER, "remapped", 0)
    assert resolve("remapped", merge(sampler.containers(), sampler.names.on_disk())).owner_uid == 0


# -- what is shown


def test_whatever_a_name_holds_an_answer_is_one_line_of_json(host: MadeUpHost, sampler: Sampler) -> None:
    names = ["x" * 10_000, "a\nb", "\x1b[2J", "\u202e\u2066", "</script>", '"},{"id":"', "\ud83d\ude00", "\x00"]
    paths = [f"/docker/{number:064x}" for number in range(len(names))]
    for path, name in zip(paths, names, strict=True):
        host.docker(os.path.basename(path), name)
        host.container(path, pids=[8])
    found = read(sampler)
    assert found.keys() == {REAL_PATH, *paths} and {each.identity.owner_uid for each in found.values()} == {0}
    for stats in found.values():
        for line in (encode_one(stats), encode_streamed(stats)):
            assert b"\n" not in line and len(line) < 3000
            assert all(c.isprintable() for c in json.loads(line).get("name", ""))


def test_cgroup_names_that_are_no_text_cost_nothing(host: MadeUpHost, sampler: Sampler) -> None:
    for each in host.points.values():
        os.makedirs(os.fsencode(host.real(f"{each}{SLICE}")) + b"/\xff\xfe\n", exist_ok=True)
        os.makedirs(os.fsencode(host.real(f"{each}{SLICE}")) + b"/lxc.payload.\xff", exist_ok=True)
    host.container(f"{SLICE}/\udcff\udcfe\n/docker-{FREE}.scope", uid=USER, pids=[8])
    found = read(sampler)
    assert [stats.identity.owner_uid for path, stats in found.items() if path != REAL_PATH] == [USER]
    assert_the_systems_are_untouched(sampler)
