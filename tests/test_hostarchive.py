"""A recorded host as one text: nothing is lost on the way there and back, and a run unpacks it once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import DEMO, HOSTS, RECORDED
from hostarchive import READINGS, Unusable, compared, lines, pack, unescaped, unpack
from recordedhosts import archive, recorded_host

ODD = (
    *(b"", b"\n", b"\n\n", b"a", b"a\n", b"a\n\nb", b" a \n", b"a\t\n", b"\\", b"\\\n", b"a\\\nb", b"\r\n"),
    *(b"\0", b"\0\0\0", b"\0" * 4, b"\0" * 4096 + b"x", b"{\0\0\0\0\n\0}", b"\\x00\\z9;", b"-\n+\n #\n/\n"),
    *("é\u2028".encode(), bytes(range(256))),
)
NAMES = (b"plain", b" ", b"a b ", b"a -> b", b"\xff", b"a\nb", b"\\", b"#", b"-", b"file x", b"name=systemd", b"t0")


def made(top: Path, files: dict[bytes, bytes | str | None]) -> str:
    """A tree: content, the target of a link (text), or an empty directory."""
    for reading in READINGS:
        (top / reading).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = os.fsencode(top) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if content is None:
            os.mkdir(path)
        elif isinstance(content, str):
            os.symlink(content, path)
        else:
            with open(path, "wb") as file:
                file.write(content)
    return str(top)


def there_and_back(directory: str, work: Path) -> bytes:
    """The text; its files are those of the directory, and they give the same text again."""
    text = pack(directory)
    (work / "text").write_bytes(text)
    unpack(str(work / "text"), str(work / "back"))
    assert everything(str(work / "back")) == everything(directory)
    assert pack(str(work / "back")) == text
    return text


def everything(directory: str) -> dict[bytes, bytes | str | None]:
    found: dict[bytes, bytes | str | None] = {}
    top = os.fsencode(directory)
    for base, folders, files in os.walk(top):
        for name in folders + files:
            path = base + b"/" + name
            if os.path.islink(path):
                found[path[len(top) :]] = os.fsdecode(os.readlink(path))
            else:
                found[path[len(top) :]] = None if name in folders else Path(os.fsdecode(path)).read_bytes()
    return found


@pytest.mark.parametrize("host", (*HOSTS, *RECORDED, DEMO))
def test_each_recorded_host_is_written_as_pack_writes_it(host: str) -> None:
    assert pack(recorded_host(host)) == Path(archive(host)).read_bytes()


@pytest.mark.parametrize("host", (*HOSTS, *RECORDED, DEMO))
def test_a_text_is_printable_ascii_that_no_editor_changes(host: str) -> None:
    text = Path(archive(host)).read_bytes()
    assert text.isascii() and text.replace(b"\n", b"").replace(b"\t", b"").decode().isprintable()
    assert [line for line in text.split(b"\n") if line != line.rstrip()] == []
    assert max(map(len, text.split(b"\n"))) < 4096 and len(text) < 1 << 20


@given(st.binary() | st.lists(st.sampled_from([b"\0\0\0\0\0", b"\n", b"\\", b" ", b"a", b"\xff"])).map(b"".join))
def test_a_content_survives(data: bytes) -> None:
    assert unescaped(b"".join(lines(data))) == data


@given(*[st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n"]))] * 2)
def test_a_difference_has_both_sides(first: list[bytes], second: list[bytes]) -> None:
    found = list(compared(first, second))
    assert [line[1:] for line in found if line[:1] in b" -"] == first
    assert [line[1:] for line in found if line[:1] in b" +"] == second


def test_odd_contents_names_links_and_directories_survive(tmp_path: Path) -> None:
    files: dict[bytes, bytes | str | None] = {b"index.json": b"{}", b"notes": b"\0\n"}
    files |= {b"t%d/%d" % (reading, number): data for reading in (0, 1) for number, data in enumerate(ODD)}
    files |= {b"t0/names/" + name: name for name in NAMES} | {b"t1/" + name + b"/deep/x": b"" for name in NAMES}
    files |= {b"t0/changed/%d" % n: data for n, data in enumerate(ODD)}
    files |= {b"t1/changed/%d" % n: data for n, data in enumerate(reversed(ODD))}
    files |= {b"t0/kind/a": b"x", b"t1/kind/a": "target", b"t0/kind/b": None, b"t1/kind/b": b"", b"t0/kind/c/d": b"y"}
    files |= {b"t1/kind/c": None, b"t0/link": "one", b"t1/link": "another\n\udcff ", b"t0/none": None, b"t1/none": None}
    there_and_back(made(tmp_path / "host", files), tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (" 1\n", 1, "belongs to no entry"),
        ("/x\n 1\n", 2, "belongs to no entry"),
        ("/x\nfile-t0 a\n+1\n", 3, "belongs to no entry"),
        ("file a\n-1\n", 2, "belongs to no entry"),
        ("nonsense\n", 1, "neither a path"),
        ("/x\nfile ..\n", 2, "a name that is none"),
        ("/x\nfile a/b\n", 2, "a name that is none"),
        ("/x\nfile a\\x2fb\n", 2, "a name that is none"),
        ("/x/../../y\n", 1, "not a plain one"),
        ("//x\n", 1, "not a plain one"),
        ("link a\n b\n", 1, "beside the readings"),
        ("/x\nfile a\n \\q\n", 4, "no escape"),
    ],
)
def test_a_text_that_is_none_is_refused_with_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = tmp_path / "text"
    path.write_text(text)
    with pytest.raises(Unusable, match=rf"text:{line}: .*{what}"):
        unpack(str(path), str(tmp_path / "back"))


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(f"/\nlink a\n {tmp_path}\n\n/a\nfile b\n 1\n")
    with pytest.raises(OSError, match="File exists"):
        unpack(str(tmp_path / "text"), str(tmp_path / "back"))
    assert not (tmp_path / "b").exists()


def test_what_is_no_file_cannot_be_packed(tmp_path: Path) -> None:
    top = made(tmp_path / "host", {b"index.json": b"{}"})
    os.mkfifo(f"{top}/t1/fifo")
    with pytest.raises(Unusable, match="t1/fifo: neither a file"):
        pack(top)
    os.unlink(f"{top}/t1/fifo")
    os.mkdir(f"{top}/t2")
    with pytest.raises(Unusable, match="t2: neither a file nor one of t0, t1"):
        pack(top)


# -- a test run --------------------------------------------------------------------------------------------------------
