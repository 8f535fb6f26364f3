"""Frozen containers: each runtime and version freezes another directory."""

from __future__ import annotations

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Cgroup, Descriptors
from helpers import HOSTS, LEGACY, UNIFIED, at_its_real_path, cgroup, cgroups, container


def frozen(group: Cgroup, payload: str = "") -> bool | None:
    reader = group.counters(Descriptors(0), payload)
    try:
        return reader.read().frozen
    finally:
        reader.close()


@pytest.mark.parametrize("host", [UNIFIED, LEGACY])
def test_a_paused_container_at_its_real_path_is_frozen(fs: FakeFilesystem, host: str) -> None:
    assert frozen(at_its_real_path(fs, host, "paused")) is True


@pytest.mark.parametrize("host", HOSTS)
def test_only_paused_containers_are_frozen(host: str) -> None:
    for name, group in cgroups(host):
        runtime = container(host, name)["runtime"]
        payload = "container" if runtime.startswith("podman") else ""
        state = frozen(group, payload)
        if runtime == "nspawn" and host != UNIFIED:
            assert state is None, "systemd makes no freezer cgroup for its scopes on v1"
        else:
            assert state is (container(host, name)["state"] == "paused"), name


@pytest.mark.parametrize("host", [UNIFIED, LEGACY])
def test_crun_freezes_the_payload_and_not_the_scope(host: str) -> None:
    group = cgroup(host, "pm-paused")
    assert frozen(group) is False
    assert frozen(group, "container") is True


def test_where_runc_makes_no_payload_the_scope_itself_is_asked() -> None:
    assert frozen(cgroup(UNIFIED, "paused"), "container") is True
