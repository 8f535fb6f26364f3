"""The size of a container's log: rotation included, contents never read, the rules of all state files."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from cgroupfs import Root
from cgstatd.host.runtimes import Unreadable
from cgstatd.host.runtimes.base import LogSize
from cgstatd.host.runtimes.docker import DockerSource
from cgstatd.host.runtimes.podman import PodmanSource
from cgstatd.host.runtimes.statefile import MOST_HUNG, StateFiles

ID = "39c6868eaab7c432616f52e116935862a33dc8459daa8c179a390eb43e36b5d5"
FOLDER = f"/var/lib/docker/containers/{ID}"
LOG = f"{ID}-json.log"
USERDATA = f"/var/lib/containers/storage/overlay-containers/{ID}/userdata"


def write(root: Path, path: str, size: int, mode: int = 0o640) -> Path:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    file.chmod(mode)
    return file


def docker(root: Path, uid: int | None = None) -> DockerSource:
    """Of whoever runs the tests."""
    live, owner = Root(str(root)), os.getuid() if uid is None else uid
    return DockerSource(live, owner_uid=owner, files=StateFiles(live, owner))


def test_rotated_files_count_and_others_do_not(tmp_path: Path) -> None:
    assert docker(tmp_path).log_size(ID) is None
    write(tmp_path, f"{FOLDER}/config.v2.json", 9)
    assert docker(tmp_path).log_size(ID) is None
    for name, size in ((LOG, 100), (f"{LOG}.1", 20), (f"{LOG}.2.gz", 3), (f"{LOG}.tmp", 7), (f"x{LOG}", 7),
                       (f"{LOG}.1.gz.x", 7)):  # fmt: skip
        write(tmp_path, f"{FOLDER}/{name}", size)
    assert docker(tmp_path).log_size(ID) == LogSize(f"{FOLDER}/{LOG}", 123, 3)


def test_podmans_k8s_file(tmp_path: Path) -> None:
    live, me = Root(str(tmp_path)), os.getuid()
    source = PodmanSource(live, owner_uid=me, files=StateFiles(live, me))
    assert source.log_size(ID) is None and source.log_size("../x") is None
    write(tmp_path, f"{USERDATA}/ctr.log", 50, 0o600)
    write(tmp_path, f"{USERDATA}/ctr.log.1", 5, 0o600)
    assert source.log_size(ID) == LogSize(f"{USERDATA}/ctr.log", 55, 2)


def test_a_log_is_not_opened_for_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, f"{FOLDER}/{LOG}", 100)
    opened: list[tuple[str, int]] = []
    real = os.open

    def watched(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        opened.append((path, flags))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", watched)
    assert docker(tmp_path).log_size(ID) is not None
    flags = [flags for path, flags in opened if path.endswith(".log")]
    assert flags and all(each & os.O_PATH for each in flags)


@pytest.mark.parametrize(
    ("make", "uid", "reason"),
    [
        (lambda log: log.symlink_to("/etc/passwd"), 0, "is not a regular file"),
        (os.mkfifo, 0, "is not a regular file"),
        (Path.touch, 1, "owned by uid"),
        (lambda log: (log.touch(), log.chmod(0o666)), 0, "writable by its group or by others"),
    ],
    ids=["link out of the directory", "fifo that is waited for", "another owner's", "others may write"],
)
def test_what_is_no_plain_file_of_the_owners_alone_is_refused(
    tmp_path: Path, make: Callable[[Path], object], uid: int, reason: str
) -> None:
    """``uid``: how far from whoever made it the owner is that is believed."""
    log = tmp_path / FOLDER.lstrip("/") / LOG
    log.parent.mkdir(parents=True)
    make(log)
    found = docker(tmp_path, os.getuid() + uid).log_size(ID)
    assert isinstance(found, Unreadable) and found.reason.startswith(reason)


def test_one_that_is_rotated_away_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, f"{FOLDER}/{LOG}", 100)
    monkeypatch.setattr(StateFiles, "names", lambda *_: [LOG, f"{LOG}.1"])
    assert docker(tmp_path).log_size(ID) == LogSize(f"{FOLDER}/{LOG}", 100, 1)


def test_where_many_files_hang_no_further_directory_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, f"{FOLDER}/{LOG}", 100)
    source, looked = docker(tmp_path), list[str]()

    def names(_: StateFiles, directory: str) -> list[str]:
        looked.append(directory)
        return [LOG]

    monkeypatch.setattr(StateFiles, "names", names)
    with ExitStack() as hanging:
        for number in range(MOST_HUNG):
            hanging.enter_context(source._files.root.readers.of(f"/dead/{number}"))
        found = source.log_size(ID)
    assert isinstance(found, Unreadable) and "hangs" in found.reason and not looked
    assert isinstance(source.log_size(ID), LogSize)
