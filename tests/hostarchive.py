#!/usr/bin/env python3
"""A recorded host as one text: ``hostarchive.py pack DIR FILE``, ``unpack FILE DIR``. Standard library only.

DIR is what ``cgstatd record`` writes: files such as index.json, and below ``t0`` and ``t1`` the host's own files at two
instants. FILE holds both instants at once, like a diff that shows everything (fixtures/README.md has the rules)::

    file index.json
     {"format": 1, …}

    /sys/fs/cgroup/system.slice/docker-01.scope
    file cpu.stat
    -usage_usec 1000
    +usage_usec 1250
     user_usec 500
    file-t1 memory.peak
     4096
    link unit:lxc.service
     c1

It says neither modes, owners nor times: where they matter, index.json does.
"""

from __future__ import annotations

import argparse
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

READINGS = ("t0", "t1")
BESIDE = ""
"""What lies beside the readings belongs to this one."""
FILE, LINK, DIRECTORY = b"file", b"link", b"dir"
HEAD = b"# A recorded host: ' ' is in both readings, '-' in the first, '+' in the second (fixtures/README.md).\n"
_MARKS = {b" ": (BESIDE, *READINGS), b"-": READINGS[:1], b"+": READINGS[1:]}
_ENTRY = re.compile(rb"(file|link|dir)(?:-(t0|t1))? (.+)")
_PIECE = re.compile(rb"[^\n]*?(?:\n|\0{4,}|\Z)")
"""What stands in one line: up to a newline, or a run of zeros (else a database would be lines of many thousands)."""
_ODD = re.compile(rb"\0{4,}|[^\t -\[\]-~]|[\t ]\Z")
"""Not ASCII that one sees; at the end of a line, a space too: editors drop it."""
_ESCAPED = re.compile(rb"\\(\\|\n|x[0-9a-f]{2}|z[0-9]{1,7};|)")


class Unusable(Exception):
    """It can be neither packed nor unpacked; the text says where and why."""


class Node(NamedTuple):
    """What is at one path at one instant: a file's content, a link's target; of an empty directory nothing."""

    kind: bytes
    data: bytes


class Entry(NamedTuple):
    """One entry of the text."""

    folder: bytes | None
    """Host path of its directory; None: it lies beside the readings."""
    name: bytes
    nodes: Mapping[str, Node]
    """By reading, of those that it is in."""


# -- lines -------------------------------------------------------------------------------------------------------------


def _odd(found: re.Match[bytes]) -> bytes:
    run = found[0]
    return b"\\z%d;" % len(run) if len(run) > 1 else b"\\\\" if run == b"\\" else b"\\x%02x" % run[0]


def escaped(data: bytes) -> bytes:
    """A name, or a line without its newline, as printable ASCII."""
    return _ODD.sub(_odd, data)


def lines(data: bytes) -> list[bytes]:
    """A content, a line each, without marks. One that ends in a lone backslash has no newline in the file."""
    found = []
    for piece in _PIECE.findall(data):
        if piece == b"\n":
            found.append(b"\\x0a\\\n")  # a mark alone would be a line that editors change
        elif piece.endswith(b"\n"):
            found.append(escaped(piece[:-1]) + b"\n")
        elif piece:
            found.append(escaped(piece) + b"\\\n")
    return found


def _one(found: re.Match[bytes]) -> bytes:
    what = found[1]
    if what[:1] == b"x":
        return bytes.fromhex(what[1:].decode())
    if what[:1] == b"z":
        return bytes(int(what[1:-1]))
    if not what:
        raise ValueError("a backslash that begins no escape")
    return b"" if what == b"\n" else what


def unescaped(text: bytes) -> bytes:
    """The reverse of ``escaped``, and of ``lines`` where they are joined. Raises ValueError."""
    return _ESCAPED.sub(_one, text) if b"\\" in text else text


def compared(first: Sequence[bytes], second: Sequence[bytes]) -> Iterator[bytes]:
    """The lines of both, marked. Kernel files keep their lines: each that changed is followed by what it became."""
    if len(first) == len(second):
        for old, new in zip(first, second, strict=True):
            yield from (b" " + old,) if old == new else (b"-" + old, b"+" + new)
        return
    shorter = min(len(first), len(second))
    head = next((n for n in range(shorter) if first[n] != second[n]), shorter)
    tail = next((n for n in range(shorter - head) if first[-1 - n] != second[-1 - n]), shorter - head)
    yield from (b" " + line for line in first[:head])
    yield from (b"-" + line for line in first[head : len(first) - tail])
    yield from (b"+" + line for line in second[head : len(second) - tail])
    yield from (b" " + line for line in first[len(first) - tail :])


# -- pack --------------------------------------------------------------------------------------------------------------


def _node(path: bytes) -> Node | None:
    """None: a directory that is not empty."""
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return Node(LINK, os.readlink(path) + b"\n")
    if stat.S_ISREG(mode):
        with open(path, "rb") as file:
            return Node(FILE, file.read())
    if stat.S_ISDIR(mode):
        return None if os.listdir(path) else Node(DIRECTORY, b"")
    raise Unusable(f"{os.fsdecode(path)}: neither a file, a link nor a directory")


def _tree(top: bytes) -> Iterator[tuple[tuple[bytes, bytes], Node]]:
    """((folder, name), what is there) of everything below ``top``, folders by their host paths."""
    for base, folders, files in os.walk(top):
        for name in folders + files:
            node = _node(os.path.join(base, name))
            if node is not None:
                yield (base[len(top) :] or b"/", name), node


