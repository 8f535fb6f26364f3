"""Podman's database and lists, trimmed from real ones (5.4)."""

from __future__ import annotations

import json
import os
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Clock, Root
from cgstatd.host.runtimes import Budget, Metadata, State, Unreadable, rootless, rootless_sources
from cgstatd.host.runtimes.base import ExitCode
from cgstatd.host.runtimes.budget import USER
from cgstatd.host.runtimes.journal import MAGIC
from cgstatd.host.runtimes.podman import PodmanSource
from helpers import near

Write = Callable[..., str]
STORAGE = "/var/lib/containers/storage"
DATABASE = f"{STORAGE}/db.sql"
BURN = "cd33c6ef99363e84a3b62d531ea248c288ebd7de7303aa0be53aa5e9b025b17c"
INFRA = "5b75dc179ad68c94d420b8374caa109c019248b741f08bbcb77aee2fc43ec1c7"
A = "3bad2b10469b48a1dfaac545faff8ac2404f5cb37249a70f3662e8e242b72b47"
POD = "12258646e25691e8b424c49ac431bb9c3253b5a1fb3d4d3287db4b8d48a9b927"
IMAGE = "17f8a0374470a767a6e09e5fb94e6adc56090c8c5e232a21a9e88c7e3613e0af"
SCHEMA = """
    CREATE TABLE ContainerConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, PodID TEXT, JSON TEXT);
    CREATE TABLE ContainerState(ID TEXT PRIMARY KEY NOT NULL, State INTEGER NOT NULL, ExitCode INTEGER, JSON TEXT);
    CREATE TABLE PodConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, JSON TEXT NOT NULL);
"""


def config(**changes: Any) -> dict[str, Any]:
    return {
        "spec": {
            "ociVersion": "1.2.0",
            "process": {"args": ["sh"], "env": ["SECRET_ENV=s3cr3t"]},
            "linux": {
                "resources": {"memory": {"limit": 67108864, "swap": 134217728}, "pids": {"limit": 2048}},
                "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "mount"}],
            },
        },
        "CreateCommand": ["podman", "run", "-e", "SECRET_ENV=s3cr3t"],
        "rootfsImageID": IMAGE,
        "rootfsImageName": "localhost/lab/busybox:1",
        "createNetNS": True,
        "networkMode": "bridge",
        "labels": {"app": "pm"},
        "createdTime": "2026-11-25T10:57:28.495640325Z",
        "pause": False,
        **changes,
    }


Row = tuple[str, str, str | None, Any, Any]


def database(*rows: Row, script: str = "") -> bytes:
    """(id, name, pod id, config, state) -> the database's bytes; JSON is stored as a BLOB, as Podman does."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        connection.execute("INSERT INTO PodConfig VALUES (?, 'pod1', '{}')", (POD,))
        for key, name, pod, made, state in rows:
            now = state if isinstance(state, dict) else {"state": state, "pid": 1}
            blobs = [x if isinstance(x, bytes) else json.dumps(x).encode() for x in (made, now)]
            connection.execute("INSERT INTO ContainerConfig VALUES (?, ?, ?, ?)", (key, name, pod, blobs[0]))
            connection.execute("INSERT INTO ContainerState VALUES (?, 1, 0, ?)", (key, blobs[1]))
        connection.commit()
        connection.executescript(script)
        return connection.serialize()


BURNING: Row = (BURN, "pm-burn", None, config(), 3)


def listed(container_id: str = BURN, name: str = "pm-burn", **metadata: Any) -> dict[str, Any]:
    metadata = {"image-name": "localhost/lab/busybox:1", "image-id": IMAGE, "name": name} | metadata
    return {
        "id": container_id,
        "names": [name],
        "image": IMAGE,
        "layer": "e8aa",
        "metadata": json.dumps(metadata),
        "created": "2026-11-25T10:57:28.57152728Z",
        "flags": {"MountLabel": ""},
    }


LISTED = Metadata(
    runtime="podman",
    id=BURN,
    name="pm-burn",
    image="localhost/lab/busybox:1",
    image_id=IMAGE,
    created_seconds=near(1795604248.571527),
)


STARTED, FINISHED = "2026-11-25T22:29:37.889057269Z", "2026-11-25T22:29:38.455787873Z"
OOM_KILLED = {
    "state": 6,
    "startedTime": STARTED,
    "finishedTime": FINISHED,
    "exitCode": 137,
    "oomKilled": True,
    "exited": True,
    "restartCount": 2,
    "conmonPid": 4711,
}
CODES = "CREATE TABLE ContainerExitCode(ID TEXT PRIMARY KEY NOT NULL, Timestamp INTEGER NOT NULL, ExitCode INTEGER);"


def test_how_a_container_ended(write: Write) -> None:
    write(DATABASE, database((BURN, "pm-burn", None, config(), OOM_KILLED)))
    found = PodmanSource(Root()).get(BURN)
    assert isinstance(found, Metadata)
    assert (found.state, found.exit_code, found.oom_killed, found.restarts) == (State.EXITED, 137, True, 2)
    assert found.started_seconds == pytest.approx(1795645777.889057)
    assert found.finished_seconds == pytest.approx(1795645778.455788)
    assert found.pid is None


def test_a_restarted_one_has_no_exit_code_while_it_runs(write: Write) -> None:
    """Podman leaves out what has Go's zero value; finishedTime stays that of the life before."""
    now = {"state": 3, "pid": 29114, "startedTime": STARTED, "finishedTime": "0001-01-01T00:00:00Z", "restartCount": 1}
    write(DATABASE, database((BURN, "pm-burn", None, config(), now)))
    found = PodmanSource(Root()).get(BURN)
    assert isinstance(found, Metadata)
    assert (found.state, found.exit_code, found.oom_killed, found.restarts) == (State.RUNNING, None, None, 1)
    assert (found.pid, found.finished_seconds) == (29114, None)


