"""mountinfo -> where each controller is: unified, legacy, hybrid, odd mounts, other roots, and nothing at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import Hierarchy, Mount, NoCgroups, Root, Version, detect
from cgroupfs.hierarchy import CONTROLLERS, parse_mountinfo
from helpers import LEGACY, LEGACY_CGROUPFS, UNIFIED, recorded, write_files

V2 = "32 24 0:27 / {} rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "40 32 0:35 / {} rw,nosuid shared:20 - cgroup cgroup rw,{}\n"
OTHER = "27 1 254:0 / / rw,noatime shared:1 - ext4 /dev/vda rw\n"


def host(top: Path, mounts: dict[str, str], who: str = "self", controllers: str = "", prefix: str = "") -> Root:
    """A root with these mount points ("" : cgroup2, else the v1 super options) that exist as directories."""
    lines = OTHER
    for point, options in mounts.items():
        os.makedirs(f"{top}{point}", exist_ok=True)
        lines += V1.format(prefix + point, options) if options else V2.format(prefix + point)
        if not options:
            write_files(f"{top}{point}", {"cgroup.controllers": controllers + "\n"})
    write_files(str(top), {f"proc/{who}/mountinfo": lines})
    return Root(str(top))


def points(hierarchy: Hierarchy) -> dict[str, str]:
    return {name: mount.point for name, mount in hierarchy.bound}


# -- the recorded hosts


def test_a_v2_host_has_every_controller_in_the_one_tree() -> None:
    _, hierarchy = recorded(UNIFIED)
    assert hierarchy.mode == "unified"
    assert points(hierarchy) == dict.fromkeys(CONTROLLERS, "/sys/fs/cgroup")
    assert [tree.version for tree in hierarchy.trees] == [Version.V2]
    assert hierarchy.limits_below("io") and hierarchy.limits_below("cpu")


@pytest.mark.parametrize("name", [LEGACY, LEGACY_CGROUPFS])
def test_a_v1_host_has_a_tree_per_controller_and_cpu_with_cpuacct(name: str) -> None:
    _, hierarchy = recorded(name)
    assert hierarchy.mode == "legacy"
    found = points(hierarchy)
    assert found["cpu"] == found["cpuacct"] == "/sys/fs/cgroup/cpu,cpuacct"
    assert found["io"] == "/sys/fs/cgroup/blkio"
    assert set(found) == set(CONTROLLERS)
    trees = {tree.point: tree.controllers for tree in hierarchy.trees}
    assert hierarchy.trees[0].point == "/sys/fs/cgroup/cpu,cpuacct", "the tree with most controllers is first"
    assert len(trees) == len(hierarchy.trees)
    assert trees["/sys/fs/cgroup/systemd"] == frozenset(), "the named hierarchy is a tree to look in"
    assert "/sys/fs/cgroup/systemd" not in found.values()
    assert not hierarchy.limits_below("io") and hierarchy.limits_below("cpu"), "those of I/O count for their own alone"


# -- made trees


V1_NAMES = ("cpu", "cpuacct", "cpuset", "memory", "blkio", "pids", "freezer")
CG = "/sys/fs/cgroup"


@pytest.mark.parametrize(
    ("mounts", "controllers", "mode", "bound"),
    [
        ({f"{CG}/systemd": "xattr,name=systemd", f"{CG}/memory": "memory", f"{CG}/unified": ""}, "cpu io pids memory",
         "hybrid", {"memory": f"{CG}/memory"} | dict.fromkeys(("cpu", "cpuacct", "io", "pids", "freezer"),
                                                              f"{CG}/unified")),
        ({f"{CG}/{name}": name for name in V1_NAMES} | {f"{CG}/unified": ""}, "", "hybrid",
         {name.replace("blkio", "io"): f"{CG}/{name}" for name in V1_NAMES}),
        ({CG: ""}, "cpuset cpu io pids", "unified",
         dict.fromkeys(("cpu", "cpuacct", "cpuset", "io", "pids", "freezer"), CG)),
        ({CG: ""}, None, "unified", {"cpuacct": CG, "freezer": CG}),
        ({f"{CG}/memory": "memory", "/mnt/memory": "memory"}, "", "legacy", {"memory": f"{CG}/memory"}),
    ],
    ids=["hybrid: v1's first, the rest v2's", "hybrid: v2 has none", "v2 without the memory controller",
         "cgroup.controllers cannot be read: the core of v2", "the first of two mounts"],
)  # fmt: skip
def test_where_each_controller_is(
    tmp_path: Path, mounts: dict[str, str], controllers: str | None, mode: str, bound: dict[str, str]
) -> None:
    root = host(tmp_path, mounts, controllers=controllers or "")
    if controllers is None:
        os.remove(f"{tmp_path}{CG}/cgroup.controllers")
    hierarchy = detect(root)
    assert (hierarchy.mode, points(hierarchy), len(hierarchy.trees)) == (mode, bound, len(mounts))
    assert detect(Root(f"{tmp_path}/")) == hierarchy, "a slash at the end of a root changes nothing"
    for name, point in bound.items():
        mount = hierarchy.mount(name)
        assert mount is not None and (mount.point, mount.root) == (point, "/")
        assert (mount.version is Version.V1) is bool(mounts[point]) and hierarchy.mount("rdma") is None


def test_a_mount_that_another_one_hides_is_left_out(tmp_path: Path) -> None:
    root = host(tmp_path, {f"{CG}/memory": "memory", f"{CG}/cpu": "cpu"})
    os.rmdir(f"{tmp_path}{CG}/memory")
    assert set(points(detect(root))) == {"cpu"}


@pytest.mark.parametrize(
    ("written", "point"),
    [
        (r"/mnt/a\040b", "/mnt/a b"),
        (r"/mnt/a\011b", "/mnt/a\tb"),
        (r"/mnt/a\012b", "/mnt/a\nb"),
        (r"/mnt/a\134b", "/mnt/a\\b"),
        (r"/mnt/a\134040b", "/mnt/a\\040b"),
        ("/mnt/a\u2028b\u00a0c\x0cd", "/mnt/a\u2028b\u00a0c\x0cd"),
    ],
)
def test_mount_points_are_unescaped_once_and_never_split(written: str, point: str) -> None:
    assert [mount.point for mount in parse_mountinfo(V2.format(written).encode())] == [point]


def test_a_mount_point_that_is_not_utf_8_can_still_be_opened(tmp_path: Path) -> None:
    point = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(point)
    (mount,) = parse_mountinfo(V2.encode().replace(b"{}", point))
    assert os.path.isdir(mount.point)


FUSE = b"99 27 0:60 / /home/x/cgroup rw - fuse.cgroup2 cgroup2 rw\n98 27 0:61 / /m rw - tmpfs cgroup rw,memory\n"


def test_optional_fields_may_be_none_or_many_and_anything_else_is_no_cgroup_mount() -> None:
    for fields in ("", "shared:1 ", "shared:1 master:2 propagate_from:3 unbindable "):
        line = f"40 32 0:35 /docker/x /cg rw {fields}- cgroup cgroup rw,cpuacct,cpu\n"
        assert parse_mountinfo(line.encode()) == [Mount("/cg", "/docker/x", Version.V1, frozenset({"cpu", "cpuacct"}))]
    malformed = (b"", b"\n", b"cgroup2\n", b"32 24 0:27 / /x rw -\n", b"- cgroup2 cgroup2 rw\n", b"\xff\x00\n")
    for data in (FUSE, *malformed):
        assert parse_mountinfo(data) == []


paths = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).map(lambda text: "/" + text)


@given(paths)
def test_every_mount_point_is_read_back(path: str) -> None:
    written = path.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    (mount,) = parse_mountinfo(V2.replace("{}", written).encode())
    assert mount.point == path


# -- nothing


def test_no_cgroup_mount_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoCgroups):
        detect(Root(str(tmp_path)))
    write_files(str(tmp_path), {"proc/self/mountinfo": OTHER})
    with pytest.raises(NoCgroups) as caught:
        detect(Root(str(tmp_path)))
    assert "no cgroup file system is mounted below" in str(caught.value) and "--host-root" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreadable_mountinfo_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Root, path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(Root, "read", denied)
    with pytest.raises(NoCgroups, match="permission denied"):
        detect(Root(str(tmp_path)))


# -- below another root


def test_below_a_host_root_the_hosts_own_paths_of_pid_1_come_first_then_ours_below_the_root(tmp_path: Path) -> None:
    root = host(tmp_path, {CG: ""}, controllers="cpu memory", prefix=str(tmp_path))
    assert points(detect(root)) == dict.fromkeys(("cpu", "cpuacct", "memory", "freezer"), CG)
    host(tmp_path, {f"{CG}/memory": "memory"}, who="1")
    assert points(detect(root)) == {"memory": f"{CG}/memory"}
    other = host(tmp_path / "host", {f"{CG}/cpu": "cpu"})
    write_files(other.path, {"proc/self/mountinfo": V1.format(f"{other.path}-other{CG}/cpu", "cpu")})
    with pytest.raises(NoCgroups):
        detect(other)  # a directory that merely begins like the root is not below it


# -- this machine


@pytest.mark.host
def test_this_machines_mounts_are_all_found() -> None:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        types = [line.split(" - ")[1].split()[0] for line in file if " - cgroup" in line]
    if not types:
        pytest.skip("no cgroup file system is mounted here")
    hierarchy = detect(Root("/"))
    assert len(hierarchy.trees) >= 1
    assert all(os.path.isdir(tree.point) for tree in hierarchy.trees)
    versions = {tree.version for tree in hierarchy.trees}
    assert (Version.V2 in versions) == ("cgroup2" in types)
    assert (Version.V1 in versions) == ("cgroup" in types)
    assert (hierarchy.mode == "hybrid") == (set(types) == {"cgroup", "cgroup2"})
