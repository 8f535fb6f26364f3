"""Docker's config.v2.json and hostconfig.json, trimmed from real ones."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Root
from cgstatd.host.runtimes import Budget, Metadata, State, Unreadable
from cgstatd.host.runtimes.budget import ENTRY_BYTES, SYSTEM
from cgstatd.host.runtimes.docker import DockerSource, docker_data_root
from cgstatd.host.runtimes.statefile import StateFiles

Write = Callable[..., str]
PlainUser = Callable[[], AbstractContextManager[None]]
ID = "39c6868eaab7c432616f52e116935862a33dc8459daa8c179a390eb43e36b5d5"
OTHER = "670dffbec10bbb46bd4a6237915a79fb6e08278147174167159541d1580bf855"
IMAGE = "sha256:f5ef7592a81077849754dfab46906c5bd018b4fb7cb482bedb641e6c31aff2be"
ZERO = "0001-01-01T00:00:00Z"


def folder(container_id: str = ID, root: str = "/var/lib/docker") -> str:
    return f"{root}/containers/{container_id}"


_STATES = Path(__file__).with_name("states") / "docker" / folder().lstrip("/")
_CONFIG, HOSTCONFIG = ((_STATES / name).read_text() for name in ("config.v2.json", "hostconfig.json"))


def config(name: str = "/shop-db-1", **state: Any) -> str:
    made = json.loads(_CONFIG) | {"Name": name}
    made["State"] |= state
    return json.dumps(made)


@pytest.fixture
def shop(write: Write) -> str:
    write(f"{folder()}/hostconfig.json", HOSTCONFIG)
    return write(f"{folder()}/config.v2.json", config(), mode=0o600)


def test_an_end_has_its_time_and_no_process(write: Write) -> None:
    ended: dict[str, Any] = {
        "Running": True,
        "Restarting": True,
        "Pid": 0,
        "ExitCode": 3,
        "FinishedAt": "2026-11-25T22:25:29.82Z",
    }
    write(f"{folder()}/config.v2.json", config(**ended), mode=0o600)
    found = DockerSource(Root()).get(ID)
    assert isinstance(found, Metadata)
    assert (found.state, found.exit_code, found.pid) == (State.RESTARTING, 3, None)
    assert found.finished_seconds == pytest.approx(1795645529.82)
    assert DockerSource(Root()).record_folder(ID) == folder()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, State.RUNNING),
        ({"Paused": True}, State.PAUSED),
        ({"Restarting": True, "Pid": 0}, State.RESTARTING),
        ({"Running": False}, State.EXITED),
        ({"Running": False, "StartedAt": ZERO}, State.CREATED),
    ],
)
def test_states(write: Write, state: dict[str, Any], expected: State) -> None:
    write(f"{folder()}/config.v2.json", config(**state))
    found = DockerSource(Root()).get(ID)
    assert isinstance(found, Metadata)
    assert found.state is expected


@pytest.mark.parametrize(("code", "expected"), [(127, 127), (0, None)])
def test_a_start_that_failed_has_a_code_though_nothing_ended(write: Write, code: int, expected: int | None) -> None:
    write(f"{folder()}/config.v2.json", config(Running=False, StartedAt=ZERO, ExitCode=code))
    found = DockerSource(Root()).get(ID)
    assert isinstance(found, Metadata)
    assert (found.state, found.exit_code) == (State.CREATED, expected)


def test_null_labels_and_no_limit(write: Write) -> None:
    write(f"{folder()}/config.v2.json", '{"Name": "/a", "Config": {"Labels": null}}')
    write(f"{folder()}/hostconfig.json", '{"NetworkMode": "host", "Memory": 0}')
    expected = Metadata(runtime="docker", id=ID, name="a", state=State.CREATED, network_mode="host", kept_in=folder())
    assert DockerSource(Root()).get(ID) == expected


@pytest.mark.parametrize("state", [{"Dead": True}, {"RemovalInProgress": True}])
def test_a_container_whose_files_are_being_removed_is_none(shop: str, write: Write, state: dict[str, Any]) -> None:
    write(f"{folder()}/config.v2.json", config(**state))
    assert DockerSource(Root()).get(ID) is not None
    os.unlink(f"{folder()}/hostconfig.json")
    assert DockerSource(Root()).get(ID) is None


def test_a_broken_hostconfig_costs_its_own_values_only(shop: str, write: Write) -> None:
    write(f"{folder()}/hostconfig.json", "{")
    found = DockerSource(Root()).get(ID)
    assert isinstance(found, Metadata)
    assert (found.name, found.network_mode, found.memory_limit_bytes) == ("shop-db-1", None, None)


def test_a_plain_user_is_told_what_is_missing(open_root: Root, plain_user: PlainUser) -> None:
    os.makedirs(open_root.join(folder()))
    os.chmod(open_root.join("/var/lib/docker"), 0o710)
    source = DockerSource(open_root)
    assert source.get(ID) is None
    with plain_user():
        found = source.get(ID)
        assert list(source.all()) == []
    assert isinstance(found, Unreadable)
    assert "CAP_DAC_READ_SEARCH" in found.reason


def test_a_renamed_container_shows_at_once(shop: str, write: Write) -> None:
    source = DockerSource(Root())
    assert [each.name for each in source.all()] == ["shop-db-1"]
    write(shop, config("/shop-db-2"))
    assert [each.name for each in source.all()] == ["shop-db-2"]


def test_all_has_the_stopped_ones_and_leaves_out_what_is_no_container(shop: str, write: Write) -> None:
    write(f"{folder(OTHER)}/config.v2.json", config("/exited", Running=False))
    write("/var/lib/docker/containers/notes.txt", "x")
    write(f"{folder('a' * 64)}/config.v2.json", "{")
    found = {each.name: each.state for each in DockerSource(Root()).all()}
    assert found == {"shop-db-1": State.RUNNING, "exited": State.EXITED}


def test_a_rootless_daemons_files_belong_to_its_user(write: Write) -> None:
    root = "/home/ann/.local/share/docker"
    write(f"{folder(root=root)}/config.v2.json", config(), uid=1000)
    found = DockerSource(Root(), root, 1000).get(ID)
    assert isinstance(found, Metadata)
    assert found.owner_uid == 1000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"data-root": "/mnt/docker", "exec-opts": ["native.cgroupdriver=systemd"]}', "/mnt/docker"),
        ('{"graph": "/mnt/old"}', "/mnt/old"),
        ('{"exec-opts": []}', "/var/lib/docker"),
        ('{"data-root": "relative"}', "/var/lib/docker"),
        ('{"data-root": 5}', "/var/lib/docker"),
        ("{", "/var/lib/docker"),
    ],
)
def test_the_data_root_of_daemon_json(write: Write, content: str, expected: str) -> None:
    write("/host/etc/docker/daemon.json", content)
    assert docker_data_root(Root("/host")) == expected


def test_no_daemon_json(host: FakeFilesystem) -> None:
    assert docker_data_root(Root()) == "/var/lib/docker"


def with_labels(**labels: str) -> str:
    return json.dumps({"Name": "/many", "Config": {"Image": "lab/busybox:1", "Labels": labels}})


def test_of_very_many_labels_those_of_compose_are_kept_and_others_once_they_are_wanted(write: Write) -> None:
    labels = {f"label-{number}": "x" for number in range(10_000)}
    write(f"{folder()}/config.v2.json", with_labels(team="blue", **{"com.docker.compose.project": "shop"}, **labels))
    budget = Budget()
    source = DockerSource(Root(), files=StateFiles(Root(), 0, budget))
    found = source.get(ID)
    assert isinstance(found, Metadata) and found.name == "many" and found.labels_left_out
    assert found.labels == {"com.docker.compose.project": "shop"}
    budget.want(["team"])  # as a reload of metric_labels does
    found = source.get(ID)
    assert isinstance(found, Metadata)
    assert found.labels == {"com.docker.compose.project": "shop", "team": "blue"}


def test_where_there_is_no_room_for_labels_the_name_stays(write: Write) -> None:
    write(f"{folder()}/config.v2.json", with_labels(**{f"label-{number}": "x" * 100 for number in range(100)}))
    budget = Budget(system=SYSTEM._replace(kept=3 * ENTRY_BYTES))
    found = DockerSource(Root(), files=StateFiles(Root(), 0, budget)).get(ID)
    assert isinstance(found, Metadata)
    assert (found.name, found.image, found.labels, found.labels_left_out) == ("many", "lab/busybox:1", {}, True)


@pytest.mark.parametrize("field", ["Name", "Image"])
def test_a_long_text_is_cut_to_what_is_shown(write: Write, field: str) -> None:
    write(f"{folder()}/config.v2.json", json.dumps({"Name": "/a", field: "/" + "x" * 1_000_000}))
    found = DockerSource(Root()).get(ID)
    assert isinstance(found, Metadata)
    assert len(found.name) < 257 and len(found.image_id or "") < 257