def test_an_end_with_code_0_is_known_though_podman_does_not_write_zeros(write: Write) -> None:
    write(DATABASE, database((BURN, "pm-burn", None, config(), {"state": 6, "exited": True, "startedTime": STARTED})))
    found = PodmanSource(Root()).get(BURN)
    assert isinstance(found, Metadata)
    assert (found.exit_code, found.oom_killed) == (0, False)


def test_the_exit_code_of_the_latest_end_is_kept_beyond_a_start_and_for_some_time_a_removal(write: Write) -> None:
    rows = f"INSERT INTO ContainerExitCode VALUES ('{A}', 1795645783, 5), ('{BURN}', 1795645768, 3);"
    write(DATABASE, database(BURNING, script=CODES + rows))
    source = PodmanSource(Root())
    assert source.exit_code(A) == ExitCode(5, 1795645783.0)
    assert source.exit_code(BURN) == ExitCode(3, 1795645768.0)
    assert source.exit_code(INFRA) is None
    assert source.record_folder(A) == STORAGE


@pytest.mark.parametrize(
    "rows",
    [
        "('x', 1, 1), (x'00', 1, 1), (NULL, 1, 1)",
        f"('{A}', 'soon', 1)",
        f"('{A}', 1, 'three')",
        f"('{A}', 1, 300)",
        f"('{A}', 1, -1)",
        f"('{A}', NULL, NULL)",
    ],
)
def test_exit_codes_that_are_none_are_left_out(write: Write, rows: str) -> None:
    table = "CREATE TABLE ContainerExitCode(ID, Timestamp, ExitCode);"
    write(DATABASE, database(BURNING, script=f"{table} INSERT INTO ContainerExitCode VALUES {rows};"))
    source = PodmanSource(Root())
    assert source.exit_code(A) is None
    assert [each.name for each in source.all()] == ["pm-burn"]


