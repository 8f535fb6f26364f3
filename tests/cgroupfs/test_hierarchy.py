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


@pytest.mark.parametrize("name", [LEGACY, LEGACY_CGROUPFS])
def test_a_v1_host_has_a_tree_per_controller_and_cpu_with_cpuacct(name: str) -> None:
    _, hierarchy = recorded(name)
    assert hierarchy.mode == "legacy"
    found = points(hierarchy)
    assert found["cpu"] == found["cpuacct"] == "/sys/fs/cgroup/cpu,cpuacct"
    assert found["io"] == "/sys/fs/cgroup/blkio"
    assert set(found) == set(CONTROLLERS)
    assert hierarchy.trees[0].point == "/sys/fs/cgroup/cpu,cpuacct", "the tree with most controllers is first"
    assert len({tree.point for tree in hierarchy.trees}) == len(hierarchy.trees)


@pytest.mark.parametrize(("name", "below"), [(UNIFIED, True), (LEGACY, False)])
def test_limits_of_io_on_v1_count_for_their_own_cgroup_alone(name: str, below: bool) -> None:
    _, hierarchy = recorded(name)
    assert (hierarchy.limits_below("io"), hierarchy.limits_below("cpu")) == (below, True)


def test_the_named_hierarchy_holds_no_controller_but_is_a_tree_to_look_in() -> None:
    _, hierarchy = recorded(LEGACY)
    systemd = next(tree for tree in hierarchy.trees if tree.point == "/sys/fs/cgroup/systemd")
    assert systemd.controllers == frozenset()
    assert systemd.point not in points(hierarchy).values()


# -- made trees


def test_hybrid_reads_from_v1_what_v1_has_and_the_rest_from_v2(tmp_path: Path) -> None:
    mounts = {
        "/sys/fs/cgroup/systemd": "xattr,name=systemd",
        "/sys/fs/cgroup/memory": "memory",
        "/sys/fs/cgroup/unified": "",
    }
    hierarchy = detect(host(tmp_path, mounts, controllers="cpu io pids memory"))
    assert hierarchy.mode == "hybrid"
    unified = "/sys/fs/cgroup/unified"
    assert points(hierarchy) == {
        "cpu": unified,
        "cpuacct": unified,
        "memory": "/sys/fs/cgroup/memory",
        "io": unified,
        "pids": unified,
        "freezer": unified,
    }
    assert hierarchy.mount("memory") == Mount("/sys/fs/cgroup/memory", "/", Version.V1, frozenset({"memory"}))
    assert hierarchy.mount("cpuset") is None, "mounted nowhere"


def test_a_v2_mount_without_controllers_binds_only_what_v1_left(tmp_path: Path) -> None:
    names = "cpu cpuacct cpuset memory blkio pids freezer".split()
    mounts = {f"/sys/fs/cgroup/{name}": name for name in names}
    hierarchy = detect(host(tmp_path, mounts | {"/sys/fs/cgroup/unified": ""}))
    assert hierarchy.mode == "hybrid"
    assert "/sys/fs/cgroup/unified" not in points(hierarchy).values()
    assert hierarchy.trees[-1].version is Version.V2


def test_a_v2_host_without_the_memory_controller_says_so_by_leaving_it_out(tmp_path: Path) -> None:
    hierarchy = detect(host(tmp_path, {"/sys/fs/cgroup": ""}, controllers="cpuset cpu io pids"))
    assert hierarchy.mount("memory") is None
    assert hierarchy.mount("cpu") is not None


def test_an_unreadable_cgroup_controllers_leaves_the_core_of_v2(tmp_path: Path) -> None:
    root = host(tmp_path, {"/sys/fs/cgroup": ""})
    os.remove(f"{tmp_path}/sys/fs/cgroup/cgroup.controllers")
    assert set(points(detect(root))) == {"cpuacct", "freezer"}


def test_the_first_of_two_mounts_of_a_controller_is_taken(tmp_path: Path) -> None:
    hierarchy = detect(host(tmp_path, {"/sys/fs/cgroup/memory": "memory", "/mnt/memory": "memory"}))
    assert points(hierarchy)["memory"] == "/sys/fs/cgroup/memory"
    assert len(hierarchy.trees) == 2


