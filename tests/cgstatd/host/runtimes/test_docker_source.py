"""What Docker's source alone has: removal, a data root elsewhere, very many labels, a right that is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from cgroupfs import Root
from cgstatd.host.runtimes import Budget, Metadata, State, Unreadable
from cgstatd.host.runtimes.budget import ENTRY_BYTES, SYSTEM
from cgstatd.host.runtimes.docker import DockerSource, docker_data_root
from cgstatd.host.runtimes.statefile import StateFiles

from .conftest import Write
from .written import DOCKER, HOSTCONFIG, ID, STATE, docker_config, folder

OTHER = "670dffbec10bbb46bd4a6237915a79fb6e08278147174167159541d1580bf855"


def found(source: DockerSource | None = None) -> Metadata:
    made = (source or DockerSource(Root())).get(ID)
    assert isinstance(made, Metadata)
    return made


@pytest.mark.parametrize("state", [{"Dead": True}, {"RemovalInProgress": True}])
def test_a_container_whose_files_are_being_removed_is_none(write: Write, state: dict[str, Any]) -> None:
    write(HOSTCONFIG, STATE["docker"][HOSTCONFIG])
    write(DOCKER, docker_config(**state))
    assert found().kept_in == folder() == DockerSource(Root()).record_folder(ID)
    os.unlink(HOSTCONFIG)
    assert DockerSource(Root()).get(ID) is None


def test_a_plain_user_is_told_what_is_missing(
    open_root: Root, plain_user: Callable[[], AbstractContextManager[None]]
) -> None:
    os.makedirs(open_root.join(folder()))
    os.chmod(open_root.join("/var/lib/docker"), 0o710)
    source = DockerSource(open_root)
    assert source.get(ID) is None
    with plain_user():
        refused = source.get(ID)
        assert list(source.all()) == []
    assert isinstance(refused, Unreadable) and "CAP_DAC_READ_SEARCH" in refused.reason


def test_all_has_the_stopped_ones_and_leaves_out_what_is_no_container(write: Write) -> None:
    write(DOCKER, docker_config())
    write(f"{folder(OTHER)}/config.v2.json", docker_config("/exited", Running=False))
    write("/var/lib/docker/containers/notes.txt", "x")
    write(f"{folder('a' * 64)}/config.v2.json", "{")
    states = {each.name: each.state for each in DockerSource(Root()).all()}
    assert states == {"shop-db-1": State.RUNNING, "exited": State.EXITED}


def test_a_rootless_daemons_files_belong_to_its_user(write: Write) -> None:
    root = "/home/ann/.local/share/docker"
    write(f"{folder(root=root)}/config.v2.json", docker_config(), uid=1000)
    assert found(DockerSource(Root(), root, 1000)).owner_uid == 1000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"data-root": "/mnt/docker", "exec-opts": ["native.cgroupdriver=systemd"]}', "/mnt/docker"),
        ('{"graph": "/mnt/old"}', "/mnt/old"),
        *((content, "/var/lib/docker") for content in (
            '{"exec-opts": []}', '{"data-root": "relative"}', '{"data-root": 5}', "{", None,
        )),
    ],
)  # fmt: skip
def test_the_data_root_of_daemon_json(write: Write, content: str | None, expected: str) -> None:
    if content is not None:
        write("/host/etc/docker/daemon.json", content)
    assert docker_data_root(Root("/host")) == expected


def with_labels(**labels: str) -> str:
    return json.dumps({"Name": "/many", "Config": {"Image": "lab/busybox:1", "Labels": labels}})


def test_of_very_many_labels_those_of_compose_are_kept_and_others_once_they_are_wanted(write: Write) -> None:
    labels = {f"label-{number}": "x" for number in range(10_000)}
    write(DOCKER, with_labels(team="blue", **{"com.docker.compose.project": "shop"}, **labels))
    budget = Budget()
    source = DockerSource(Root(), files=StateFiles(Root(), 0, budget))
    assert found(source).name == "many" and found(source).labels_left_out
    assert found(source).labels == {"com.docker.compose.project": "shop"}
    budget.want(["team"])  # as a reload of metric_labels does
    assert found(source).labels == {"com.docker.compose.project": "shop", "team": "blue"}


def test_where_there_is_no_room_for_labels_the_name_stays(write: Write) -> None:
    write(DOCKER, with_labels(**{f"label-{number}": "x" * 100 for number in range(100)}))
    budget = Budget(system=SYSTEM._replace(kept=3 * ENTRY_BYTES))
    made = found(DockerSource(Root(), files=StateFiles(Root(), 0, budget)))
    assert (made.name, made.image, made.labels, made.labels_left_out) == ("many", "lab/busybox:1", {}, True)


@pytest.mark.parametrize("field", ["Name", "Image"])
def test_a_long_text_is_cut_to_what_is_shown(write: Write, field: str) -> None:
    write(DOCKER, json.dumps({"Name": "/a", field: "/" + "x" * 1_000_000}))
    assert len(found().name) < 257 and len(found().image_id or "") < 257
