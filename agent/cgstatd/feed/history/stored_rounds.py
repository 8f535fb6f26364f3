"""What one file of the history has: rounds with their containers, the round at a time, the container of a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .disk_model import RunPart, Segment, Who
from .sealed import Rounds, Track
from .sqlite_file import SqliteFile
from .steps import host_row


class Fit(NamedTuple):
    """How well a container fits the word of a client; the larger the better."""

    how: int
    """3: its id, 2: its name, 1: the beginning of its id."""
    systems: bool
    who: Who


def with_all(file: SqliteFile, rounds: Rounds) -> Segment:
    """Rounds with all of their containers. Raises Broken."""
    parts = file.parts(rounds.first)
    found = [(file.track(part.track), part) for part in parts.all()]
    return Segment(rounds, found, {each.track: file.track(each.track) for each in rounds.marked()})


def with_these(file: SqliteFile, rounds: Rounds, tracks: Mapping[int, Track]) -> Segment:
    """Rounds with some containers, by the keys of their tracks. Raises Broken."""
    parts = file.parts(rounds.first)
    found = [(track, part) for key, track in tracks.items() if (part := parts.get(key)) is not None]
    return Segment(rounds, found, {each.track: tracks[each.track] for each in rounds.marked() if each.track in tracks})


def key_before(file: SqliteFile, part: RunPart, boottime_ns: int) -> int:
    """The key behind which all rounds of a run are that are not before a time, and some that are. Raises Broken."""
    low, high = part.first, part.last
    while low < high:
        middle = (low + high + 1) // 2
        found = file.row_at(middle)
        if host_row(next(iter(found.rows())))[0].boottime_ns <= boottime_ns:
            low = middle
        else:
            high = found.first - 1
    return file.row_at(max(low, part.first)).first - 1


def best_fit(file: SqliteFile, wanted: str) -> Fit | None:
    """The container with an id, a name or the beginning of an id; the latest where several fit. Raises Broken."""
    best: Fit | None = None
    for _, track in sorted(file.mentioning(wanted), key=lambda pair: -pair[0]):
        life = track.life
        fits = [life.id == wanted, track.subject.name == wanted, life.id.startswith(wanted)]
        if True in fits:
            fit = Fit(3 - fits.index(True), not life.owner_uid, life[:3])
            if best is None or fit[:2] > best[:2]:
                best = fit
    return best
