"""Every form of a container's cgroup path, and that no name at all does harm."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cgstatd.host.runtimes import MATCHERS, OPTIONAL, SKIP, Match, match

ID = "0c0fc8a4fe039fe47949bc2f69ee9aa553bf1e0fd3a9d33bb34656e1fc3302ca"
POD = "12258646e25691e8b424c49ac431bb9c3253b5a1fb3d4d3287db4b8d48a9b927"
USER = "/user.slice/user-1000.slice/user@1000.service"
UID = "pod1f2a3b4c-0000-4000-8000-00000000abcd"

CONTAINERS = [
    ("/system.slice", f"docker-{ID}.scope", Match("docker", ID)),
    ("/custom.slice", f"docker-{ID}.scope", Match("docker", ID)),
    (f"{USER}/user.slice", f"docker-{ID}.scope", Match("docker", ID)),
    ("/docker", ID, Match("docker", ID)),
    ("/custom/group", ID, Match("docker", ID)),
    ("", ID, Match("docker", ID)),
    ("/", ID, Match("docker", ID)),
    ("/moby", ID, Match("docker", ID)),
    ("/custom/default", ID, Match("docker", ID)),
    ("", f"system.slice:docker:{ID}", Match("docker", ID)),
    ("/machine.slice", f"libpod-{ID}.scope", Match("podman", ID, "container")),
    (f"/machine.slice/machine-libpod_pod_{POD}.slice", f"libpod-{ID}.scope", Match("podman", ID, "container")),
    (f"{USER}/user.slice", f"libpod-{ID}.scope", Match("podman", ID, "container")),
    ("/libpod_parent", f"libpod-{ID}", Match("podman", ID)),
    (f"/libpod_parent/{POD}", f"libpod-{ID}", Match("podman", ID)),
    ("/system.slice/web.service", f"libpod-payload-{ID}", Match("podman", ID)),
    (f"{USER}/app.slice/web.service", f"libpod-payload-{ID}", Match("podman", ID)),
    ("/default.slice", f"nerdctl-{ID}.scope", Match("containerd", ID)),
    (f"/kubepods.slice/kubepods-{UID}.slice", f"cri-containerd-{ID}.scope", Match("containerd", ID)),
    (f"/kubepods/burstable/{UID}", ID, Match("containerd", ID)),
    (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-{UID}.slice", ID, Match("containerd", ID)),
    (f"/kubelet/kubepods/besteffort/{UID}", ID, Match("containerd", ID)),
    (f"/kubelet.slice/kubelet-kubepods.slice/{UID}.slice", ID, Match("containerd", ID)),
    ("/default", ID, Match("containerd", ID)),
    ("/k8s.io", ID, Match("containerd", ID)),
    ("/default", "web", Match("containerd", "web")),
    ("/default", "web-1.old_2", Match("containerd", "web-1.old_2")),
    ("/system.slice/containerd.service", f"kubepods-{UID}.slice:cri-containerd:{ID}", Match("containerd", ID)),
    (f"/kubepods/{UID}", f"docker-{ID}.scope", Match("docker", ID)),
    (f"/kubepods.slice/kubepods-{UID}.slice", f"crio-{ID}.scope", Match("cri-o", ID, "container")),
    (f"/kubepods/burstable/{UID}", f"crio-{ID}", Match("cri-o", ID)),
    ("", "lxc.payload.lx1", Match("lxc", "lx1")),
    (f"{USER}/app.slice", "lxc.payload.my-box.old", Match("lxc", "my-box.old")),
    ("/lxc.payload", "lx1", Match("lxc", "lx1")),
    ("/lxc", "lx1", Match("lxc", "lx1")),
    ("/lxc", "conmon", Match("lxc", "conmon")),
    ("/lxc", ID, Match("lxc", ID)),
    ("/machine.slice", "machine-nsp.scope", Match("systemd-nspawn", "nsp", "payload")),
    ("/machine.slice", r"machine-web\x2d1.example.scope", Match("systemd-nspawn", "web-1.example", "payload")),
    ("/machine.slice", "systemd-nspawn@nsp.service", Match("systemd-nspawn", "nsp", "payload")),
    ("/machine.slice", "systemd-nspawn@web-1.service", Match("systemd-nspawn", "web-1", "payload")),
]
SKIPPED = [
    (f"{USER}/user.slice", f"libpod-conmon-{ID}.scope"),
    ("/machine.slice", f"libpod-conmon-{ID}.scope"),
    ("/libpod_parent", "conmon"),
    (f"/libpod_parent/{POD}", "conmon"),
    ("/system.slice", f"crio-conmon-{ID}.scope"),
    (f"/kubepods/{UID}", f"crio-conmon-{ID}"),
    ("", "lxc.monitor.lx1"),
    ("", "lxc.monitor"),
    ("/lxc.monitor", "lx1"),
    ("", "lxc.pivot"),
]
OTHERS = [
    ("/default/deeper", "web"),
    ("/custom/default", "web"),
    (f"{USER}/default", "web"),
    ("/default", "-web"),
    ("/default", "we b"),
    ("/default", "web\n"),
    ("/default", "w" * 77),
    ("/other", "web"),
    ("/system.slice", "docker.service"),
    ("/system.slice", "docker.socket"),
    ("/system.slice", f"docker-{ID[:12]}.scope"),
    ("/system.slice", f"docker-{ID.upper()}.scope"),
    ("/system.slice", f"docker-{ID}.scope\n"),
    ("", f"{ID}0"),
    ("", f"{ID}\n"),
    ("/libpod_parent", POD),
    ("/machine.slice", f"machine-libpod_pod_{POD}.slice"),
    (f"{USER}/user.slice", "podman-pause-f85a41cf.scope"),
    ("/system.slice/web.service", "runtime"),
    (f"/machine.slice/libpod-{ID}.scope", "container"),
    ("/kubepods/burstable", UID),
    ("", "lxc"),
    ("", "lxc.payload"),
    ("", "lxc.payload."),
    ("", "lxc.payload.."),
    ("", "lxc.payload.a\nb"),
    ("", "lxc.payload.\udcff"),
    ("/machine.slice", r"machine-qemu\x2d1\x2dweb.scope"),
    ("/machine.slice", r"machine-lxc\x2d1\x2dweb.scope"),
    ("/machine.slice", r"machine-a\x2fb.scope"),
    ("/machine.slice", r"machine-\x2e\x2e.scope"),
    ("/machine.slice", r"machine-a\x00.scope"),
    ("/system.slice", "machine-nsp.scope"),
    ("", ""),
]


@pytest.mark.parametrize(
    ("parent", "name", "expected"),
    [*CONTAINERS, *((*path, SKIP) for path in SKIPPED), *((*path, None) for path in OTHERS)],
)
def test_a_container_is_recognised_a_runtimes_helper_skipped_and_anything_else_nobodys(
    parent: str, name: str, expected: object
) -> None:
    assert match(parent, name) == expected


SERVICES = [
    ("/system.slice", "getty@tty1.service", True),
    ("/system.slice/system-getty.slice", "getty@tty1.service", True),
    (f"{USER}/app.slice", "x.service", False),
    ("/system.slice", "x.slice", False),
    ("/system.slice", ".service", False),
    ("/system.slice/docker.service", "x.service", False),
    ("", "x.service", False),
]


@pytest.mark.parametrize(("parent", "name", "service"), SERVICES)
def test_a_service_of_the_system_is_matched_only_when_it_is_asked_for(parent: str, name: str, service: bool) -> None:
    assert match(parent, name) is None
    assert match(parent, name, services=True) == (Match("systemd", name) if service else None)


names = st.one_of(
    st.text(st.characters(), max_size=300),  # surrogates and control characters too
    st.builds(
        lambda prefix, middle, suffix: prefix + middle + suffix,
        st.sampled_from(["docker-", "libpod-", "machine-", "systemd-nspawn@", "lxc.payload.", "crio-", ":docker:", ""]),
        st.one_of(st.text(st.characters(), max_size=80), st.just(ID), st.just(r"\x2d\xff\x")),
        st.sampled_from([".scope", ".service", ""]),
    ),
)


@given(parent=names.map(lambda name: "/" + name), name=names)
@example(parent="/machine.slice", name="machine-" + r"\x2d" * 10_000 + ".scope")
@example(parent="/lxc", name="x" * 10_000)
@example(parent="/", name=":docker" * 10_000)
@example(parent="/" * 10_000, name=ID)
@example(parent="/machine.slice", name="machine-\udcff\ud800.scope")
def test_no_name_raises_and_no_match_is_unprintable(parent: str, name: str) -> None:
    for each in MATCHERS + OPTIONAL:
        found = each(parent, name)
        if isinstance(found, Match):
            assert found.id.isprintable() and 0 < len(found.id) <= 255 and "/" not in found.id
