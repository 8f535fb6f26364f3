"""The size of a container's log: rotation included, contents never read, the rules of all state files."""

from __future__ import annotations

import os
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


def docker(root: Path) -> DockerSource:
    """Of whoever runs the tests."""
    live, me = Root(str(root)), os.getuid()
    return DockerSource(live, owner_uid=me, files=StateFiles(live, me))


def test_rotated_files_count_and_others_do_not(tmp_path: Path) -> None:
    for name, size in ((LOG, 100), (f"{LOG}.1", 20), (f"{LOG}.2.gz", 3), (f"{LOG}.tmp", 7), ("config.v2.json", 9),
                       (f"x{LOG}", 7), (f"{LOG}.1.gz.x", 7)):  # fmt: skip
        write(tmp_path, f"{FOLDER}/{name}", size)
    assert docker(tmp_path).log_size(ID) == LogSize(f"{FOLDER}/{LOG}", 123, 3)


def test_without_a_file_there_is_no_size(tmp_path: Path) -> None:
    assert docker(tmp_path).log_size(ID) is None
    write(tmp_path, f"{FOLDER}/config.v2.json", 9)
    assert docker(tmp_path).log_size(ID) is None


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


def test_a_link_is_not_followed_out_of_the_directory(tmp_path: Path) -> None:
    secret = write(tmp_path, "/etc/secret", 4711)
    (tmp_path / FOLDER.lstrip("/")).mkdir(parents=True)
    (tmp_path / f"{FOLDER.lstrip('/')}/{LOG}").symlink_to(secret)
    found = docker(tmp_path).log_size(ID)
    assert isinstance(found, Unreadable) and found.reason == "is not a regular file"


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / FOLDER.lstrip("/")).mkdir(parents=True)
    os.mkfifo(tmp_path / f"{FOLDER.lstrip('/')}/{LOG}")
    assert isinstance(docker(tmp_path).log_size(ID), Unreadable)


def test_another_owners_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, f"{FOLDER}/{LOG}", 100)
    live, other = Root(str(tmp_path)), os.getuid() + 1
    found = DockerSource(live, owner_uid=other, files=StateFiles(live, other)).log_size(ID)
    assert isinstance(found, Unreadable) and f"not by {other}" in found.reason


def test_one_that_others_may_write_is_refused(tmp_path: Path) -> None:
    write(tmp_path, f"{FOLDER}/{LOG}", 100, 0o666)
    found = docker(tmp_path).log_size(ID)
    assert isinstance(found, Unreadable) and "writable" in found.reason


def test_one_that_is_rotated_away_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, f"{FOLDER}/{LOG}", 100)
    monkeypatch.setattr(StateFiles, "names", lambda *_: [LOG, f"{LOG}.1"])
    assert docker(tmp_path).log_size(ID) == LogSize(f"{FOLDER}/{LOG}", 100, 1)


def test_where_many_files_hang_no_further_directory_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, f"{FOLDER}/{LOG}", 100)
    live, me, looked = Root(str(tmp_path)), os.getuid(), list[str]()
    source = DockerSource(live, owner_uid=me, files=StateFiles(live, me))

    def names(_: StateFiles, directory: str) -> list[str]:
        looked.append(directory)
        return [LOG]

    monkeypatch.setattr(StateFiles, "names", names)
    with ExitStack() as hanging:
        for number in range(MOST_HUNG):
            hanging.enter_context(live.readers.of(f"/dead/{number}"))
        found = source.log_size(ID)
    assert isinstance(found, Unreadable) and "hangs" in found.reason and not looked
    assert isinstance(source.log_size(ID), LogSize)
