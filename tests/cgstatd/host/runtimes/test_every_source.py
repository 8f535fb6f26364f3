"""Every runtime's source over the state of one container, as the runtime writes it (the folders in ``states``): good,
changed, absent, malformed, of a foreign owner, a link, gone while it is read, ids that are none, and each state."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Root
from cgstatd.host.runtimes.base import Configured, Metadata, MetadataSource, State, Unreadable
from cgstatd.host.runtimes.containerd import ContainerdSource
from cgstatd.host.runtimes.crio import CrioSource
from cgstatd.host.runtimes.docker import DockerSource
from cgstatd.host.runtimes.lxc import LxcSource
from cgstatd.host.runtimes.nspawn import NspawnSource
from cgstatd.host.runtimes.podman import PodmanSource
from helpers import near

from .conftest import Write
from .written import (
    BURN,
    CRIO,
    DATABASE,
    DOCKER,
    HOSTCONFIG,
    ID,
    IMAGE,
    INFRA,
    LABELS,
    SANDBOX,
    STATE,
    STORAGE,
    TASK_ID,
    Files,
    burn,
    config,
    crio,
    database,
    docker_config,
    folder,
    listed,
    oci,
    task,
)  # fmt: skip

Source = Callable[[Root], MetadataSource]


@dataclass(frozen=True)
class Runtime:
    """A source, what it says of its one container, and the file that says it."""

    name: str
    source: Source
    file: str
    good: Metadata
    changed: tuple[str | bytes, str, object]
    """What the runtime writes there later, the field that differs by it, and its value."""
    malformed: tuple[tuple[str | bytes, str], ...] = ()
    """What is in the file instead, and words of the reason."""


IN_POD: dict[str, Any] = {
    "network_mode": f"container:{SANDBOX}",
    "pod": "prod/shop-0",
    "image": "registry.example/web:1",
}
LXC, NSPAWN = "/var/lib/lxc/lx1/config", "/run/systemd/machines/nsp"
BAD_CONFIG = (("{", "malformed"), ("[]", "malformed"))
GOOD_DATABASE = database(burn())
WAL = GOOD_DATABASE[:18] + b"\2\2" + GOOD_DATABASE[20:]
RUNTIMES = (
    Runtime(
        "docker", DockerSource, DOCKER,
        Metadata(
            "docker", ID, "shop-db-1", image="lab/busybox:1",
            image_id="sha256:f5ef7592a81077849754dfab46906c5bd018b4fb7cb482bedb641e6c31aff2be",
            labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "db"},
            created_seconds=near(1795604196.01778), state=State.RUNNING, network_mode="shop_default",
            memory_limit_bytes=134217728, started_seconds=near(1795604229.719158), oom_killed=False, pid=1374,
            kept_in=folder(), program="sh",
            configured=Configured(hostname="39c6868eaab7", memory_and_swap_bytes=268435456),
        ),
        (docker_config("/renamed"), "name", "renamed"),
        (
            ('{"Name": 5}', "$.Name"), ('{"Name": "/a", "Config": []}', "$.Config"),
            ('{"Name": "/a", "Config": {"Labels": {"a": 1}}}', "$.Config.Labels"),
            ('{"Name": "/a", "State": {"Running": "yes"}}', "$.State.Running"),
            ('{"Name": "/a", "Created": "yesterday"}', "$.Created"), ("{}", "`Name`"),
            (docker_config()[:100], "truncated"), (docker_config().replace('["SECRET', '"SECRET'), "malformed"),
            (b'{"Name": "/\xff"}', "UTF-8"),
        ),
    ),
    Runtime(
        "podman", PodmanSource, DATABASE,
        Metadata(
            "podman", BURN, "pm-burn", image="localhost/lab/busybox:1", image_id=IMAGE,
            labels={"app": "pm"}, created_seconds=near(1795604248.49564), state=State.RUNNING,
            network_mode="bridge", memory_limit_bytes=67108864, restarts=0, pid=1, kept_in=STORAGE,
            configured=Configured(pids_limit=2048, memory_and_swap_bytes=134217728),
        ),
        (database(burn(6)), "state", State.EXITED),
        (
            *((database(burn(made=made)), words) for made, words in (
                (config(labels={"a": 1}), "`$.labels[...]`"), (config(createdTime="yesterday"), "createdTime"),
                (b"{", "truncated"), (b'{"x":' + b"[" * 100_000, "nested"),
                (b'{"labels": {"a": "\xff"}}', "ContainerConfig.JSON of pm-burn: not valid UTF-8"),
            )),
            *((content, "malformed: not ") for content in (
                b"", b"SQLite format 3\0" + b"\1\1" * 2000, b"BoltDB", GOOD_DATABASE[:5000],
                database(burn(), script="DROP TABLE ContainerState"),
            )),
            (WAL, "WAL"),
        ),
    ),
    Runtime(
        "containerd", ContainerdSource, task(),
        Metadata("containerd", TASK_ID, "k8s_web_shop-0_prod", labels=LABELS, memory_limit_bytes=1048576, **IN_POD),
        (STATE["containerd"][task()].replace(b"shop-0", b"shop-1"), "name", "k8s_web_shop-1_prod"),
        (*BAD_CONFIG, (b'{"annotations": {"io.kubernetes.cri.image-name": "\xff"}}', "UTF-8")),
    ),
    Runtime(
        "crio", CrioSource, CRIO,
        Metadata(
            "cri-o", TASK_ID, "k8s_web_shop-0_prod", image_id="17f8", labels={"app": "web"} | LABELS,
            created_seconds=1795604262.5, state=State.RUNNING, **IN_POD,
        ),
        (STATE["crio"][CRIO].replace(b"shop-0", b"shop-1"), "name", "k8s_web_shop-1_prod"),
        (
            *BAD_CONFIG, (b'{"annotations": {"io.kubernetes.cri-o.Image": "\xff"}}', "UTF-8"),
            (crio(Labels='{"app": 5}')[CRIO], "malformed: Expected `str`, got `int` - at `$[...]`"),
        ),
    ),
    Runtime(
        "lxc", LxcSource, LXC,
        Metadata("lxc", "lx1", "lx1", network_mode="none", memory_limit_bytes=48 << 20),
        (STATE["lxc"][LXC].replace(b"48M", b"1G"), "memory_limit_bytes", 1 << 30),
        ((b"lxc.uts.name = \xff\n", "not valid UTF-8"),),
    ),
    Runtime(
        "nspawn", NspawnSource, NSPAWN,
        Metadata("systemd-nspawn", "nsp", "nsp", created_seconds=near(1795604289.866928), state=State.RUNNING),
        ("CLASS=container\nREALTIME=5000000\n", "created_seconds", 5.0),
        (
            (STATE["nspawn"][NSPAWN].replace(b"=container", b"=vm"), "the machine's class is not container"),
            ("NAME=nsp\n", "malformed: no CLASS"),
            ("CLASS=container\nREALTIME=soon\n", "malformed: REALTIME is not a number of microseconds"),
            (f"CLASS=container\nREALTIME={'9' * 5000}\n", "malformed: REALTIME is not a number of microseconds"),
            (b"NAME=\xff\n", "not valid UTF-8"),
        ),
    ),
)  # fmt: skip


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    yield request.param


@pytest.fixture
def source(runtime: Runtime, write: Write) -> MetadataSource:
    """Over the state as the runtime writes it."""
    for path, content in STATE[runtime.name].items():
        write(path, content, mode=0o600)
    return runtime.source(Root())


def test_it_is_told_and_no_secret_is(runtime: Runtime, source: MetadataSource) -> None:
    assert source.get(runtime.good.id) == runtime.good and list(source.all()) == [runtime.good]
    kept = [each.value for each in source._files._shelf._files.values()]  # type: ignore[attr-defined]
    assert kept and "s3cr3t" not in repr([source.get(runtime.good.id), list(source.all()), vars(source), kept])
    assert source.owner_uid == 0


def test_what_changes_is_told_at_once(runtime: Runtime, source: MetadataSource, write: Write) -> None:
    content, field, value = runtime.changed
    assert getattr(source.get(runtime.good.id), field) != value
    write(runtime.file, content, mode=0o600)
    found = source.get(runtime.good.id)
    assert getattr(found, field) == value and list(source.all()) == [found]


def test_what_is_not_there_is_none(runtime: Runtime, source: MetadataSource) -> None:
    assert source.get(runtime.good.id) is not None and source.get("a" * 64) is None
    os.unlink(runtime.file)
    assert source.get(runtime.good.id) is None and list(source.all()) == []


def test_nothing_there_at_all(runtime: Runtime, host: FakeFilesystem) -> None:
    source = runtime.source(Root())
    assert source.get(runtime.good.id) is None and list(source.all()) == []


def test_what_is_malformed_is_named_with_the_reason(runtime: Runtime, source: MetadataSource, write: Write) -> None:
    for content, words in runtime.malformed:
        write(runtime.file, content)
        found = source.get(runtime.good.id)
        assert isinstance(found, Unreadable) and found.path == runtime.file and words in found.reason, content
        assert list(source.all()) == [] and "s3cr3t" not in repr([found, vars(source)])


def test_another_owners_file_and_a_link_are_refused(runtime: Runtime, source: MetadataSource, write: Write) -> None:
    content = Path(runtime.file).read_bytes()
    os.unlink(runtime.file)
    write(runtime.file, content, uid=1000)
    assert source.get(runtime.good.id) == Unreadable("owned by uid 1000, not by 0", runtime.file)
    os.unlink(runtime.file)
    os.symlink(write("/elsewhere", content), runtime.file)
    assert source.get(runtime.good.id) == Unreadable("is a symbolic link", runtime.file)


def test_one_that_goes_while_it_is_read_is_none(
    runtime: Runtime, source: MetadataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def late(path: str, *how: object, **more: object) -> int:
        if os.path.basename(path) == os.path.basename(runtime.file) and os.path.exists(runtime.file):
            os.unlink(runtime.file)
        return opened(path, *how, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", late)
    assert source.get(runtime.good.id) is None and list(source.all()) == []
    assert not os.path.exists(runtime.file)


def test_an_id_that_is_none_reaches_no_file(
    runtime: Runtime, source: MetadataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = runtime.good.id
    wrong = ["", ".", "..", "../" * 3, f"../{good}", f"{good}/..", f"{good}/../{good}", f"{good}\n", "a\nb", "\0",
             "\udcff", "\udcff" * 64, "x" * 10_000]  # fmt: skip
    wrong += [] if len(good) < 64 else [good[:12], *([good.upper()] if good != good.upper() else [])]
    monkeypatch.setattr(os, "open", None if runtime.name == "docker" else os.open)
    assert [each for each in wrong if source.get(each) is not None] == []


# -- each state, and each of a runtime's words

ZERO = "0001-01-01T00:00:00Z"
STARTED, FINISHED = "2026-11-25T22:29:37.889057269Z", "2026-11-25T22:29:38.455787873Z"
OOM_KILLED = {
    "state": 6, "startedTime": STARTED, "finishedTime": FINISHED, "exitCode": 137, "oomKilled": True, "exited": True,
    "restartCount": 2, "conmonPid": 4711,
}  # fmt: skip
PODMANS_STATES = {
    0: State.UNKNOWN, 1: State.CREATED, 2: State.CREATED, 3: State.RUNNING, 4: State.EXITED, 5: State.PAUSED,
    6: State.EXITED, 7: State.EXITED, 8: State.RUNNING, 99: State.UNKNOWN,
}  # fmt: skip
CRI = json.loads(STATE["containerd"][task()])["annotations"]
CRI_SANDBOX = {
    key: "sandbox" if value == "container" else value
    for key, value in CRI.items()
    if key.rpartition(".")[2] not in ("container-name", "image-name")
}
NERDCTL = {"nerdctl/name": "web", "nerdctl/networks": '["bridge"]', "com.docker.compose.project": "shop"}


def podman(state: Any = 3, **changes: Any) -> tuple[Source, Files]:
    return PodmanSource, {DATABASE: database(burn(state, config(**changes)))}


def no_network(namespaces: Any) -> tuple[Source, Files]:
    return podman(createNetNS=False, networkMode=None, spec={"linux": {"namespaces": namespaces}})


def docker(**state: Any) -> tuple[Source, Files]:
    return DockerSource, {DOCKER: docker_config(**state)}


def containerd(content: str, path: str = "", **beside: str) -> tuple[Source, Files]:
    more: Files = {f"{os.path.dirname(task())}/{name.replace('_', '.')}": text for name, text in beside.items()}
    return ContainerdSource, {path or task(): content, **more}


def lxc(lines: str) -> tuple[Source, Files]:
    return LxcSource, {LXC: lines}


TOLD: list[tuple[tuple[Source, Files], dict[str, Any]]] = [
    (podman(OOM_KILLED), {
        "state": State.EXITED, "exit_code": 137, "oom_killed": True, "restarts": 2, "pid": None,
        "started_seconds": near(1795645777.889057), "finished_seconds": near(1795645778.455788),
    }),
    # Podman leaves out what has Go's zero value; finishedTime stays that of the life before.
    (podman({"state": 3, "pid": 29114, "startedTime": STARTED, "finishedTime": ZERO, "restartCount": 1}), {
        "state": State.RUNNING, "exit_code": None, "oom_killed": None, "restarts": 1, "pid": 29114,
        "finished_seconds": None,
    }),
    (podman({"state": 6, "exited": True, "startedTime": STARTED}), {"exit_code": 0, "oom_killed": False}),
    *((podman(number), {"state": state}) for number, state in PODMANS_STATES.items()),
    (no_network([{"type": "network"}]), {"network_mode": "none"}),
    (no_network([{"type": "network", "path": "/run/netns/x"}]), {"network_mode": "ns:/run/netns/x"}),
    (no_network([{"type": "pid"}]), {"network_mode": "host"}),
    (no_network(None), {"network_mode": None}),
    (docker(Paused=True), {"state": State.PAUSED}),
    (docker(Running=False), {"state": State.EXITED}),
    (docker(Running=False, StartedAt=ZERO), {"state": State.CREATED, "exit_code": None}),
    (docker(Running=False, StartedAt=ZERO, ExitCode=127), {"state": State.CREATED, "exit_code": 127}),
    (docker(Restarting=True, Pid=0, ExitCode=3, FinishedAt=FINISHED), {
        "state": State.RESTARTING, "exit_code": 3, "pid": None, "finished_seconds": near(1795645778.455788),
    }),
    ((DockerSource, {
        DOCKER: '{"Name": "/a", "Config": {"Labels": null}}', HOSTCONFIG: '{"NetworkMode": "host", "Memory": 0}',
    }), {"name": "a", "state": State.CREATED, "network_mode": "host", "labels": {}, "memory_limit_bytes": None}),
    ((DockerSource, {DOCKER: docker_config(), HOSTCONFIG: "{"}), {  # costs its own values only
        "name": "shop-db-1", "network_mode": None, "memory_limit_bytes": None,
    }),
    (containerd(oci(CRI_SANDBOX, network=False)), {
        "name": "k8s_POD_shop-0_prod", "infra": True, "network_mode": "host",
    }),
    (containerd(oci(NERDCTL), task("default")), {
        "name": "web", "network_mode": "bridge", "labels": {"com.docker.compose.project": "shop"},
    }),
    (containerd(oci(None), task("default")), {"name": TASK_ID[:12], "labels": {}}),
    (containerd(oci(None), task("default", "web")), {"id": "web", "name": "web", "memory_limit_bytes": 1 << 20}),
    *((containerd(oci(CRI), init_pid=content), {"pid": pid}) for content, pid in (
        ("4711", 4711), ("4711\n", 4711), ("", None), ("x", None), ("0", None), ("9" * 5000, None),
    )),
    *(((CrioSource, crio(status)), {"state": state}) for status, state in (
        ("stopped", State.EXITED), ("paused", State.PAUSED), ("created", State.CREATED), ("odd", State.UNKNOWN),
    )),
    ((CrioSource, crio(ContainerType="sandbox", HostNetwork="true")), {
        "name": "k8s_POD_shop-0_prod", "infra": True, "network_mode": "host",
    }),
    (lxc("lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\n"), {"network_mode": "lxcbr0"}),
    (lxc("lxc.net.0.type=none\n"), {"network_mode": "host"}),
    (lxc("lxc.network.type = phys\n"), {"network_mode": "phys"}),
    (lxc("lxc.cgroup.memory.limit_in_bytes = 1073741824\n"), {"network_mode": None, "memory_limit_bytes": 1 << 30}),
    *((lxc(lines), {"network_mode": None, "memory_limit_bytes": None}) for lines in (
        "lxc.cgroup2.memory.max = max\n", "lxc.cgroup2.memory.max = 5PB\nnonsense\n=\n", "",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("made", "told"), TOLD)
def test_each_state_and_word_of_a_runtime_is_told(
    write: Write, made: tuple[Source, Files], told: dict[str, Any]
) -> None:
    source, files = made
    for path, content in files.items():
        write(path, content, mode=0o600)
    [found] = source(Root()).all()
    assert {field: getattr(found, field) for field in told} == told
    assert source(Root()).get(found.id) == found


LIBPODS = {**crio(), CRIO: str(crio()[CRIO]).replace('"cri-o"', '"libpod"')}
CRIOS = listed(INFRA, "k8s_web_shop-0_prod", **{"pod-name": "shop-0", "pod-id": INFRA})


@pytest.mark.parametrize(
    ("source", "files", "container_id"),
    [
        (ContainerdSource, {task("moby"): oci(CRI)}, TASK_ID),
        (CrioSource, LIBPODS, TASK_ID),
        (PodmanSource, {f"{STORAGE}/overlay-containers/containers.json": json.dumps([CRIOS])}, INFRA),
    ],
    ids=["Docker's task", "Podman's storage", "CRI-O's storage"],
)
def test_another_runtimes_container_is_not_told(write: Write, source: Source, files: Files, container_id: str) -> None:
    for path, content in files.items():
        write(path, content)
    assert source(Root()).get(container_id) is None and list(source(Root()).all()) == []


def test_an_nspawn_containers_unit_is_no_second_one(write: Write) -> None:
    write(NSPAWN, STATE["nspawn"][NSPAWN])
    os.symlink("nsp", "/run/systemd/machines/unit:machine-nsp.scope")
    assert [each.name for each in NspawnSource(Root()).all()] == ["nsp"]
