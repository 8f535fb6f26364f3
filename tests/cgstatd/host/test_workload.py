"""What stays the same when a container is made anew."""

from __future__ import annotations

from typing import Any

import pytest

from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata
from cgstatd.host.runtimes.kubernetes import kubernetes_labels, kubernetes_name
from cgstatd.host.workload import workload

COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
NUMBERED = {**COMPOSE, "com.docker.compose.container-number": "2"}
IDS = ("a" * 64, "b" * 64)


def of(
    labels: dict[str, str] | None = None,
    *,
    name: str = "web",
    runtime: str = "docker",
    uid: int = 0,
    pod: str | None = None,
    id_: str = IDS[0],
) -> str | None:
    metadata = Metadata(runtime, id_, name, labels=labels or {}, pod=pod, owner_uid=uid)
    return workload(Identity(id_, name, runtime, uid, metadata))


@pytest.mark.parametrize(
    ("labels", "more", "wanted"),
    [
        (NUMBERED, {"name": "shop-web-2"}, "compose:shop/web/2"),
        (COMPOSE, {}, "compose:shop/web"),
        ({"io.podman.compose.project": "p", "com.docker.compose.service": "s"}, {"runtime": "podman"}, "compose:p/s"),
        ({"com.docker.compose.project": "shop"}, {}, "docker:web"),
        (kubernetes_labels("c", "p", "n", "u"), {"name": kubernetes_name("c", "p", "n")}, "pod:n/p/c"),
        ({"PODMAN_SYSTEMD_UNIT": "web.service"}, {"runtime": "podman"}, "unit:web.service"),
        ({}, {"runtime": "podman", "pod": "site"}, "pod:site/web"),
        ({}, {"runtime": "lxc"}, "lxc:web"),
        (NUMBERED, {"uid": 1000}, "compose:shop/web/2@1000"),
        ({}, {"uid": 1000, "runtime": "podman"}, "podman:web@1000"),
    ],
)
def test_the_first_that_tells_it(labels: dict[str, str], more: dict[str, Any], wanted: str) -> None:
    assert {of(labels, id_=each, **more) for each in IDS} == {wanted}


def test_no_label_makes_two_workloads_one() -> None:
    one = {"com.docker.compose.project": "a/b", "com.docker.compose.service": "c"}
    other = {"com.docker.compose.project": "a", "com.docker.compose.service": "b/c"}
    assert of(one) == "compose:a%2Fb/c" != of(other)
    assert of({**COMPOSE, "com.docker.compose.container-number": "2@1000"}) != of(NUMBERED, uid=1000)
    assert "\n" not in (of({}, name="x\ny\ud800") or "")


def test_without_metadata_a_name_is_known_and_an_id_is_none() -> None:
    assert workload(Identity(IDS[0], "aaaaaaaaaaaa", "docker", 0, None)) is None
    assert workload(Identity("box", "box", "lxc", 0, None)) == "lxc:box"
    assert workload(Identity("ssh.service", "ssh.service", "systemd", 0, None)) == "unit:ssh.service"
