"""One row of numbers a round, packed: what is old is compressed, and is still exact.

A row has one unsigned number of 64 bits a column, the number of its round first. The rows of a full chunk are
transposed byte by byte before zlib sees them: bytes that hardly change from row to row come to lie side by side. 36,000
rows of containers that do nothing take some 0.5 MB so, 4 MB as they are.

A chunk begins with the number of its columns: what an earlier version stored had fewer of them, and in the first
version a chunk began with zlib's own first byte, which no number of columns is.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

ROWS = 30
"""Of a full chunk."""
UNKNOWN = (1 << 64) - 1
"""Stands for None. No counter gets there: a kernel that counts up to it has no number left either."""
_CHUNK_BYTES = 160
"""What Python takes for a chunk beside its bytes."""
_ZLIB = 0x78
_NUMBER = 8
"""Bytes."""
_SERIES_BYTES = 250
"""The same for a series: its object, an empty list, a bytearray."""
Row = tuple[int | None, ...]


class Chunk(NamedTuple):
    """Rows that do not change any more."""

    first: int
    """The number of its first round."""
    last: int
    data: bytes


class Layout:
    """The columns of a series."""

    def __init__(self, columns: int, first: int = 0) -> None:
        """``columns``: beside the round's number; ``first``: as many as the first version had."""
        self.columns = columns + 1
        self._first = (first or columns) + 1
        self._row = struct.Struct(f"<{self.columns}Q")
        self.size = self._row.size

    def pack(self, number: int, values: Sequence[int | None]) -> bytes:
        """A row. What no kernel counts to (or below 0) is not known."""
        with suppress(struct.error):  # something is not known, or beyond 64 bits
            return self._row.pack(number, *values)
        known = [value if value is not None and 0 <= value < UNKNOWN else UNKNOWN for value in values]
        return self._row.pack(number, *known)

    def shut(self, rows: bytes) -> bytes:
        """Rows as a chunk keeps them."""
        turned = b"".join(rows[place :: self.size] for place in range(self.size))
        return bytes((self.columns,)) + zlib.compress(turned, 1)

    def opened(self, data: bytes) -> bytes:
        """The rows of a chunk."""
        columns, turned = (self._first, data) if data[0] == _ZLIB else (data[0], data[1:])
        turned = zlib.decompress(turned)
        size = columns * _NUMBER
        count = len(turned) // size
        rows = bytearray(b"\xff" * self.size * count)  # columns that there were not are not known
        for place in range(min(size, self.size)):
            rows[place :: self.size] = turned[place * count : (place + 1) * count]
        return bytes(rows)

    def rows(self, data: bytes) -> Iterator[Row]:
        """Each row, the number of its round first; None: not known."""
        for row in self._row.iter_unpack(data):
            yield tuple(None if value == UNKNOWN else value for value in row) if UNKNOWN in row else row


class Rows(NamedTuple):
    """What a series held at an instant; any thread may read it."""

    layout: Layout
    chunks: tuple[Chunk, ...]
    tail: bytes

    def __iter__(self) -> Iterator[Row]:  # type: ignore[override]
        """Row by row, the oldest first."""
        for chunk in self.chunks:
            yield from self.layout.rows(self.layout.opened(chunk.data))
        yield from self.layout.rows(self.tail)

    def packed(self, first: int, last: int) -> bytes:
        """The rows of some rounds as they are packed."""
        size = self.layout.size
        inside = [each for each in self.chunks if each.last >= first and each.first <= last]
        rows = b"".join([*(self.layout.opened(each.data) for each in inside), self.tail])
        places = range(0, len(rows), size)
        begin = bisect_left(places, first, key=lambda place: int.from_bytes(rows[place : place + 8], "little"))
        end = bisect_left(places, last + 1, key=lambda place: int.from_bytes(rows[place : place + 8], "little"))
        return rows[begin * size : end * size]


class Series:
    """The rows of one thing, the oldest first."""

    __slots__ = ("_chunks", "_layout", "_room", "_tail", "_tail_first", "last", "size")

    def __init__(self, layout: Layout, room: int = ROWS) -> None:
        """``room``: rows of the first chunk. Series that begin together get different ones, and are not all compressed
        in the same round."""
        self._layout = layout
        self._chunks: list[Chunk] = []  # some dozens at most; an empty deque takes more than many a container has
        self._tail = bytearray()
        self._tail_first = -1
        self._room = room
        self.last = -1
        """The number of the latest round; -1: there is none."""
        self.size = _SERIES_BYTES
        """Bytes that it takes."""

    @property
    def first(self) -> int:
        """The number of the oldest round; -1: there is none."""
        return self._chunks[0].first if self._chunks else self._tail_first

    @property
    def ages(self) -> int:
        """Nothing of it can be forgotten before this round is too old; -1: there is none."""
        return self._chunks[0].last if self._chunks else self.last

    def append(self, number: int, values: Sequence[int | None]) -> None:
        """Add the row of a round."""
        if not self._tail:
            self._tail_first = number
        self._tail += self._layout.pack(number, values)
        self.last = number
        self.size += self._layout.size
        if len(self._tail) >= self._room * self._layout.size:
            self.shut()
            self._room = ROWS

    def shut(self) -> None:
        """Compress what is not compressed yet: little will follow, or memory is short."""
        if self._tail:
            chunk = Chunk(self._tail_first, self.last, self._layout.shut(bytes(self._tail)))
            self._chunks.append(chunk)
            self.size += len(chunk.data) + _CHUNK_BYTES - len(self._tail)
            self._tail, self._tail_first = bytearray(), -1

    def drop_oldest(self) -> int:
        """Forget the oldest chunk; the number of its last round, -1 where there was none."""
        if not self._chunks:
            return -1
        gone = self._chunks.pop(0)
        self.size -= len(gone.data) + _CHUNK_BYTES
        return gone.last

    def drop_before(self, number: int) -> None:
        """Forget the chunks all of whose rounds are before one."""
        while self._chunks and self._chunks[0].last < number:
            self.drop_oldest()

    def between(self, first: int, last: int) -> Rows:
        """The chunks that have any of these rounds; others may be in them too."""
        chunks = tuple(each for each in self._chunks if each.last >= first and each.first <= last)
        return Rows(self._layout, chunks, bytes(self._tail) if self._tail_first <= last else b"")
