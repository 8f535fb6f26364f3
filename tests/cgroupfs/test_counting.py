"""Whether v1 counts block I/O at all, told by the root cgroup's recursive files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgroupfs import CounterReader, Counting, Descriptors, Directory, Root, Version, detect, io_counting
from cgroupfs.controllers.io import V1_BYTES
from helpers import HOSTS, tree

THROTTLE = "blkio.throttle.io_service_bytes"
BFQ = "blkio.bfq.io_service_bytes_recursive"


def blkio(path: Path, **files: str) -> Directory:
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name.replace("__", ".")).write_text(content)
    return Directory(str(path))


def content(name: str, read: int) -> dict[str, str]:
    return {name.replace(".", "__"): f"8:0 Read {read}\n8:0 Write 0\nTotal {read}\n"}


def test_nothing_counts_where_every_recursive_file_of_the_root_is_zero(tmp_path: Path) -> None:
    with blkio(tmp_path, **content(THROTTLE + "_recursive", 0), **content(BFQ, 0)) as root:
        counting = Counting(root)
    counting.refresh()
    assert not counting.anything
    counting.close()
    assert counting.anything, "closed, it must not silence anybody"


@pytest.mark.parametrize("name", [n for n in V1_BYTES if n.endswith("_recursive")])
def test_any_recursive_file_that_counts_makes_every_cgroup_be_read(tmp_path: Path, name: str) -> None:
    files = {**content(THROTTLE + "_recursive", 0), **content(name, 1)}
    with blkio(tmp_path, **files) as root:
        counting = Counting(root)
    counting.refresh()
    assert counting.anything
    counting.close()


def test_without_a_recursive_throttle_file_nothing_is_silenced(tmp_path: Path) -> None:
    with blkio(tmp_path, **content(BFQ, 0)) as root:
        counting = Counting(root)
    counting.refresh()
    assert counting.anything


def test_a_malformed_root_file_silences_nothing(tmp_path: Path) -> None:
    with blkio(tmp_path, **{(THROTTLE + "_recursive").replace(".", "__"): "rubbish\n"}) as root:
        counting = Counting(root)
    counting.refresh()
    assert counting.anything
    counting.close()


def test_a_container_is_read_again_as_soon_as_anything_counts(tmp_path: Path) -> None:
    with blkio(tmp_path / "root", **content(THROTTLE + "_recursive", 0)) as root:
        counting = Counting(root)
    files = {
        "cpuacct__usage": "1\n",
        "memory__usage_in_bytes": "1\n",
        "memory__stat": "total_inactive_file 0\n",
        "memory__limit_in_bytes": "1\n",
        "freezer__state": "THAWED\n",
    }
    with blkio(tmp_path / "one", **files, **content(THROTTLE, 7)) as one:
        source = (one, Version.V1)
        reader = CounterReader(source, source, source, source, Descriptors(100), counting)
    counting.refresh()
    assert reader.read().io_read_bytes == 0
    (tmp_path / "root" / (THROTTLE + "_recursive")).write_text("8:0 Read 7\nTotal 7\n")
    counting.refresh()
    assert reader.read().io_read_bytes == 7
    reader.close()
    counting.close()


@pytest.mark.parametrize("host", HOSTS)
def test_only_a_v1_host_has_one(host: str) -> None:
    root = Root(tree(host))
    counting = io_counting(root, detect(root))
    assert (counting is not None) == ("-v1-" in host)
