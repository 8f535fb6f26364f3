"""From what the ring holds to the rows of a file: which rounds, under which keys, and who gets how much of the disk."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from ...sampling.history_model import Life, Subject
from .disk_model import Contents, RunPart
from .sealed import (
    Part,
    Rounds,
    Run,
    StoredMark,
    Track,
    key_of,
    number_of,
    pack_born,
    pack_marks,
    seal_parts,
    seal_track,
)
from .series import Row
from .sqlite_file import SqliteFile
from .steps import host_row
from .tracks import CONTAINER, HOST, Lived, Mark, Snapshot

MOST_ROUNDS = 60
"""Of one row."""
_MOST_MARKS = 5_000
_PART_BYTES = 24
"""What a container takes in a row beside its figures."""
_FILES = 8


class _Listed(NamedTuple):
    """One container in the rounds of a row."""

    track: Track
    first: int
    last: int
    packed: bytes
    size: int
    """Bytes that it takes on disk."""


class Prepared(NamedTuple):
    """The rounds of one row."""

    run: int
    rows: list[Row]
    before: int
    lost: bool
    incomplete: int
    """A key; 0: they are complete."""
    listed: list[_Listed]
    marks: list[tuple[Track, Mark]]

    @property
    def first(self) -> int:
        """A key."""
        return key_of(self.run, self.rows[0][0] or 0)

    @property
    def last(self) -> int:
        """A key."""
        return key_of(self.run, self.rows[-1][0] or 0)

    @property
    def size(self) -> int:
        """Bytes on disk, about."""
        return sum(each.size for each in self.listed) + 200 * len(self.marks) + 8 * HOST.size


class Writing:
    """What is known of the file that is written. Used in the disk's thread."""

    def __init__(self, keep_seconds: float, most_bytes: int) -> None:
        self._keep = keep_seconds
        self.most = most_bytes
        """Bytes that all files may take now."""
        self._keys: dict[tuple[Life, Subject], int] = {}
        """The tracks of the latest row."""
        self._owned: dict[int, int] = {}
        """Bytes in this file, by owner."""
        self._began_ns: int | None = None
        self.full = False
        """Whether the next rounds go to a new file."""

    def begin(self) -> None:
        """Write to another file."""
        self._keys, self._owned, self.full = {}, {}, False
        self._began_ns = None

    def forget(self) -> None:
        """A row was not stored."""
        self._keys = {}

    def rows(self, snapshot: Snapshot, run: int, stored: int, before: int, hole: bool) -> Prepared | None:
        """The rounds that come next; None: all are stored. ``stored``: the last of this run that is, 0: none is."""
        after = number_of(stored) if stored else -1
        begin = max(after + 1, snapshot.first)
        rows = list(islice((row for row in snapshot.host if begin <= (row[0] or 0) <= snapshot.last), MOST_ROUNDS))
        if not rows:
            return None
        first, last = rows[0][0] or 0, rows[-1][0] or 0
        listed, marks = [], []
        for lived in snapshot.lives:
            track = Track(lived.life, lived.subject)
            marks += [(track, mark) for mark in lived.marks if first <= mark.round <= last]
            if (one := self._listed(lived, track, first, last)) is not None:
                listed.append(one)
        incomplete = key_of(run, min(last, snapshot.incomplete)) if snapshot.incomplete >= first else 0
        greedy = self._greedy(listed, host_row(rows[-1])[0].boottime_ns)
        kept = self._within([each for each in listed if each.track.life.owner_uid not in greedy])
        marks = [pair for pair in marks if pair[0].life.owner_uid not in greedy]
        if len(kept) < len(listed):
            incomplete = key_of(run, last)
        return Prepared(
            run,
            rows,
            before,
            (hole and not stored) or after + 1 < snapshot.first,
            incomplete,
            kept,
            marks[:_MOST_MARKS],
        )

    def _listed(self, lived: Lived, track: Track, first: int, last: int) -> _Listed | None:
        if lived.listed is None:
            return None
        begin, end = max(first, lived.listed[0]), min(last, lived.listed[1])
        if begin > end:
            return None
        rows = lived.rows.packed(first, last)
        packed = CONTAINER.shut(rows) if rows else b""
        new = 0 if (track.life, track.subject) in self._keys else len(seal_track(0, track)) + 8
        return _Listed(track, begin, end, packed, len(packed) + _PART_BYTES + new)

    def _greedy(self, listed: list[_Listed], now_ns: int) -> set[int]:
        """The users that take more than their share.

        As long as the whole fits the time that is to be kept, all is stored. Beyond that a user that has more of the
        file than an equal part gives way: one that starts containers without pause must not push out what is known of
        the others. Root never does: its history becomes shorter.
        """
        self._began_ns = now_ns if self._began_ns is None else self._began_ns
        allowed = self.most / _FILES / 4 + self.most / self._keep * (now_ns - self._began_ns) / 1e9
        new: dict[int, int] = {}
        for each in listed:
            new[each.track.life.owner_uid] = new.get(each.track.life.owner_uid, 0) + each.size
        would = {uid: self._owned.get(uid, 0) + new.get(uid, 0) for uid in self._owned.keys() | new.keys()}
        if sum(would.values()) <= allowed or len(would) < 2:
            return set()
        return {uid for uid, size in would.items() if uid and size > allowed / len(would)}

    def _within(self, listed: list[_Listed]) -> list[_Listed]:
        """As many as half a file has room for, root's first."""
        most = self.most // _FILES // 2
        if sum(each.size for each in listed) <= most:
            return listed
        kept, size = [], 0
        for each in sorted(listed, key=lambda each: each.track.life.owner_uid != 0):
            size += each.size
            if size > most:
                break
            kept.append(each)
        return kept

    def append(self, file: SqliteFile, contents: Contents, what: Prepared, run: Run) -> Contents:
        """Store them; what the file holds then. Raises Broken, sqlite3.Error."""
        keys, new = self._numbered(contents.tracks, what)
        parts = [
            Part(keys[each.track.life, each.track.subject], each.first, each.last, each.packed) for each in what.listed
        ]
        marks = [StoredMark(keys[track.life, track.subject], mark) for track, mark in what.marks]
        known = bool(contents.runs) and contents.runs[-1].run == what.run
        rounds = Rounds(
            what.first, what.last, what.before, what.incomplete, contents.tracks + len(new), what.lost,
            HOST.shut(b"".join(HOST.pack(number or 0, values) for number, *values in what.rows)), pack_marks(marks),
            pack_born(None if known else run, new),
        )  # fmt: skip
        file.append([] if known else [(what.run, run)], new, [(rounds, seal_parts(what.first, parts))])
        self._keys = keys
        for each in what.listed:
            owner = each.track.life.owner_uid
            self._owned[owner] = self._owned.get(owner, 0) + each.size
        before = contents.before if contents.runs else what.before
        begun = tuple(each for each in contents.begun if each[0] != what.run)
        return Contents(contents.path, _with(contents.runs, what, run), before, rounds.tracks, begun)

    def _numbered(self, count: int, what: Prepared) -> tuple[dict[tuple[Life, Subject], int], list[tuple[int, Track]]]:
        """The key of each track, and the tracks that the file does not have yet."""
        keys: dict[tuple[Life, Subject], int] = {}
        new: list[tuple[int, Track]] = []
        for track in _tracks(what):
            pair = (track.life, track.subject)
            if pair not in keys:
                if (key := self._keys.get(pair)) is None:
                    key = count + len(new) + 1
                    new.append((key, track))
                keys[pair] = key
        return keys, new


def _tracks(what: Prepared) -> Iterable[Track]:
    yield from (each.track for each in what.listed)
    yield from (track for track, _ in what.marks)


def _with(runs: tuple[RunPart, ...], what: Prepared, run: Run) -> tuple[RunPart, ...]:
    """The runs of a file that has these rounds too."""
    begin, end = host_row(what.rows[0])[0], host_row(what.rows[-1])[0]
    if runs and runs[-1].run == what.run:
        last = runs[-1]._replace(last=what.last, last_boottime_ns=end.boottime_ns, last_time_ms=end.time_ms)
        return (*runs[:-1], last)
    new = RunPart(what.run, run, what.first, what.last, begin.boottime_ns, end.boottime_ns, begin.time_ms, end.time_ms)
    return (*runs, new)