def _written(name: bytes, first: Node | None, second: Node | None) -> Iterator[bytes]:
    """The entry of one name, or the two where it is something else in each reading."""
    if first is not None and second is not None and first.kind == second.kind:
        yield first.kind + b" " + escaped(name) + b"\n"
        yield from compared(lines(first.data), lines(second.data))
        return
    for reading, node in zip(READINGS, (first, second), strict=True):
        if node is not None:
            yield b"%s-%s %s\n" % (node.kind, reading.encode(), escaped(name))
            yield from (b" " + line for line in lines(node.data))


def pack(directory: str) -> bytes:
    """The text of a recorded host: the same for the same files. Raises Unusable, OSError."""
    top = os.fsencode(directory)
    found = [HEAD]
    for name in sorted(os.listdir(top)):
        if os.fsdecode(name) not in READINGS:
            node = _node(top + b"/" + name)
            if node is None or node.kind != FILE:
                raise Unusable(f"{os.fsdecode(top + b'/' + name)}: neither a file nor one of {', '.join(READINGS)}")
            found += _written(name, node, node)
    first, second = (dict(_tree(top + b"/" + os.fsencode(reading))) for reading in READINGS)
    last = None
    for folder, name in sorted({*first, *second}):
        if folder != last:
            found += (b"\n", escaped(folder), b"\n")
            last = folder
        found += _written(name, first.get((folder, name)), second.get((folder, name)))
    return b"".join(found)


# -- unpack ------------------------------------------------------------------------------------------------------------


def _plain(path: bytes) -> bytes:
    """A heading's path, unless it is not one below the reading. Raises ValueError."""
    folder = unescaped(path)
    if os.path.normpath(folder) != folder or folder.startswith(b"//"):
        raise ValueError("a path that is not a plain one")
    return folder


class _Parser:
    """Entries, a line at a time."""

    def __init__(self) -> None:
        self._folder: bytes | None = None
        self._kind = self._name = b""
        self._contents: dict[str, list[bytes]] = {}
        """Of the entry that was begun, by reading."""

    def take(self, line: bytes) -> Iterator[Entry]:
        """The entry that ends before this line. Raises ValueError."""
        if line[:1] in _MARKS:
            taking = [each for each in self._contents if each in _MARKS[line[:1]]]
            if not taking:
                raise ValueError("a content that belongs to no entry")
            for reading in taking:
                self._contents[reading].append(line[1:] + b"\n")
            return
        yield from self.end()
        if line.startswith(b"/"):
            self._folder = _plain(line)
        elif found := _ENTRY.fullmatch(line):
            self._begin(*found.groups())
        elif line and not line.startswith(b"#"):
            raise ValueError("neither a path, an entry nor a content")

    def _begin(self, kind: bytes, only: bytes | None, name: bytes) -> None:
        self._kind, self._name = kind, unescaped(name)
        if b"/" in self._name or self._name in (b".", b".."):
            raise ValueError("a name that is none")
        if self._folder is None and (only or kind != FILE):
            raise ValueError("only files lie beside the readings")
        readings = (BESIDE,) if self._folder is None else (only.decode(),) if only else READINGS
        self._contents = {reading: [] for reading in readings}

    def end(self) -> Iterator[Entry]:
        """The entry that was begun, if any."""
        nodes = {reading: Node(self._kind, unescaped(b"".join(content))) for reading, content in self._contents.items()}
        self._contents = {}
        if nodes:
            yield Entry(self._folder, self._name, nodes)


def entries(archive: str) -> Iterator[Entry]:
    """What a text holds, in its order: what lies beside the readings comes first. Raises Unusable, OSError."""
    with open(archive, "rb") as file:
        text = file.read()
    parser = _Parser()
    for number, line in enumerate((*text.split(b"\n"), b""), 1):  # the last one ends the last entry
        try:
            found = list(parser.take(line))
        except ValueError as error:
            raise Unusable(f"{archive}:{number}: {error}") from error
        yield from found


def unpack(archive: str, directory: str) -> None:
    """Write a recorded host below a new directory. Raises Unusable, OSError."""
    top = os.fsencode(directory)
    os.mkdir(top)
    for reading in READINGS:
        os.mkdir(top + b"/" + reading.encode())
    links = []
    for entry in entries(archive):
        for reading, node in entry.nodes.items():
            base = top + b"/" + reading.encode() + (entry.folder or b"")
            os.makedirs(base, exist_ok=True)
            path = os.path.join(base, entry.name)
            if node.kind == LINK:
                links.append((path, node.data.removesuffix(b"\n")))
            elif node.kind == DIRECTORY:
                os.mkdir(path)
            else:
                with open(path, "xb") as file:
                    file.write(node.data)
    for path, target in links:  # last: no file is written through one
        os.symlink(target, path)


def beside(archive: str, name: str) -> bytes:
    """One of the files beside the readings, without reading the rest. Raises KeyError, Unusable, OSError."""
    for entry in entries(archive):
        if entry.folder is not None:
            break
        if entry.name == os.fsencode(name):
            return entry.nodes[BESIDE].data
    raise KeyError(name)


# -- the command -------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """``pack DIR FILE`` or ``unpack FILE DIR``."""
    parser = argparse.ArgumentParser(description="A recorded host as one readable text (fixtures/README.md).")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, names in (("pack", ("DIR", "FILE")), ("unpack", ("FILE", "DIR"))):
        added = commands.add_parser(command)
        for name in names:
            added.add_argument(name)
    given = parser.parse_args(arguments)
    try:
        if given.command == "unpack":
            unpack(given.FILE, given.DIR)
            return
        data = pack(given.DIR)
        with open(given.FILE, "wb") as file:
            file.write(data)
    except (OSError, Unusable) as error:
        sys.exit(f"hostarchive.py: {error}")


if __name__ == "__main__":
    main()
