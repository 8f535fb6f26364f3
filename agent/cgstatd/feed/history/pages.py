"""What the pages of a damaged SQLite file still hold, read without SQLite: each leaf by itself, whoever points at it.

A bit that flipped in a page that leads to others (of an index, or the first one) makes SQLite lose all of them. Here it
costs what stands in that page. Nothing that is found is believed without its checksum (:mod:`.sealed`).

https://www.sqlite.org/fileformat2.html, "B-tree Pages" and "Record Format".
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress

SIZE = 4096
"""Of a page: files of the history are made so."""
_HEADER_BYTES = 100
"""Of the file, in front of its first page's own."""
_LEAF = 0x0D
"""A leaf of a table."""
_MOST_LOCAL = SIZE - 35
_LEAST_LOCAL = (SIZE - 12) * 32 // 255 - 23
_U16, _U32 = struct.Struct(">H"), struct.Struct(">I")
_BAD = (IndexError, struct.error, OverflowError)
Place = tuple[int, int]
"""Page (from 0), offset within it."""


class Pages:
    """A file that is open for reading."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._count = -(-os.fstat(fd).st_size // SIZE)

    def cells(self) -> Iterator[Place]:
        """Where rows may begin."""
        for number in range(self._count):
            page = self._page(number)
            begin = 0 if number else _HEADER_BYTES
            if page[begin : begin + 1] != bytes([_LEAF]):
                continue
            with suppress(*_BAD):
                for cell in range(_U16.unpack_from(page, begin + 3)[0]):
                    yield number, _U16.unpack_from(page, begin + 8 + 2 * cell)[0]

    def row(self, place: Place) -> tuple[int, bytes] | None:
        """The key of a row and its data, which may be cut short; None: there is none."""
        with suppress(*_BAD):
            page = self._page(place[0])
            size, at = _varint(page, place[1])
            key, at = _varint(page, at)
            payload = self._payload(page, at, size)
            length, at = _varint(payload, 0)
            _, at = _varint(payload, at)  # the key's own column
            kind, _ = _varint(payload, at)
            if kind >= 12 and kind % 2 == 0:
                return key, payload[length : length + (kind - 12) // 2]
        return None

    def _page(self, number: int) -> bytes:
        return os.pread(self._fd, SIZE, number * SIZE)

    def _payload(self, page: bytes, at: int, size: int) -> bytes:
        """A row's bytes: what its page has, then a chain of others."""
        if size <= _MOST_LOCAL:
            return page[at : at + size]
        local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (SIZE - 4)
        local = local if local <= _MOST_LOCAL else _LEAST_LOCAL
        found = bytearray(page[at : at + local])
        (following,) = _U32.unpack_from(page, at + local)
        while len(found) < size and 0 < following <= self._count:
            more = self._page(following - 1)
            if len(more) < SIZE:
                break
            (following,) = _U32.unpack_from(more)
            found += more[4 : 4 + size - len(found)]
        return bytes(found)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9
