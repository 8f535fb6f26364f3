"""Every runtime's source over the state of one container, as the runtime writes it (the folders in ``states``): good,
absent, malformed, of a foreign owner, a link, gone while it is read, and ids that are none."""

from __future__ import annotations

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

from . import test_docker_source as docker
from . import test_kubernetes_sources as pods
from . import test_named_sources as named
from . import test_podman_source as podman
from .conftest import Write

STATES = Path(__file__).with_name("states")


@dataclass(frozen=True)
class Runtime:
    """A source, what it says of its one container, and the file that says it."""

    name: str
    source: Callable[[Root], MetadataSource]
    file: str
    good: Metadata
    malformed: tuple[tuple[str | bytes, str], ...] = ()
    """What is in the file instead, and words of the reason."""

    def files(self) -> dict[str, bytes]:
        """Those of its container, by their path on the host."""
        if self.name == "podman":
            return {podman.DATABASE: podman.database(podman.BURNING)}
        top = STATES / self.name
        return {f"/{path.relative_to(top)}": path.read_bytes() for path in top.rglob("*") if path.is_file()}


POD: dict[str, Any] = {
    "network_mode": f"container:{pods.SANDBOX}",
    "pod": "prod/shop-0",
    "image": "registry.example/web:1",
}
BAD_CONFIG = (("{", "malformed"), ("[]", "malformed"))
RUNTIMES = (
    Runtime(
        "docker", DockerSource, f"{docker.folder()}/config.v2.json",
        Metadata(
            "docker", docker.ID, "shop-db-1", image="lab/busybox:1", image_id=docker.IMAGE,
            labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "db"},
            created_seconds=near(1795604196.01778), state=State.RUNNING, network_mode="shop_default",
            memory_limit_bytes=134217728, started_seconds=near(1795604229.719158), oom_killed=False, pid=1374,
            kept_in=docker.folder(), program="sh",
            configured=Configured(hostname="39c6868eaab7", memory_and_swap_bytes=268435456),
        ),
        (
            ('{"Name": 5}', "$.Name"), ('{"Name": "/a", "Config": []}', "$.Config"),
            ('{"Name": "/a", "Config": {"Labels": {"a": 1}}}', "$.Config.Labels"),
            ('{"Name": "/a", "State": {"Running": "yes"}}', "$.State.Running"),
            ('{"Name": "/a", "Created": "yesterday"}', "$.Created"), ("{}", "`Name`"),
            (docker.config()[:100], "truncated"), (docker.config().replace('["SECRET', '"SECRET'), "malformed"),
            (b'{"Name": "/\xff"}', "UTF-8"),
        ),
    ),
    Runtime(
        "podman", PodmanSource, podman.DATABASE,
        Metadata(
            "podman", podman.BURN, "pm-burn", image="localhost/lab/busybox:1", image_id=podman.IMAGE,
            labels={"app": "pm"}, created_seconds=near(1795604248.49564), state=State.RUNNING,
            network_mode="bridge", memory_limit_bytes=67108864, restarts=0, pid=1, kept_in=podman.STORAGE,
            configured=Configured(pids_limit=2048, memory_and_swap_bytes=134217728),
        ),
    ),
    Runtime(
        "containerd", ContainerdSource, f"{pods.TASKS}/k8s.io/{pods.ID}/config.json",
        Metadata("containerd", pods.ID, "k8s_web_shop-0_prod", labels=pods.LABELS, memory_limit_bytes=1048576, **POD),
        (*BAD_CONFIG, (b'{"annotations": {"io.kubernetes.cri.image-name": "\xff"}}', "UTF-8")),
    ),
    Runtime(
        "crio", CrioSource, f"{pods.STORAGE}/{pods.ID}/userdata/config.json",
        Metadata(
            "cri-o", pods.ID, "k8s_web_shop-0_prod", image_id="17f8", labels={"app": "web"} | pods.LABELS,
            created_seconds=1795604262.5, state=State.RUNNING, **POD,
        ),
        (*BAD_CONFIG, (b'{"annotations": {"io.kubernetes.cri-o.Image": "\xff"}}', "UTF-8")),
    ),
    Runtime(
        "lxc", LxcSource, named.LXC,
        Metadata("lxc", "lx1", "lx1", network_mode="none", memory_limit_bytes=48 << 20),
        ((b"lxc.uts.name = \xff\n", "not valid UTF-8"),),
    ),
    Runtime(
        "nspawn", NspawnSource, named.NSPAWN,
        Metadata(
            "systemd-nspawn", "nsp", "nsp", created_seconds=near(1795604289.866928), state=State.RUNNING
        ),
        (
            (named.MACHINE.replace("=container", "=vm"), "the machine's class is not container"),
            ("NAME=nsp\n", "malformed: no CLASS"),
            ("CLASS=container\nREALTIME=soon\n", "malformed: REALTIME is not a number of microseconds"),
            (f"CLASS=container\nREALTIME={'9' * 5000}\n", "malformed: REALTIME is not a number of microseconds"),
            (b"NAME=\xff\n", "not valid UTF-8"),
        ),
    ),
)  # fmt: skip
FILES = {runtime.name: runtime.files() for runtime in RUNTIMES}


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    yield request.param


@pytest.fixture
def source(runtime: Runtime, write: Write) -> MetadataSource:
    """Over the state as the runtime writes it."""
    for path, content in FILES[runtime.name].items():
        write(path, content, mode=0o600)
    return runtime.source(Root())


def test_it_is_told_and_no_secret_is(runtime: Runtime, source: MetadataSource) -> None:
    assert source.get(runtime.good.id) == runtime.good and list(source.all()) == [runtime.good]
    kept = [each.value for each in source._files._shelf._files.values()]  # type: ignore[attr-defined]
    assert kept and "s3cr3t" not in repr([source.get(runtime.good.id), list(source.all()), vars(source), kept])
    assert source.owner_uid == 0


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
