"""Trees that programs unpacked and left behind because they were killed are removed, and no others."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cgstatd.recording.own_directory import PREFIX, YOUNG_SECONDS, own_directory

HOLDER = """
from cgstatd.recording.own_directory import own_directory
with own_directory() as found:
    print(found, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(place: Path, name: str = "left", old: bool = True) -> Path:
    found = place / f"{PREFIX}{name}"
    found.mkdir()
    (found / "file").write_text("x")
    if old:
        os.utime(found, (0, found.stat().st_mtime - 2 * YOUNG_SECONDS))
    return found


def test_it_is_there_as_long_as_it_is_used_and_what_was_left_behind_is_removed(place: Path) -> None:
    left(place)
    with own_directory() as found:
        assert os.path.dirname(found) == str(place) and os.listdir(place) == [os.path.basename(found)]
    assert os.listdir(place) == []


def test_what_is_locked_what_was_just_made_and_what_is_not_ours_stays(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    link, file, other = place / f"{PREFIX}link", place / f"{PREFIX}file", place / "other"
    link.symlink_to(elsewhere)
    file.write_text("x")
    other.mkdir()
    used = left(place)
    kept = [used, used / "file", left(place, "young", old=False), link, file, other, elsewhere]
    if os.geteuid() == 0:
        kept.append(left(place, "foreign"))
        os.chown(kept[-1], 65534, 65534)
    fd = os.open(used, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with own_directory():
        assert all(each.exists() for each in kept)
    os.close(fd)


def test_a_program_that_is_killed_leaves_one_that_the_next_removes(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env={**os.environ, "TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        found = Path(holder.stdout.readline().strip())
        os.utime(found, (0, found.stat().st_mtime - 2 * YOUNG_SECONDS))
        with own_directory():
            assert found.exists()
        holder.send_signal(signal.SIGKILL)
    with own_directory():
        assert not found.exists()