def test_a_table_of_exit_codes_that_makes_rows_up_costs_no_memory(write: Write) -> None:
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) "
    rows += "SELECT hex(zeroblob(2000000)) AS ID, i AS Timestamp, 0 AS ExitCode FROM n"
    write(DATABASE, database(BURNING, script=f"CREATE VIEW ContainerExitCode AS {rows};"))
    tracemalloc.start()
    try:
        assert isinstance(PodmanSource(Root()).get(BURN), Unreadable)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_pod_and_its_infra_container(write: Write) -> None:
    infra = (INFRA, "12258646e256-infra", POD, config(pause=True), 3)
    member = (A, "pod1-a", POD, config(createNetNS=False, networkMode=None, netNsCtr=INFRA, labels=None), 3)
    write(DATABASE, database(infra, member))
    found = {each.id: each for each in PodmanSource(Root()).all()}
    assert (found[INFRA].pod, found[INFRA].infra) == ("pod1", True)
    assert (found[A].pod, found[A].infra, found[A].network_mode) == ("pod1", False, f"container:{INFRA}")
    assert found[A].labels == {}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (0, State.UNKNOWN),
        (1, State.CREATED),
        (2, State.CREATED),
        (3, State.RUNNING),
        (4, State.EXITED),
        (5, State.PAUSED),
        (6, State.EXITED),
        (7, State.EXITED),
        (8, State.RUNNING),
        (99, State.UNKNOWN),
    ],
)
def test_libpods_states(write: Write, state: int, expected: State) -> None:
    write(DATABASE, database((BURN, "pm-burn", None, config(), state)))
    assert [each.state for each in PodmanSource(Root()).all()] == [expected]


@pytest.mark.parametrize(
    ("namespaces", "expected"),
    [
        ([{"type": "network"}], "none"),
        ([{"type": "network", "path": "/run/netns/x"}], "ns:/run/netns/x"),
        ([{"type": "pid"}], "host"),
        (None, None),
    ],
)
def test_the_network_without_one_of_its_own(write: Write, namespaces: Any, expected: str | None) -> None:
    made = config(createNetNS=False, networkMode=None, spec={"linux": {"namespaces": namespaces}})
    write(DATABASE, database((BURN, "pm-burn", None, made, 3)))
    assert [each.network_mode for each in PodmanSource(Root()).all()] == [expected]


def test_a_config_that_is_no_text_is_called_so(write: Write) -> None:
    write(DATABASE, database((BURN, "pm-burn", None, b'{"labels": {"a": "\xff"}}', 3)))
    found = PodmanSource(Root()).get(BURN)
    assert isinstance(found, Unreadable) and found.reason.endswith("ContainerConfig.JSON of pm-burn: not valid UTF-8")


def test_a_change_is_noticed_and_stopped_containers_are_listed(write: Write) -> None:
    write(DATABASE, database(BURNING))
    source = PodmanSource(Root())
    assert [(each.name, each.state) for each in source.all()] == [("pm-burn", State.RUNNING)]
    write(DATABASE, database((BURN, "renamed", None, config(), 6)))
    assert [(each.name, each.state) for each in source.all()] == [("renamed", State.EXITED)]


def test_the_environment_is_in_no_result(write: Write) -> None:
    broken = (A, "pod1-a", None, json.dumps(config(labels=5)).encode(), 3)
    write(DATABASE, database(BURNING, broken))
    source = PodmanSource(Root())
    results = [source.get(BURN), source.get(A), list(source.all()), source._rows(), vars(source), vars(source._storage)]
    assert isinstance(results[1], Unreadable)
    assert "s3cr3t" not in repr(results)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (json.dumps(config(labels={"a": 1})).encode(), "`$.labels[...]`"),
        (b"{", "truncated"),
        (b'{"rootfsImageName": "\xff"}', "UTF-8"),
        (b'{"x":' + b"[" * 100_000, "nested"),
        (json.dumps(config(createdTime="yesterday")).encode(), "createdTime"),
    ],
)
def test_a_malformed_row_costs_its_own_container(write: Write, made: bytes, said: str) -> None:
    write(DATABASE, database(BURNING, (A, "pod1-a", None, made, 3)))
    source = PodmanSource(Root())
    found = source.get(A)
    assert isinstance(found, Unreadable)
    assert said in found.reason
    assert found.path == DATABASE
    assert [each.name for each in source.all()] == ["pm-burn"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"SQLite format 3\0" + b"\1\1" * 2000,
        b"BoltDB",
        database(BURNING)[:5000],
        database(BURNING)[:18] + b"\2\2" + database(BURNING)[20:],
        database(BURNING, script="DROP TABLE ContainerState"),
    ],
)
def test_a_broken_database_leaves_the_names_of_the_lists(write: Write, content: bytes) -> None:
    write(DATABASE, content)
    write(f"{STORAGE}/overlay-containers/containers.json", json.dumps([listed()]))
    source = PodmanSource(Root())
    assert source.get(BURN) == LISTED
    assert isinstance(source.get(A), Unreadable)
    assert list(source.all()) == [LISTED]