def test_a_mount_that_another_one_hides_is_left_out(tmp_path: Path) -> None:
    root = host(tmp_path, {"/sys/fs/cgroup/memory": "memory", "/sys/fs/cgroup/cpu": "cpu"})
    os.rmdir(f"{tmp_path}/sys/fs/cgroup/memory")
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


def test_the_text_of_another_mount_makes_no_cgroup_mount() -> None:
    fuse = "99 27 0:60 / /home/x/cgroup rw - fuse.cgroup2 cgroup2 rw\n98 27 0:61 / /m rw - tmpfs cgroup rw,memory\n"
    assert parse_mountinfo(fuse.encode()) == []


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"cgroup2\n", b"32 24 0:27 / /x rw -\n", b"- cgroup2 cgroup2 rw\n", b"\xff\x00\n"]
)
def test_malformed_lines_are_left_out(data: bytes) -> None:
    assert parse_mountinfo(data) == []


def test_optional_fields_may_be_none_or_many() -> None:
    for fields in ("", "shared:1 ", "shared:1 master:2 propagate_from:3 unbindable "):
        line = f"40 32 0:35 /docker/x /cg rw {fields}- cgroup cgroup rw,cpuacct,cpu\n"
        assert parse_mountinfo(line.encode()) == [Mount("/cg", "/docker/x", Version.V1, frozenset({"cpu", "cpuacct"}))]


paths = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).map(lambda text: "/" + text)


@given(paths)
def test_every_mount_point_is_read_back(path: str) -> None:
    written = path.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    (mount,) = parse_mountinfo(V2.replace("{}", written).encode())
    assert mount.point == path


# -- nothing


def test_no_cgroup_mount_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    write_files(str(tmp_path), {"proc/self/mountinfo": OTHER})
    with pytest.raises(NoCgroups) as caught:
        detect(Root(str(tmp_path)))
    assert "no cgroup file system is mounted below" in str(caught.value) and "--host-root" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_proc_at_all_is_no_cgroups(tmp_path: Path) -> None:
    with pytest.raises(NoCgroups):
        detect(Root(str(tmp_path)))


def test_an_unreadable_mountinfo_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Root, path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(Root, "read", denied)
    with pytest.raises(NoCgroups, match="permission denied"):
        detect(Root(str(tmp_path)))


def test_only_one_of_both_mountinfos_being_readable_is_enough(tmp_path: Path) -> None:
    assert detect(host(tmp_path, {"/sys/fs/cgroup": ""}, who="1")).mode == "unified"


# -- below another root


def test_below_a_host_root_the_hosts_own_paths_of_pid_1_come_first(tmp_path: Path) -> None:
    host(tmp_path, {"/sys/fs/cgroup/memory": "memory"}, who="1")
    root = host(tmp_path, {"/elsewhere": "cpu"}, who="self")
    assert points(detect(root)) == {"memory": "/sys/fs/cgroup/memory"}


def test_below_a_host_root_this_process_mounts_have_the_roots_path_in_front(tmp_path: Path) -> None:
    root = host(tmp_path, {"/sys/fs/cgroup": ""}, controllers="cpu memory", prefix=str(tmp_path))
    hierarchy = detect(root)
    assert [tree.point for tree in hierarchy.trees] == ["/sys/fs/cgroup"]
    assert {"cpu", "memory"} <= set(points(hierarchy))


def test_a_directory_that_merely_begins_like_the_root_is_not_below_it(tmp_path: Path) -> None:
    top = tmp_path / "host"
    root = host(top, {"/sys/fs/cgroup/cpu": "cpu"})
    write_files(str(top), {"proc/self/mountinfo": V1.format(f"{top}-other/sys/fs/cgroup/cpu", "cpu")})
    with pytest.raises(NoCgroups):
        detect(root)


def test_a_slash_at_the_end_of_a_root_changes_nothing(tmp_path: Path) -> None:
    host(tmp_path, {"/sys/fs/cgroup": ""})
    assert detect(Root(f"{tmp_path}/")) == detect(Root(str(tmp_path)))


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
