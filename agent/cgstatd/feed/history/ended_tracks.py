"""What the ring keeps of lives that are over, each as one piece of bytes.

As objects a life is some twenty of them. A user may end thousands within the hour; what lies between their objects in
memory could not be given back for as long as they are remembered.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator

import msgspec

from ...sampling.history_model import Life, Subject
from .series import Chunk, Series
from .tracks import CONTAINER, Mark, Track

_HEAD = struct.Struct("<3q")
"""The first and the last round that had it, and Track.ages."""
_PLACE_BYTES = 8
"""In the line of those that ended."""


class _Rest(msgspec.Struct, array_like=True, frozen=True):
    life: Life
    serial: int
    subject: Subject
    oom_kills: int | None
    marks: list[Mark]
    chunks: list[Chunk]
    last: int
    """The number of the latest row."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Rest).decode


def packed(track: Track) -> bytes:
    """A life that is over."""
    series = track.series
    series.shut()
    rest = _Rest(
        track.life, track.serial, track.subject, track.oom_kills, track.marks, list(series.chunks), series.last
    )
    return _HEAD.pack(track.first, track.last, track.ages) + _encode(rest)


def unpacked(data: bytes) -> Track:
    """The same life. What is done to it is not kept."""
    first, last, ages = _HEAD.unpack_from(data)
    rest = _decode(memoryview(data)[_HEAD.size :])
    track = Track(rest.life, rest.subject, first, rest.serial)
    track.series = Series.of(CONTAINER, rest.chunks, rest.last)
    track.last, track.ages, track.ended = last, ages, True
    track.marks, track.oom_kills, track.bytes = rest.marks, rest.oom_kills, weigh(data)
    return track


def weigh(data: bytes) -> int:
    """Bytes that it takes."""
    return sys.getsizeof(data) + _PLACE_BYTES


def last_round(data: bytes) -> int:
    """The last round that had it."""
    return _HEAD.unpack_from(data)[1]  # type: ignore[no-any-return]


def aged(data: bytes, oldest: int) -> bytes:
    """Without what was before a round; the same where there is nothing."""
    if _HEAD.unpack_from(data)[2] >= oldest:
        return data
    track = unpacked(data)
    track.drop_before(oldest)
    return packed(track)


def within(several: Iterator[bytes], first: int, last: int, fits: Callable[[Track], bool]) -> Iterator[Track]:
    """Those that had a part in these rounds."""
    for data in several:
        began, ended, _ = _HEAD.unpack_from(data)
        if ended >= first and began <= last and fits(track := unpacked(data)):
            yield track
