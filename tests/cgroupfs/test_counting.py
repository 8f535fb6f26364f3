"""Whether v1 counts block I/O at all, told by the root cgroup's recursive files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgroupfs import CounterReader, Counting, Descriptors, Directory, Root, Version, detect, io_counting
from cgroupfs.controllers.io import V1_BYTES
from helpers import HOSTS, tree

THROTTLE = "blkio.throttle.io_service_bytes"
RECURSIVE = f"{THROTTLE}_recursive"
BFQ = "blkio.bfq.io_service_bytes_recursive"


def blkio(path: Path, files: dict[str, str]) -> Directory:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return Directory(str(path))


def content(name: str, read: int) -> dict[str, str]:
    return {name: f"8:0 Read {read}\n8:0 Write 0\nTotal {read}\n"}


@pytest.mark.parametrize(
    ("files", "anything"),
    [
        ({**content(RECURSIVE, 0), **content(BFQ, 0)}, False),
        *(({**content(RECURSIVE, 0), **content(name, 1)}, True) for name in V1_BYTES if name.endswith("_recursive")),
        (content(BFQ, 0), True),
        ({RECURSIVE: "rubbish\n"}, True),
    ],
    ids=["all are zero", *(name for name in V1_BYTES if name.endswith("_recursive")), "no throttle file", "malformed"],
)
def test_nothing_counts_only_where_every_recursive_file_of_the_root_is_zero(
    tmp_path: Path, files: dict[str, str], anything: bool
) -> None:
    with blkio(tmp_path, files) as root:
        counting = Counting(root)
    counting.refresh()
    assert counting.anything is anything
    counting.close()
    assert counting.anything, "closed, it must not silence anybody"


def test_a_container_is_read_again_as_soon_as_anything_counts(tmp_path: Path) -> None:
    with blkio(tmp_path / "root", content(RECURSIVE, 0)) as root:
        counting = Counting(root)
    files = {
        "cpuacct.usage": "1\n",
        "memory.usage_in_bytes": "1\n",
        "memory.stat": "total_inactive_file 0\n",
        "memory.limit_in_bytes": "1\n",
        "freezer.state": "THAWED\n",
    }
    with blkio(tmp_path / "one", files | content(THROTTLE, 7)) as one:
        source = (one, Version.V1)
        reader = CounterReader(source, source, source, source, Descriptors(100), counting)
    for read in (0, 7):
        (tmp_path / "root" / RECURSIVE).write_text(f"8:0 Read {read}\nTotal {read}\n")
        counting.refresh()
        assert reader.read().io_read_bytes == read
    reader.close()
    counting.close()


@pytest.mark.parametrize("host", HOSTS)
def test_only_a_v1_host_has_one(host: str) -> None:
    root = Root(tree(host))
    counting = io_counting(root, detect(root))
    assert (counting is not None) == ("-v1-" in host)
