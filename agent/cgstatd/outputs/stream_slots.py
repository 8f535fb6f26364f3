"""Where the events of the stream lie in the response, so that none straddles two reads of a client.

A client that reads up to 64 KiB at once stops in two places: where its buffer is full, and where nothing more has
arrived, which is at the end of a segment. The real front end loses an event in which it stops. So the response is a row
of slots, counted from its first byte: a slot is no longer than a segment, holds whole events, and is filled with a
comment; a slot ends at each multiple of PERIOD_BYTES. A write is one or more slots and becomes one segment. Then every
stop is at a slot's end, however large the client's buffer is (a multiple of PERIOD_BYTES) and however long it sleeps.
"""

from __future__ import annotations

from collections.abc import Iterable

PERIOD_BYTES = 4096
"""Divides the buffers that clients read with (64 KiB mostly). A smaller one costs more padding."""
_LONGEST_WRITE = 4 * PERIOD_BYTES
"""A TLS record, and a segment on loopback."""
_STEPS = (PERIOD_BYTES, 1428, 1200, 512)
"""Lengths of a slot; few, since those who have the same share the bytes. 1428: Ethernet, IPv6, timestamps; 1200: what
tunnels leave of it; 512: what every TCP takes. The last slot of a period is shorter."""


def step_of(segment_bytes: int) -> int:
    """The length of a slot where a segment holds so much."""
    return next((step for step in _STEPS if step <= segment_bytes), _STEPS[-1])


def write_of(segment_bytes: int) -> int:
    """The longest write that is one segment."""
    if segment_bytes < PERIOD_BYTES:
        return step_of(segment_bytes)
    return min(segment_bytes // PERIOD_BYTES * PERIOD_BYTES, _LONGEST_WRITE)


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked response (RFC 9112, 7.1); an empty one is the last."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def slot_end(position: int, step: int) -> int:
    """The first end of a slot after a position."""
    in_period = position % PERIOD_BYTES
    return position - in_period + min(in_period // step * step + step, PERIOD_BYTES)


def padding(size: int, chunked: bool) -> bytes:
    """A comment of exactly that many bytes; there is none below :func:`least_padding`."""
    if not chunked:
        return b":" + b" " * (size - 3) + b"\n\n"
    for digits in range(1, 9):
        inside = size - 4 - digits
        if inside < 16**digits:  # a chunk's length may begin with a zero: a few sizes cannot be had without one
            return b"%0*x\r\n:%b\n\n\r\n" % (digits, inside, b" " * (inside - 3))
    raise ValueError(size)


def least_padding(chunked: bool) -> int:
    """The shortest comment."""
    return 8 if chunked else 3


class Layout:
    """Puts the pieces of a response into slots; ``head``: the bytes of its headers, which go out with the first."""

    def __init__(self, position: int, head: int, step: int, longest: int, chunked: bool) -> None:
        self.position = position
        self._step, self._longest, self._chunked = step, longest, chunked
        self._least = least_padding(chunked)
        self._begun = self._start = position - head
        """Where the write, and where the slot begins that are being made."""
        self._end = slot_end(position, step)
        self._together: list[bytes] = []
        self.writes: list[bytes] = []
        if self._end - position < self._least:  # no comment is that short: one that ends with the next slot
            self._end = slot_end(self._end, step)
            self._close()

    def add(self, pieces: Iterable[bytes]) -> None:
        """Put in pieces, each of them whole."""
        for piece in pieces:
            size = len(piece)
            while not self._fits(size, self._end - self.position):
                in_period = self.position % PERIOD_BYTES
                if self.position != self._start or self._fits(size, self._step) or in_period > 0:
                    self._close()
                else:  # longer than a slot: it takes some
                    self._end = slot_end(self._end, self._step)
            self._together.append(piece)
            self.position += size
            if self.position == self._end or size > self._step - self._least:  # it may have taken two
                self._close()

    def _fits(self, size: int, room: int) -> bool:
        return size == room or size <= room - self._least

    def fill(self) -> None:
        """Fill the slot that has been begun."""
        if self._together and self.position != self._start:
            self._close()
        self._write()

    def finish(self, piece: bytes) -> None:
        """Put in the last piece; nothing comes after it."""
        self.add([piece])
        self._write()

    def _close(self) -> None:
        """End the slot here, with a comment in what is left of it."""
        if self.position != self._end:
            self._together.append(padding(self._end - self.position, self._chunked))
        self.position = self._start = self._end
        self._end = slot_end(self.position, self._step)
        if self._end - self._begun > self._longest:
            self._write()

    def _write(self) -> None:
        if self._together:
            self.writes.append(b"".join(self._together))
            self._together = []
        self._begun = self.position
