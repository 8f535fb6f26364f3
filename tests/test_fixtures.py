"""The recorded hosts are complete, small and hold no secret."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys

import pytest

from cgstatd.recording.recorded_root import INDEX, RecordedRoot, load_index, open_roots
from helpers import DEMO, HOSTS, PROJECT, READINGS, RECORDED, expected, tree
from recordedhosts import FIXTURES, recorded_host

FIGURES = frozenset(
    "memoryUsage memoryRaw memoryCache memoryLimit memoryPercent networkRx networkTx blockRead blockWrite pids".split()
)
IMPORTER = f"{PROJECT}/tools/fixtures/import_capture.py"


def files(top: str) -> list[str]:
    return [f"{base}/{name}" for base, _, names in os.walk(top) for name in names]


def test_every_host_in_the_folder_is_tested_and_has_both_readings() -> None:
    hosts = (*HOSTS, *RECORDED, DEMO)
    assert set(os.listdir(FIXTURES)) == {"README.md", *(f"{host}.txt" for host in hosts)}
    with open(f"{FIXTURES}/README.md", encoding="utf-8") as file:
        shown = file.read()
    assert [host for host in hosts if f"\n| `{host}.txt` |" not in shown] == []
    for host in HOSTS:
        assert {"t0", "t1", INDEX, "expected.json"} == set(os.listdir(recorded_host(host)))


@pytest.mark.parametrize("host", HOSTS)
def test_no_file_holds_a_secret_an_environment_or_a_command_line(host: str) -> None:
    for path in files(recorded_host(host)):
        if os.path.islink(path):
            continue
        with open(path, "rb") as file:
            data = file.read()
        assert b"s3cr3t" not in data and b"SECRET" not in data, path
        assert os.path.basename(path) not in ("cmdline", "environ"), path
        for word in (b'"Env"', b'"env"', b'"args"', b'"Args"', b'"Cmd"', b'"CreateCommand"', b'"command"', b"PATH="):
            assert word not in data, (word, path)


@pytest.mark.parametrize("host", (*HOSTS, *RECORDED, DEMO))
def test_no_file_is_large(host: str) -> None:
    assert max(os.lstat(path).st_size for path in files(recorded_host(host))) < 1 << 20


@pytest.mark.parametrize("host", HOSTS)
def test_the_index_gives_both_readings_in_order(host: str) -> None:
    index = load_index(recorded_host(host))
    assert index is not None
    assert set(index.host) == {"kernel", "mode", "cpus", "page_size"}
    roots = open_roots(recorded_host(host))
    assert [root.path for root in roots] == [tree(host, reading) for reading in READINGS]
    assert all(isinstance(root, RecordedRoot) for root in roots)
    first, second = (root.clock() for root in roots)
    assert first.monotonic_ns < second.monotonic_ns and first.time_ms < second.time_ms


@pytest.mark.parametrize("host", HOSTS)
def test_everything_that_the_index_names_is_there(host: str) -> None:
    index = load_index(recorded_host(host))
    assert index is not None
    paths = {entry["cgroup"] for entry in expected(host)["containers"]}
    for name, reading in index.readings.items():
        assert reading.files and reading.clocks
        assert [path for path in reading.files if not os.path.lexists(tree(host, name) + path)] == []
        assert set(reading.clocks) <= paths
        for path, at in reading.clocks.items():
            assert at.monotonic_ns >= reading.monotonic_ns, path


@pytest.mark.parametrize("host", HOSTS)
def test_each_container_has_its_cgroup_in_each_reading_or_says_null(host: str) -> None:
    names = {entry["name"] for entry in expected(host)["containers"]}
    assert {"burn", "cache", "web", "client", "sidecar", "hostnet", "nonet", "paused", "nested", "lx1"} <= names
    for entry in expected(host)["containers"]:
        if entry["cgroup"] is None:
            assert entry["state"] != "running" or entry["runtime"] == "podman-rootless", entry["name"]
            continue
        for name in READINGS:
            found = [base for base, _, _ in os.walk(f"{tree(host, name)}/sys") if base.endswith(entry["cgroup"])]
            assert found, (entry["name"], name)


@pytest.mark.parametrize("host", HOSTS)
def test_docker_figures_are_complete_and_the_inexact_ones_are_few(host: str) -> None:
    inexact = 0
    for entry in expected(host)["containers"]:
        if entry["runtime"] != "docker":
            continue
        for name in READINGS:
            if entry[name] is None:
                assert entry["name"] == "flappy"
                continue
            assert set(entry[name]) - {"inexact"} == FIGURES
            notes = entry[name].get("inexact", {})
            assert set(notes) <= FIGURES and all(note["allowed"] > 0 for note in notes.values())
            inexact += bool(notes)
    assert inexact <= 2


def test_rootless_cgroups_and_state_belong_to_their_user() -> None:
    root = open_roots(recorded_host("debian13-v2-systemd"))[0]
    rootless = next(e for e in expected("debian13-v2-systemd")["containers"] if e["name"] == "rl-burn")
    assert root.identity("/sys/fs/cgroup" + rootless["cgroup"]).uid == 1000
    assert root.identity("/home/rooty/.local/share/containers/storage/db.sql").uid == 1000
    assert root.identity("/sys/fs/cgroup/system.slice").uid == 0
    assert root.identity("/var/lib/containers/storage/db.sql").uid == 0


def test_processes_that_share_a_network_namespace_have_the_same_inode() -> None:
    root = open_roots(recorded_host("debian13-v2-systemd"))[0]

    def inode(name: str) -> int:
        entry = next(e for e in expected("debian13-v2-systemd")["containers"] if e["name"] == name)
        pid = root.read(f"/sys/fs/cgroup{entry['cgroup']}/cgroup.procs").split()[0].decode()
        return root.identity(f"/proc/{pid}/net/dev").inode

    assert inode("web") == inode("sidecar")
    assert inode("hostnet") == root.identity("/proc/1/net/dev").inode
    assert len({inode(name) for name in ("web", "client", "nonet", "burn", "hostnet")}) == 5


@pytest.mark.parametrize("host", HOSTS[:2])
@pytest.mark.parametrize("home", ["/var/lib/containers/storage", "/home/rooty/.local/share/containers/storage"])
def test_podmans_database_says_names_without_a_journal_beside_it(host: str, home: str) -> None:
    folder = tree(host) + home
    assert [name for name in os.listdir(folder) if name.startswith("db.sql-")] == []
    with contextlib.closing(sqlite3.connect(f"file:{folder}/db.sql?mode=ro&immutable=1", uri=True)) as db:
        rows = db.execute(
            "SELECT c.Name, c.JSON, s.JSON FROM ContainerConfig c JOIN ContainerState s USING (ID)"
        ).fetchall()
    with open(f"{folder}/db.sql", "rb") as file:
        assert file.read(20)[18:] == b"\x01\x01", "not journal_mode delete but wal"
    runtime = "podman" if home.startswith("/var") else "podman-rootless"
    assert {row[0] for row in rows} == {e["name"] for e in expected(host)["containers"] if e["runtime"] == runtime}
    for _, config, state in rows:
        assert "rootfsImageName" in json.loads(config) and "state" in json.loads(state)


def test_the_importer_says_how_it_is_called() -> None:
    ran = subprocess.run([sys.executable, IMPORTER], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "CAPTURE_DIR FIXTURE_DIR" in ran.stderr
