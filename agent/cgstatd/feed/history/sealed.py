"""What the files of the history hold, byte by byte. Pure: any thread may use it.

Whatever is stored has a checksum over itself and over the key under which it lies. So a bit that flipped, in a figure,
in a name or in SQLite's own pages, never comes to be a figure: what does not fit is :class:`Broken`.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from ...sampling.history_model import Life, Subject
from .series import Row
from .tracks import CONTAINER, HOST, Mark

RUN_BITS = 32
"""A round's key: the number of the agent's run, then that of the round within it."""
_CRC = struct.Struct("<I")
_ROUNDS = struct.Struct("<QQQIII?")
_FIRST_ROUNDS = struct.Struct("<QQQII?")
"""As version 1 stored them: nothing stands behind the marks."""
_LISTED = struct.Struct("<II")
_COUNT = struct.Struct("<I")
VERSION = 2
"""Of the tables, and of what is in them. 2: rounds hold once more what begins with them, marks say a signal and whether
the container restarts, subjects a workload, and a run may have no rounds."""
RUN, FIRST_ROUNDS, DIRECTORY, PART, TRACK, ROUNDS = range(1, 7)
"""What a checksum is of. What is stored in another way has another number."""


class Broken(Exception):
    """A file does not hold what was written to it."""


def key_of(run: int, number: int) -> int:
    """The place of a round among those of all runs."""
    return run << RUN_BITS | number


def run_of(key: int) -> int:
    """The run of a key."""
    return key >> RUN_BITS


def number_of(key: int) -> int:
    """The number of a key's round within its run."""
    return key & ((1 << RUN_BITS) - 1)


def seal(data: bytes, *keys: int) -> bytes:
    """With a checksum over the keys and the data in front."""
    return _CRC.pack(zlib.crc32(data, zlib.crc32(struct.pack(f"<{len(keys)}Q", *keys)))) + data


def unseal(data: object, *keys: int) -> bytes:
    """The data. Raises Broken."""
    if not isinstance(data, bytes) or len(data) < _CRC.size or seal(data[_CRC.size :], *keys) != data:
        raise Broken(f"a checksum is wrong (kind {keys[0]}, key {keys[1]:#x})")
    return data[_CRC.size :]


class Run(msgspec.Struct, frozen=True, array_like=True):
    """One run of the agent."""

    name: str
    """As in cursors."""
    boot: str
    """The kernel's id of the boot; empty: not known, and then no other run is of the same."""
    interval_seconds: float
    ended: int | None = None
    """The key of its last round, once it has ended in order."""


class Track(msgspec.Struct, frozen=True, array_like=True):
    """A life of a container, and what it was called."""

    life: Life
    subject: Subject


class StoredMark(msgspec.Struct, frozen=True, array_like=True):
    """A mark, and the key of its track."""

    track: int
    mark: Mark


_encode = msgspec.json.Encoder().encode
_run = msgspec.json.Decoder(Run).decode
_track = msgspec.json.Decoder(Track).decode
_marks = msgspec.json.Decoder(list[StoredMark]).decode
_born = msgspec.json.Decoder(tuple[Run | None, list[tuple[int, Track]]]).decode


def seal_run(run: int, what: Run) -> bytes:
    """As stored."""
    return seal(_encode(what), RUN, run)


def open_run(run: int, data: object) -> Run:
    """Raises Broken."""
    return _run(unseal(data, RUN, run))


def seal_track(key: int, what: Track) -> bytes:
    """As stored."""
    return seal(_encode(what), TRACK, key)


def open_track(key: int, data: object) -> Track:
    """Raises Broken."""
    return _track(unseal(data, TRACK, key))


class Rounds(NamedTuple):
    """Some rounds of one run that lie together: what the host was like, and the marks."""

    first: int
    """The key of the first of them."""
    last: int
    before: int
    """The key of the round that was stored before; 0: none was."""
    incomplete: int
    """Up to this key figures of some containers were dropped; 0: none were."""
    tracks: int
    """How many tracks the file has with these rounds."""
    lost: bool
    """Whether there were rounds before that could not be stored."""
    host: bytes
    """Packed rows."""
    marks: bytes
    born: bytes = b""
    """The run that begins with them, and the tracks: the file has both in tables of their own, and here once more,
    so that no page is the only one that has them."""

    def rows(self) -> Iterator[Row]:
        """The host's rows, with keys in place of numbers."""
        run = run_of(self.first) << RUN_BITS
        for number, *values in HOST.rows(HOST.opened(self.host)):
            yield (run | (number or 0), *values)

    def marked(self) -> list[StoredMark]:
        """The marks, whose rounds are numbers within the run."""
        return _marks(zlib.decompress(self.marks)) if self.marks else []

    def born_with(self) -> tuple[Run | None, list[tuple[int, Track]]]:
        """The run that begins here, if one does, and the tracks with their keys."""
        return _born(zlib.decompress(self.born)) if self.born else (None, [])