@pytest.mark.filterwarnings("error")
def test_a_database_that_would_keep_the_reader_busy_is_given_up(write: Write) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS ID, 'a' AS Name, 1 AS PodID"
    bomb = f"DROP TABLE ContainerConfig; CREATE VIEW ContainerConfig AS {endless}, zeroblob(1000000000) AS JSON FROM n;"
    slow = f"DROP TABLE ContainerConfig; CREATE VIEW ContainerConfig AS {endless}, 1 AS JSON FROM n WHERE i < 0;"
    for script in (bomb, slow):
        write(DATABASE, database(script=script))
        found = PodmanSource(Root()).get(BURN)
        assert isinstance(found, Unreadable)
        assert "not a database of Podman's" in found.reason


def test_a_small_database_that_makes_up_large_rows_is_given_up(write: Write) -> None:
    """A view of one line: 300 rows of 4 MB each out of a file of 30 kB took 1.2 GB."""
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
    rows += "SELECT printf('%064x', i) AS ID, 'a' AS Name, NULL AS PodID, hex(zeroblob(2000000)) AS JSON FROM n"
    write(DATABASE, database(script=f"DROP TABLE ContainerConfig; CREATE VIEW ContainerConfig AS {rows};"))
    tracemalloc.start()
    try:
        found = PodmanSource(Root()).get(f"{7:064x}")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert isinstance(found, Unreadable)
    assert found.reason == "malformed: not a database of Podman's (more comes out of it than is in it)"


def test_wrong_types_in_a_database_are_harmless(write: Write) -> None:
    script = f"""
        INSERT INTO ContainerConfig VALUES (x'ff00', 1, 2, 3), ('{A}', x'ff', NULL, 'x');
        INSERT INTO ContainerConfig VALUES ('{INFRA}', 'only-config', 5.5, '{{}}');
    """
    write(DATABASE, database(BURNING, script=script))
    source = PodmanSource(Root())
    assert isinstance(source.get(A), Unreadable)
    assert {each.name: each.state for each in source.all()} == {"pm-burn": State.RUNNING, "only-config": State.UNKNOWN}


UNKNOWN_JOURNAL = MAGIC + bytes(504)
"""Of another page size: it cannot be put back."""


def test_while_the_database_is_written_the_one_before_counts(write: Write, host: FakeFilesystem) -> None:
    write(DATABASE, database(BURNING))
    source = PodmanSource(Root())
    assert source.get(BURN) is not None
    write(f"{DATABASE}-journal", UNKNOWN_JOURNAL)
    write(DATABASE, database((BURN, "half", None, config(), 3)))
    assert [each.name for each in source.all()] == ["pm-burn"]
    found = PodmanSource(Root()).get(BURN)
    assert found == Unreadable("is being written (it has a journal)", DATABASE)
    os.unlink(f"{DATABASE}-journal")
    assert [each.name for each in source.all()] == ["half"]


def test_a_journal_that_nothing_was_written_by_yet_does_not_matter(write: Write) -> None:
    write(DATABASE, database(BURNING))
    write(f"{DATABASE}-journal", bytes(512))
    assert [each.name for each in PodmanSource(Root()).all()] == ["pm-burn"]


class Writing(Root):
    """A root where Podman begins to write while the file is being read."""

    def clock(self, path: str = "") -> Clock:
        with open(f"{DATABASE}-journal", "w") as file:
            file.buffer.write(UNKNOWN_JOURNAL)
        return super().clock(path)


def test_a_database_whose_writing_begins_meanwhile_does_not_count(write: Write) -> None:
    write(DATABASE, database(BURNING))
    found = PodmanSource(Writing()).get(BURN)
    assert found == Unreadable("is being written (it has a journal)", DATABASE)


def test_a_database_with_a_log_beside_it_is_said_to_be_one(write: Write) -> None:
    content = database(BURNING)
    write(DATABASE, content[:18] + b"\2\2" + content[20:])
    found = PodmanSource(Root()).get(BURN)
    assert isinstance(found, Unreadable)
    assert "WAL" in found.reason


