"""The reader of recorded trees: what the index answers, and what is said of an index that cannot be used."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Clock, Identity, Root
from cgstatd.cli import main as cli
from cgstatd.recording.recorded_root import FORMAT, NotRecorded, RecordedRoot, index_key, load_index, open_roots
from helpers import UNIFIED
from recordedhosts import recorded_host

AT = {"monotonic_ns": 5, "time_ms": 6}


def index(top: Path, content: Any) -> str:
    """A tree with an index and two readings."""
    for name in ("t0", "t1"):
        (top / name).mkdir()
        (top / name / "file").write_text("x")
    text = content if isinstance(content, str) else json.dumps(content)
    (top / "index.json").write_text(text)
    return str(top)


def good(**reading: Any) -> dict[str, Any]:
    return {"format": FORMAT, "host": {"cpus": 2}, "readings": {"t0": {**AT, **reading}, "t1": AT}}


def test_a_tree_is_its_readings_and_each_of_them_is_one_and_any_other_directory_a_live_root(tmp_path: Path) -> None:
    for path in ("/", str(tmp_path), str(tmp_path / "missing")):
        (root,) = open_roots(path)
        assert type(root) is Root and root.live
    top = index(tmp_path, {**good(), "more": ["a field of a later version"]})
    assert [root.path for root in open_roots(top)] == [f"{top}/t0", f"{top}/t1"]
    (one,) = open_roots(f"{top}/t1/")
    assert isinstance(one, RecordedRoot) and one.path == f"{top}/t1" and not one.live


def test_a_reading_that_is_not_there_is_left_out_and_none_is_an_error(tmp_path: Path) -> None:
    top = index(tmp_path, good())
    os.rename(f"{top}/t0", f"{top}/elsewhere")
    assert [root.path for root in open_roots(top)] == [f"{top}/t1"]
    os.rename(f"{top}/t1", f"{top}/nowhere")
    with pytest.raises(NotRecorded, match=r"index.json: none of its readings \(t0, t1\) is there"):
        open_roots(top)


def test_inode_owner_and_clock_are_the_recorded_ones_and_else_the_files_own_roots_and_the_readings(
    tmp_path: Path,
) -> None:
    clocks = {"/a": {"monotonic_ns": 7, "time_ms": 8}}
    top = index(tmp_path, good(files={"/file": {"inode": 42}, "/": {"uid": 1000}}, clocks=clocks))
    first, second = open_roots(top)
    assert (first.identity("/file"), first.identity("/").uid) == (Identity(42, 0), 1000)
    assert second.identity("/file") == Identity(os.stat(f"{top}/t1/file").st_ino, 0)
    with pytest.raises(FileNotFoundError):
        first.identity("/missing")
    assert (first.clock("/a"), first.clock("/b"), first.clock()) == (Clock(7, 8), Clock(5, 6), Clock(5, 6))
    keys = [index_key(os.fsdecode(b"/a\xff/b")), index_key("/gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n")]
    assert keys == ["/a\\xff/b", "/gr\xfcn"], "names that are not text have a key that is"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "Input data was truncated"),
        ("", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ({"format": FORMAT, "host": {}}, "missing required field `readings`"),
        ({"format": "1", "host": {}, "readings": {}}, r"Expected `int`, got `str` - at `\$.format`"),
        ({**good(), "format": 2}, "format 2 was written by a newer version; this one reads 1"),
        ({"format": 2, "new": "shape"}, "format 2 was written by a newer version; this one reads 1"),
        (None, "Is a directory"),
    ],
)
def test_an_index_that_cannot_be_used_gives_a_sentence(
    tmp_path: Path, content: Any, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        (tmp_path / "index.json").mkdir()
    top = str(tmp_path) if content is None else index(tmp_path, content)
    with pytest.raises(NotRecorded, match=f"{tmp_path}/index.json: .*{sentence}"):
        load_index(top)
    for command in (["stats"], ["serve", "--listen", "127.0.0.1:0"]):
        assert cli.main([*command, "--host-root", top]) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 and said[0].startswith(f"cgstatd: {top}/index.json: ")


def test_names_survive_a_copy_that_its_group_may_write_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = f"{tmp_path}/copy"
    shutil.copytree(recorded_host(UNIFIED), copy, symlinks=True)
    for base, _, names in os.walk(copy):
        for name in names:
            if not os.path.islink(f"{base}/{name}"):
                os.chmod(f"{base}/{name}", 0o664)  # as git leaves it under umask 002
    assert cli.main(["stats", "--host-root", copy, "pm-burn", "burn", "rl-burn", "nsp"]) == 0
    assert capsys.readouterr().err == ""
