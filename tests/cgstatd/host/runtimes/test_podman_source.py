"""What Podman's source alone has: its database under attack and while it is written, exit codes, lists, users."""

from __future__ import annotations

import json
import os
import tracemalloc

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Clock, Root
from cgstatd.host.runtimes import Budget, State, Unreadable, rootless, rootless_sources
from cgstatd.host.runtimes.base import ExitCode
from cgstatd.host.runtimes.budget import USER
from cgstatd.host.runtimes.journal import MAGIC
from cgstatd.host.runtimes.podman import PodmanSource

from ..conftest import Later
from .conftest import Write
from .written import BURN, DATABASE, INFRA, LISTED, POD, STORAGE, burn, config, database, listed

A = "3bad2b10469b48a1dfaac545faff8ac2404f5cb37249a70f3662e8e242b72b47"
LIST = f"{STORAGE}/overlay-containers/containers.json"
GOOD = database(burn())


def names() -> list[str]:
    return [each.name for each in PodmanSource(Root()).all()]


def test_the_exit_code_of_the_latest_end_is_kept_beyond_a_start_and_for_some_time_a_removal(write: Write) -> None:
    table = "CREATE TABLE ContainerExitCode(ID TEXT PRIMARY KEY NOT NULL, Timestamp INTEGER, ExitCode INTEGER);"
    rows = f"INSERT INTO ContainerExitCode VALUES ('{A}', 1795645783, 5), ('{BURN}', 1795645768, 3);"
    write(DATABASE, database(burn(), script=table + rows))
    source = PodmanSource(Root())
    assert [source.exit_code(each) for each in (A, BURN, INFRA)] == [
        ExitCode(5, 1795645783.0), ExitCode(3, 1795645768.0), None,
    ]  # fmt: skip
    assert source.record_folder(A) == STORAGE


@pytest.mark.parametrize(
    "rows", ["('x', 1, 1), (x'00', 1, 1), (NULL, 1, 1)", *(f"('{A}', {values})" for values in (
        "'soon', 1", "1, 'three'", "1, 300", "1, -1", "NULL, NULL",
    ))],
)  # fmt: skip
def test_exit_codes_that_are_none_are_left_out(write: Write, rows: str) -> None:
    table = "CREATE TABLE ContainerExitCode(ID, Timestamp, ExitCode);"
    write(DATABASE, database(burn(), script=f"{table} INSERT INTO ContainerExitCode VALUES {rows};"))
    assert PodmanSource(Root()).exit_code(A) is None and names() == ["pm-burn"]


def test_a_pod_and_its_infra_container(write: Write) -> None:
    infra = (INFRA, "12258646e256-infra", POD, config(pause=True), 3)
    member = (A, "pod1-a", POD, config(createNetNS=False, networkMode=None, netNsCtr=INFRA, labels=None), 3)
    write(DATABASE, database(infra, member))
    found = {each.id: each for each in PodmanSource(Root()).all()}
    assert (found[INFRA].pod, found[INFRA].infra) == ("pod1", True)
    assert (found[A].pod, found[A].infra, found[A].network_mode) == ("pod1", False, f"container:{INFRA}")
    assert found[A].labels == {}


# -- a database that harms


@pytest.mark.parametrize("content", [b"BoltDB", GOOD[:5000]])
def test_a_broken_database_leaves_the_names_of_the_lists(write: Write, content: bytes) -> None:
    write(DATABASE, content)
    write(LIST, json.dumps([listed()]))
    source = PodmanSource(Root())
    assert source.get(BURN) == LISTED and isinstance(source.get(A), Unreadable) and list(source.all()) == [LISTED]


def test_a_malformed_row_costs_its_own_container_and_wrong_types_are_harmless(write: Write) -> None:
    script = f"""
        INSERT INTO ContainerConfig VALUES (x'ff00', 1, 2, 3), ('{A}', x'ff', NULL, 'x');
        INSERT INTO ContainerConfig VALUES ('{INFRA}', 'only-config', 5.5, '{{}}');
    """
    write(DATABASE, database(burn(), (POD, "bad", None, config(labels=5), 3), script=script))
    source = PodmanSource(Root())
    assert isinstance(source.get(A), Unreadable) and isinstance(source.get(POD), Unreadable)
    assert {each.name: each.state for each in source.all()} == {"pm-burn": State.RUNNING, "only-config": State.UNKNOWN}


COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n{})"
ENDLESS = f"{COUNT.format('')} SELECT i AS ID, 'a' AS Name, 1 AS PodID"
CODES = f"{COUNT.format(' WHERE i < 30')} SELECT hex(zeroblob(2000000)) AS ID, i AS Timestamp, 0 AS ExitCode FROM n"
LARGE = f"{COUNT.format(' WHERE i < 300')} SELECT printf('%064x', i) AS ID, 'a' AS Name, NULL AS PodID,"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("table", "rows", "reason"),
    [
        ("ContainerConfig", f"{ENDLESS}, zeroblob(1000000000) AS JSON FROM n", ""),
        ("ContainerConfig", f"{ENDLESS}, 1 AS JSON FROM n WHERE i < 0", ""),
        ("ContainerConfig", f"{LARGE} hex(zeroblob(2000000)) AS JSON FROM n", "more comes out of it than is in it"),
        ("ContainerExitCode", CODES, ""),
    ],
    ids=["large", "endless", "rows", "exit codes"],
)
def test_a_small_database_that_makes_up_rows_is_given_up_and_costs_no_memory(
    write: Write, table: str, rows: str, reason: str
) -> None:
    """A view is one line: 300 rows of 4 MB each out of a file of 30 kB took 1.2 GB."""
    write(DATABASE, database(burn(), script=f"DROP TABLE IF EXISTS {table}; CREATE VIEW {table} AS {rows};"))
    tracemalloc.start()
    try:
        found = PodmanSource(Root()).get(BURN)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert isinstance(found, Unreadable) and "not a database of Podman's" in found.reason and reason in found.reason


