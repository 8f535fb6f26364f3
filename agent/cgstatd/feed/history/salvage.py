"""From a file of the history that is broken to one that is whole: with all that has its checksum still.

What is stored once more in the same file, in other pages, is taken from there: what a container was called, which run
it was. So one bad page costs the minutes that stand in it, and no more. Used in the disk's thread.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from . import sealed
from .pages import Pages, Place
from .sealed import Broken, Part, Parts, Rounds, Run, StoredMark, Track, run_of
from .sqlite_file import SqliteFile

_AT_ONCE = 32
"""Rows of one transaction."""


class Salvaged(NamedTuple):
    """What came of it."""

    rows: int
    """Rows of rounds: a minute each."""
    cut: bool
    """Whether the last rounds of a run that ended in order, of the latest one, are lost."""


class _Found:
    """What has its checksum. The figures stay on disk: there may be many."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.runs: dict[int, Run] = {}
        self.tracks: dict[int, Track] = {}
        self.rounds: dict[int, Rounds] = {}
        self.parts: dict[int, Place] = {}
        for place in pages.cells():
            row = pages.row(place)
            if row is not None:
                self._add(place, *row)
        for each in self.rounds.values():
            run, tracks = each.born_with()
            if run is not None:
                self.runs.setdefault(run_of(each.first), run)
            for key, track in tracks:
                self.tracks.setdefault(key, track)
        self._keys = sorted(self.tracks)
        self.numbers = {key: number for number, key in enumerate(self._keys, 1)}
        """The key of each track in the file before -> in the one that is made."""

    def _add(self, place: Place, key: int, data: bytes) -> None:
        with suppress(Broken):
            self.tracks[key] = sealed.open_track(key, data)
            return
        with suppress(Broken):
            self.runs[key] = sealed.open_run(key, data)
            return
        with suppress(Broken):
            self.rounds[key] = sealed.open_rounds(key, data)
            return
        with suppress(Broken):
            Parts(key, data)
            self.parts[key] = place

    def segments(self) -> Iterator[tuple[Rounds, bytes]]:
        """Rows as they are stored, in order."""
        last = 0
        for first, each in sorted(self.rounds.items()):
            if run_of(first) not in self.runs or first <= last:
                continue
            parts, whole = self._parts(first)
            marks = [mark for mark in each.marked() if mark.track in self.numbers]
            yield (
                each._replace(
                    lost=each.lost or bool(last and each.before != last),
                    incomplete=each.incomplete if whole else each.last,
                    tracks=bisect_right(self._keys, each.tracks),
                    marks=sealed.pack_marks([StoredMark(self.numbers[each.track], each.mark) for each in marks]),
                    born=sealed.pack_born(*self._born(each)),
                ),
                sealed.seal_parts(first, parts),
            )
            last = each.last

    def _born(self, each: Rounds) -> tuple[Run | None, list[tuple[int, Track]]]:
        run, tracks = each.born_with()
        return run, [(self.numbers[key], track) for key, track in tracks]

    def _parts(self, first: int) -> tuple[list[Part], bool]:
        """The containers of a row, and whether that is all of them."""
        place = self.parts.get(first)
        row = None if place is None else self.pages.row(place)
        if row is None:
            return [], False
        found, whole = [], True
        stored = Parts(*row)
        for track in stored.tracks:
            part = None
            with suppress(Broken):
                part = stored.get(track)
            if part is None or track not in self.numbers:
                whole = False
            else:
                found.append(part._replace(track=self.numbers[track]))
        return found, whole

    def ends(self) -> tuple[dict[int, Run], bool]:
        """The runs, with their ends as far as these are still there; whether that of the latest is not."""
        runs, cut = {}, False
        for number, run in sorted(self.runs.items()):
            last = max((each.last for each in self.rounds.values() if run_of(each.first) == number), default=0)
            cut = run.ended is not None and run.ended != last
            runs[number] = Run(run.name, run.boot, run.interval_seconds, last) if cut else run
        return runs, cut


def salvage(fd: int, path: str) -> Salvaged | None:
    """Write what the file of a descriptor still has to a new file; None: it has nothing. Raises sqlite3.Error,
    OSError, Broken."""
    found = _Found(Pages(fd))
    runs, cut = found.ends()
    if not found.rounds or not runs:
        return None
    count = 0
    file = SqliteFile(path, write=True)
    try:
        tracks = [(found.numbers[key], track) for key, track in sorted(found.tracks.items())]
        file.append(list(runs.items()), tracks, [])
        segments = found.segments()
        while some := list(islice(segments, _AT_ONCE)):
            file.append([], [], some)
            count += len(some)
    finally:
        file.close()
    return Salvaged(count, cut) if count else None