@pytest.mark.parametrize("name", ["containers.json", "volatile-containers.json"])
@pytest.mark.parametrize("driver", ["overlay", "vfs", "btrfs"])
def test_the_lists_alone_have_the_name_and_the_image(write: Write, driver: str, name: str) -> None:
    write(f"{STORAGE}/{driver}-containers/{name}", json.dumps([listed()]))
    source = PodmanSource(Root())
    assert source.get(BURN) == LISTED
    assert source.get(A) is None
    assert list(source.all()) == [LISTED]


def test_cri_os_containers_are_not_podmans(write: Write) -> None:
    entry = listed(A, "k8s_web_shop-0_prod", **{"pod-name": "shop-0", "pod-id": INFRA})
    write(f"{STORAGE}/overlay-containers/containers.json", json.dumps([entry, listed()]))
    source = PodmanSource(Root())
    assert source.get(A) is None
    assert list(source.all()) == [LISTED]


def test_another_tools_metadata_is_no_error(write: Write) -> None:
    entry = listed() | {"metadata": "buildah's own words", "names": None}
    write(f"{STORAGE}/overlay-containers/containers.json", json.dumps([entry]))
    assert [(each.name, each.image) for each in PodmanSource(Root()).all()] == [(BURN[:12], None)]


@pytest.mark.parametrize("content", ["[{]", '{"id": 1}', '[{"id": 1}]', b'[{"id": "\xff"}]'])
def test_a_malformed_list_is_named(write: Write, content: str | bytes) -> None:
    path = write(f"{STORAGE}/overlay-containers/containers.json", content)
    found = PodmanSource(Root()).get(BURN)
    assert isinstance(found, Unreadable)
    assert found.path == path
    assert list(PodmanSource(Root()).all()) == []


PASSWD = b"root:x:0:0:root:/root:/bin/sh\nold:x:999:999:Andr\xe9:/x:/bin/sh\nann:x:1000:1000::/home/ann:/bin/bash\n"


def test_a_users_own_runtimes(write: Write) -> None:
    write("/host/etc/passwd", PASSWD)
    home = "/host/home/ann/.local/share"
    write(f"{home}/containers/storage/db.sql", database(BURNING), uid=1000)
    write(f"{home}/docker/containers/{A}/config.v2.json", '{"Name": "/rl"}', uid=1000)
    write(f"{home}/lxc/box/config", "lxc.net.0.type = empty\n", uid=1000)
    sources = rootless_sources(Root("/host"), 1000)
    found = [(each.runtime, each.name, each.owner_uid) for source in sources for each in source.all()]
    assert found == [("podman", "pm-burn", 1000), ("docker", "rl", 1000), ("lxc", "box", 1000)]
    assert [source.owner_uid for source in sources] == [1000] * 3


def test_a_users_runtimes_share_what_may_be_kept(write: Write) -> None:
    write("/host/etc/passwd", PASSWD)
    home = "/host/home/ann/.local/share"
    write(f"{home}/containers/storage/db.sql", database(BURNING), uid=1000)
    write(f"{home}/docker/containers/{A}/config.v2.json", '{"Name": "/rl"}', uid=1000)
    roomy = Budget()
    kept = roomy.shelf(1000)
    list(rootless_sources(Root("/host"), 1000, roomy)[0].all())
    budget = Budget(user=USER._replace(kept=kept.bytes + 500))
    podman, docker, _ = rootless_sources(Root("/host"), 1000, budget)
    assert [each.name for each in podman.all()] == ["pm-burn"]
    assert isinstance(docker.get(A), Unreadable)


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
    budget = Budget()
    system = budget.shelf(0)
    assert all(len(rootless_sources(Root(), uid, budget)) == 3 for uid in users)
    assert len(read) == 1 and system.bytes > 0


@pytest.mark.parametrize("uid", [0, 999_999, 1])
def test_nobody_without_a_home_has_runtimes(write: Write, uid: int) -> None:
    write("/etc/passwd", PASSWD + b"one:x:1:1::relative:/bin/sh\nbroken line\n")
    assert rootless_sources(Root(), uid) == ()


@pytest.mark.parametrize("content", [None, b"ann:x:1000:1000::/home/\xff:/bin/sh\n"])
def test_no_usable_passwd(write: Write, content: bytes | None) -> None:
    if content is not None:
        write("/etc/passwd", content)
    assert rootless_sources(Root(), 1000) == ()
