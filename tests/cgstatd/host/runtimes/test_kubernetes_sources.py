"""containerd (the kubelet's and nerdctl's) and CRI-O: annotations of the OCI config."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from cgroupfs import Root
from cgstatd.host.runtimes import Metadata, State, Unreadable
from cgstatd.host.runtimes.containerd import ContainerdSource
from cgstatd.host.runtimes.crio import CrioSource

Write = Callable[..., str]
ID = "0c0fc8a4fe039fe47949bc2f69ee9aa553bf1e0fd3a9d33bb34656e1fc3302ca"
SANDBOX = "5b75dc179ad68c94d420b8374caa109c019248b741f08bbcb77aee2fc43ec1c7"
TASKS = "/run/containerd/io.containerd.runtime.v2.task"
STORAGE = "/var/lib/containers/storage/overlay-containers"
NAMES = "/var/lib/nerdctl/1935db59/names/default"
LABELS = {
    "io.kubernetes.container.name": "web",
    "io.kubernetes.pod.name": "shop-0",
    "io.kubernetes.pod.namespace": "prod",
    "io.kubernetes.pod.uid": "1f2a",
}


def oci(annotations: dict[str, Any] | None, network: bool = True) -> str:
    namespaces = [{"type": "pid"}] + ([{"type": "network", "path": "/proc/1/ns/net"}] if network else [])
    return json.dumps(
        {
            "ociVersion": "1.2.0",
            "process": {"args": ["web"], "env": ["SECRET_ENV=s3cr3t"]},
            "annotations": annotations,
            "linux": {"namespaces": namespaces, "resources": {"memory": {"limit": 1048576}}},
        }
    )


def cri(kind: str = "container", **more: str) -> dict[str, Any]:
    prefix = "io.kubernetes.cri"
    found = {
        f"{prefix}.container-type": kind,
        f"{prefix}.sandbox-id": SANDBOX,
        f"{prefix}.sandbox-name": "shop-0",
        f"{prefix}.sandbox-namespace": "prod",
        f"{prefix}.sandbox-uid": "1f2a",
        f"{prefix}.pod-annotations": "token=s3cr3t",
    }
    if kind == "container":
        found |= {f"{prefix}.container-name": "web", f"{prefix}.image-name": "registry.example/web:1"}
    return found | more


def task(write: Write, content: str | bytes, namespace: str = "k8s.io", container_id: str = ID, **more: Any) -> str:
    return write(f"{TASKS}/{namespace}/{container_id}/config.json", content, **more)


def test_a_pods_sandbox_at_containerd(write: Write) -> None:
    task(write, oci(cri("sandbox"), network=False), container_id=SANDBOX)
    found = ContainerdSource(Root()).get(SANDBOX)
    assert isinstance(found, Metadata)
    assert (found.name, found.infra, found.network_mode) == ("k8s_POD_shop-0_prod", True, "host")


def nerdctl(name: str = "web") -> dict[str, Any]:
    return {"nerdctl/name": name, "nerdctl/networks": '["bridge"]', "com.docker.compose.project": "shop"}


def test_nerdctls_container_and_its_new_name(write: Write) -> None:
    task(write, oci(nerdctl()), "default")
    write(f"{NAMES}/web", ID, mode=0o600)
    source = ContainerdSource(Root())
    found = source.get(ID)
    assert isinstance(found, Metadata)
    assert (found.name, found.network_mode) == ("web", "bridge")
    assert found.labels == {"com.docker.compose.project": "shop"}
    os.rename(f"{NAMES}/web", f"{NAMES}/renamed")
    write(f"{NAMES}/web", SANDBOX)
    assert {each.id: each.name for each in source.all()} == {ID: "renamed", SANDBOX: "web"}


def test_nerdctls_stopped_container_has_its_name_alone(write: Write) -> None:
    write(f"{NAMES}/stopped", ID)
    write(f"{NAMES}/broken", "x")
    expected = Metadata(runtime="containerd", id=ID, name="stopped")
    assert list(ContainerdSource(Root()).all()) == [expected]
    assert ContainerdSource(Root()).get(ID) == expected
    assert ContainerdSource(Root()).get(SANDBOX) is None


def test_a_container_of_neither_has_its_short_id(write: Write) -> None:
    task(write, oci(None), "default")
    assert [(each.name, each.labels) for each in ContainerdSource(Root()).all()] == [(ID[:12], {})]


def test_a_container_of_ctr_has_the_id_that_was_chosen_for_a_name(write: Write) -> None:
    task(write, oci(None), "default", "web")
    (found,) = ContainerdSource(Root()).all()
    assert (found.id, found.name, found.memory_limit_bytes) == ("web", "web", 1 << 20)
    assert ContainerdSource(Root()).get("web") == found


def test_a_word_is_another_containers_in_another_namespace(write: Write) -> None:
    task(write, oci(None), "k8s.io", "web")
    task(write, oci(None), "prod", "web")
    task(write, oci(None), "prod", ID)
    assert ContainerdSource(Root()).get("web") is None
    assert sorted(each.id for each in ContainerdSource(Root()).all()) == [ID, "web@k8s.io", "web@prod"]
    found = ContainerdSource(Root()).get("web@prod")
    assert isinstance(found, Metadata) and (found.id, found.name) == ("web@prod", "web@prod")
    for wrong in ("web@", "web@other", "@prod", "web@moby", "web@../prod", "web@prod@prod", "we b@prod"):
        assert ContainerdSource(Root()).get(wrong) is None, wrong


@pytest.mark.parametrize(
    ("content", "pid"), [("4711", 4711), ("4711\n", 4711), ("", None), ("x", None), ("0", None), ("9" * 5000, None)]
)
def test_the_first_process_of_a_task_is_in_a_file_beside_its_bundle(
    write: Write, content: str, pid: int | None
) -> None:
    task(write, oci(cri()))
    write(f"{TASKS}/k8s.io/{ID}/init.pid", content)
    found = ContainerdSource(Root()).get(ID)
    assert isinstance(found, Metadata) and found.pid == pid


def test_dockers_tasks_are_not_containerds(write: Write) -> None:
    task(write, oci(cri()), "moby")
    assert ContainerdSource(Root()).get(ID) is None
    assert list(ContainerdSource(Root()).all()) == []


def crio_container(write: Write, **more: Any) -> str:
    prefix = "io.kubernetes.cri-o"
    annotations = LABELS | {
        "io.container.manager": "cri-o",
        f"{prefix}.ContainerType": "container",
        f"{prefix}.ImageName": "registry.example/web:1",
        f"{prefix}.ImageRef": "17f8",
        f"{prefix}.SandboxID": SANDBOX,
        f"{prefix}.Labels": '{"app": "web"}',
        f"{prefix}.Annotations": '{"token": "s3cr3t"}',
        f"{prefix}.Created": "2026-11-25T10:57:42.5Z",
    }
    lists = [{"id": ID, "names": ["x"], "metadata": '{"pod-name": "shop-0", "pod-id": "5b75"}'}]
    write(f"{STORAGE}/containers.json", json.dumps(lists))
    write(f"{STORAGE}/{ID}/userdata/state.json", '{"status": "running", "pid": 5}')
    return write(f"{STORAGE}/{ID}/userdata/config.json", oci(annotations | more))


@pytest.mark.parametrize(
    ("status", "expected"),
    [("stopped", State.EXITED), ("paused", State.PAUSED), ("created", State.CREATED), ("odd", State.UNKNOWN)],
)
def test_crios_states_and_stopped_ones_in_all(write: Write, status: str, expected: State) -> None:
    crio_container(write)
    write(f"{STORAGE}/{ID}/userdata/state.json", json.dumps({"status": status}))
    assert [each.state for each in CrioSource(Root()).all()] == [expected]


def test_crios_sandbox(write: Write) -> None:
    more = {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.HostNetwork": "true"}
    crio_container(write, **more)
    found = CrioSource(Root()).get(ID)
    assert isinstance(found, Metadata)
    assert (found.name, found.infra, found.network_mode) == ("k8s_POD_shop-0_prod", True, "host")


def test_podmans_containers_are_not_crios(write: Write) -> None:
    crio_container(write, **{"io.container.manager": "libpod"})
    assert CrioSource(Root()).get(ID) is None


def test_malformed_labels_are_named(write: Write) -> None:
    path = crio_container(write, **{"io.kubernetes.cri-o.Labels": '{"app": 5}'})
    assert CrioSource(Root()).get(ID) == Unreadable("malformed: Expected `str`, got `int` - at `$[...]`", path)