def seal_rounds(what: Rounds) -> bytes:
    """As stored, but for its key."""
    head = _ROUNDS.pack(
        what.last, what.before, what.incomplete, what.tracks, len(what.host), len(what.marks), what.lost
    )
    return seal(head + what.host + what.marks + what.born, ROUNDS, what.first)


def open_rounds(first: int, data: object) -> Rounds:
    """Raises Broken."""
    try:
        head, found = _ROUNDS, unseal(data, ROUNDS, first)
    except Broken:
        head, found = _FIRST_ROUNDS, unseal(data, FIRST_ROUNDS, first)
    last, before, incomplete, tracks, length, *marks, lost = head.unpack_from(found)
    end = head.size + length
    behind = end + marks[0] if marks else len(found)
    host = found[head.size : end]
    return Rounds(first, last, before, incomplete, tracks, lost, host, found[end:behind], found[behind:])


def pack_marks(marks: Sequence[StoredMark]) -> bytes:
    """As :class:`Rounds` has them."""
    return zlib.compress(_encode(marks), 6) if marks else b""


def pack_born(run: Run | None, tracks: Sequence[tuple[int, Track]]) -> bytes:
    """As :class:`Rounds` has them."""
    return zlib.compress(_encode((run, tracks)), 6) if run is not None or tracks else b""


class Part(NamedTuple):
    """One container in some rounds."""

    track: int
    first: int
    """The first of these rounds that listed it, as a number within its run."""
    last: int
    packed: bytes
    """Rows, as a series has them."""

    def rows(self) -> Iterator[Row]:
        """Its rows, the number of the round first."""
        return CONTAINER.rows(CONTAINER.opened(self.packed)) if self.packed else iter(())


def seal_parts(key: int, parts: Sequence[Part]) -> bytes:
    """All containers of some rounds: a directory, then each by itself, so that one can be read without the others."""
    tracks, ends, bodies, end = [], [], [], 0
    for part in sorted(parts, key=lambda each: each.track):
        body = seal(_LISTED.pack(part.first, part.last) + part.packed, PART, key, part.track)
        end += len(body)
        tracks.append(part.track)
        ends.append(end)
        bodies.append(body)
    directory = seal(struct.pack(f"<{2 * len(tracks)}I", *tracks, *ends), DIRECTORY, key)
    return b"".join((_COUNT.pack(len(tracks)), directory, *bodies))


class Parts:
    """What :func:`seal_parts` made, read back."""

    def __init__(self, key: int, data: object) -> None:
        """Raises Broken."""
        if not isinstance(data, bytes) or len(data) < _COUNT.size:
            raise Broken(f"no containers at {key:#x}")
        self._key, self._data = key, data
        count = _COUNT.unpack_from(data)[0]
        self._start = _COUNT.size + _CRC.size + 8 * count
        directory = unseal(data[_COUNT.size : self._start], DIRECTORY, key)
        if len(directory) != 8 * count:
            raise Broken(f"no directory at {key:#x}")
        numbers = struct.unpack(f"<{2 * count}I", directory)
        self.tracks: tuple[int, ...] = numbers[:count]
        self._ends: tuple[int, ...] = numbers[count:]

    def get(self, track: int) -> Part | None:
        """One container; None: it was not listed in these rounds. Raises Broken."""
        place = bisect_left(self.tracks, track)
        if place == len(self.tracks) or self.tracks[place] != track:
            return None
        begin = self._start + (self._ends[place - 1] if place else 0)
        found = unseal(self._data[begin : self._start + self._ends[place]], PART, self._key, track)
        first, last = _LISTED.unpack_from(found)
        return Part(track, first, last, found[_LISTED.size :])

    def all(self) -> list[Part]:
        """Every container. Raises Broken."""
        return [part for part in map(self.get, self.tracks) if part is not None]