UNKNOWN_JOURNAL = MAGIC + bytes(504)
"""Of another page size: it cannot be put back."""
BEING_WRITTEN = Unreadable("is being written (it has a journal)", DATABASE)


def test_while_the_database_is_written_the_one_before_counts(write: Write, host: FakeFilesystem) -> None:
    write(DATABASE, GOOD)
    source = PodmanSource(Root())
    write(f"{DATABASE}-journal", bytes(512))  # nothing was written by it yet
    assert [each.name for each in source.all()] == ["pm-burn"]
    write(f"{DATABASE}-journal", UNKNOWN_JOURNAL)
    write(DATABASE, database((BURN, "half", None, config(), 3)))
    assert [each.name for each in source.all()] == ["pm-burn"]
    assert PodmanSource(Root()).get(BURN) == BEING_WRITTEN
    os.unlink(f"{DATABASE}-journal")
    assert [each.name for each in source.all()] == ["half"]


class Writing(Root):
    """A root where Podman begins to write while the file is being read."""

    def clock(self, path: str = "") -> Clock:
        with open(f"{DATABASE}-journal", "wb") as file:
            file.write(UNKNOWN_JOURNAL)
        return super().clock(path)


def test_a_database_whose_writing_begins_meanwhile_does_not_count(write: Write) -> None:
    write(DATABASE, GOOD)
    assert PodmanSource(Writing()).get(BURN) == BEING_WRITTEN


# -- lists


@pytest.mark.parametrize("name", ["containers.json", "volatile-containers.json"])
@pytest.mark.parametrize("driver", ["overlay", "vfs", "btrfs"])
def test_the_lists_alone_have_the_name_and_the_image(write: Write, driver: str, name: str) -> None:
    write(f"{STORAGE}/{driver}-containers/{name}", json.dumps([listed()]))
    source = PodmanSource(Root())
    assert source.get(BURN) == LISTED and source.get(A) is None and list(source.all()) == [LISTED]


def test_another_tools_metadata_is_no_error(write: Write) -> None:
    write(LIST, json.dumps([listed() | {"metadata": "buildah's own words", "names": None}]))
    assert [(each.name, each.image) for each in PodmanSource(Root()).all()] == [(BURN[:12], None)]


@pytest.mark.parametrize("content", ["[{]", '{"id": 1}', '[{"id": 1}]', b'[{"id": "\xff"}]'])
def test_a_malformed_list_is_named(write: Write, content: str | bytes) -> None:
    write(LIST, content)
    found = PodmanSource(Root()).get(BURN)
    assert isinstance(found, Unreadable) and found.path == LIST and names() == []


# -- users

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nold:x:999:999:Andr\xe9:/x:/bin/sh\nann:x:1000:1000::/home/ann:/bin/bash\n"


@pytest.fixture
def ann(write: Write) -> Root:
    """The host of a user with a container of each runtime."""
    write("/host/etc/passwd", PASSWD + b"one:x:1:1::relative:/bin/sh\nbroken line\n")
    home = "/host/home/ann/.local/share"
    write(f"{home}/containers/storage/db.sql", GOOD, uid=1000)
    write(f"{home}/docker/containers/{A}/config.v2.json", '{"Name": "/rl"}', uid=1000)
    write(f"{home}/lxc/box/config", "lxc.net.0.type = empty\n", uid=1000)
    return Root("/host")


def test_a_users_own_runtimes(ann: Root) -> None:
    sources = rootless_sources(ann, 1000)
    found = [(each.runtime, each.name, each.owner_uid) for source in sources for each in source.all()]
    assert found == [("podman", "pm-burn", 1000), ("docker", "rl", 1000), ("lxc", "box", 1000)]
    assert [source.owner_uid for source in sources] == [1000] * 3
    for uid in (0, 999_999, 1):
        assert rootless_sources(ann, uid) == (), "no home"


def test_a_users_runtimes_share_what_may_be_kept(ann: Root) -> None:
    roomy = Budget()
    kept = roomy.shelf(1000)
    list(rootless_sources(ann, 1000, roomy)[0].all())
    budget = Budget(user=USER._replace(kept=kept.bytes + 500))
    podman, docker, _ = rootless_sources(ann, 1000, budget)
    assert [each.name for each in podman.all()] == ["pm-burn"] and isinstance(docker.get(A), Unreadable)


def test_the_homes_of_all_users_are_read_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3,000 users each read all 3,000 lines: the first listing failed after a minute."""
    users = range(1000, 1100)
    write("/etc/passwd", "".join(f"u{uid}:x:{uid}:{uid}::/home/u{uid}:/bin/sh\n" for uid in users).encode())
    os.utime("/etc/passwd", (1, 1))
    read: list[int] = []
    real = rootless._homes

    def homes(data: bytes) -> dict[int, bytes]:
        read.append(len(data))
        return real(data)

    monkeypatch.setattr(rootless, "_homes", homes)
    budget, root = Budget(), Later()
    root.stopped = root.clock()
    system = budget.shelf(0)
    assert all(len(rootless_sources(root, uid, budget)) == 3 for uid in users)
    assert len(read) == 1 and system.bytes > 0


@pytest.mark.parametrize("content", [None, b"ann:x:1000:1000::/home/\xff:/bin/sh\n"])
def test_no_usable_passwd(write: Write, content: bytes | None) -> None:
    if content is not None:
        write("/etc/passwd", content)
    assert rootless_sources(Root(), 1000) == ()
