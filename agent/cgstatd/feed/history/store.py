"""The rounds on disk: files that follow one another, each with the tables that memory has.

Once a minute what is new in memory goes to the latest file in one transaction. The oldest file goes as a whole: that
needs no room on a full disk, and what is broken in one file costs no other. Used in the disk's thread; ``state`` may be
read by any.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from .disk_model import Contents, DiskFailed, Moved, Run, RunPart, State
from .history_file import MOST_RUNS, append, check_pages, corruption, opened, recovered
from .memory import Memory
from .own_files import OwnFiles, is_full
from .rows import Everyone, Fit, Part, Source, Wanted, best_fit
from .schema import BLOCK, COLUMNS, Broken, Row

_FILES = 8
"""A file is full with this part of the bytes, or of the time, that are kept."""
_MOST_SECONDS = 86_400.0
"""The same at most."""
_MOST_ROUNDS = BLOCK
"""Of a transaction."""
_SPARE_BYTES = 128 << 10
"""What a transaction takes beside its rows: pages that are not full, and the log."""
_ROW_BYTES, _LIFE_BYTES = 110, 500
_LOG_BYTES = 1 << 20


class _Batch(NamedTuple):
    """What is new in memory of some rounds, with the numbers that it has there."""

    rounds: list[Row]
    lives: list[Row]
    samples: list[Row]
    marks: list[Row]
    """Each with its number in front."""
    owners: dict[int, int]
    """Of each life."""
    first: int
    """The first round that is not stored."""


class Store:
    """Opened at the first use; what fails is tried again at the next."""

    def __init__(self, directory: str, keep_seconds: float, most_bytes: int, memory: Memory) -> None:
        self._keep = keep_seconds
        self._most = self._allowed = most_bytes
        self._memory = memory
        self._source = memory.reader()
        self._files = OwnFiles(directory)
        self._file: sqlite3.Connection | None = None
        """The one that is written."""
        self._path = ""
        """Of the one that is written."""
        self._next = False
        """Whether the next rounds do."""
        self._begun = False
        """Whether it is stored that this run has begun."""
        self._reader: tuple[str, sqlite3.Connection] | None = None
        self._checked = set[str]()
        self._lives = 0
        """The number of memory's life 0."""
        self._known = set[int]()
        """The lives that the file has, by their numbers in memory."""
        self._mark = 0
        """The latest mark that it has, by its number in memory."""
        self._owned: dict[int, int] = {}
        """Bytes in this file, by owner, about."""
        self._began = -1
        """The first round of this run in this file."""
        self.state = State()

    # -- the directory

    def open(self) -> None:
        """Take possession of the directory, look at every file, and store that this run has begun: a client that has
        rounds of it goes on behind them, also where none of them came to be stored. Raises DiskFailed."""
        self._look_through()
        if not self._begun:
            with self._failing():
                self._with_room(_SPARE_BYTES, self._store_run)

    def _look_through(self) -> None:
        if self.state.opened:
            return
        with self._failing():
            self._files.take()
            found: list[Contents] = []
            last, lost = -1, False
            paths = self._files.paths()
            for path in paths:
                each = self._look(path, closely=path == paths[-1])  # it is written next
                if each is not None and each.parts and each.first <= last:
                    self._set_aside(path, "its rounds are not behind those of the file before")
                elif each is None:
                    lost = True
                elif each.runs:
                    found.append(each)
                    lost &= not each.parts
                    last = max(last, each.last)
            lost |= any(part.run.ended is not None and part.run.ended > last for each in found for part in each.parts)
            self.state = self.state._replace(opened=True, files=tuple(found), bytes=self._files.size, lost=lost)
            memory = self._memory
            earlier = [each for each in self.state.runs.values() if each.run]
            run = next((each for each in earlier if each.name == memory.name), None)
            if run is None:
                number = max((each.run for each in earlier), default=0) + 1
                base = (max([last, *(each.base for each in earlier)]) // BLOCK + 2) * BLOCK
                run = Run(number, memory.name, memory.boot, float(memory.interval_seconds), base)
            self.state = self.state._replace(run=run._replace(ended=None))
            self._lives = max((each.lives for each in found), default=0)

    def _look(self, path: str, *, closely: bool) -> Contents | None:
        """What a file holds; None: it was set aside."""
        try:
            return self._files.look(path, closely=closely)
        except Broken as error:
            return self._set_aside(path, str(error))

    def _set_aside(self, path: str, why: str) -> Contents | None:
        """Never look at a file again, but for what could be kept of it."""
        self._close_files()
        self._begun, self._path = False, ""
        self._checked.discard(path)
        kept = None
        if self._files.set_aside(path, why, [each for each in self.state.runs.values() if each.run]):
            with contextlib.suppress(Broken):
                kept = self._files.look(path, closely=False)
        files = self.state.files
        others = [part for part in files[-1].parts if part.run.run != self.state.run.run] if files else []
        lost = self.state.lost or bool(others and files[-1].path == path and not kept)
        changed = tuple(kept if kept and each.path == path else each for each in files if kept or each.path != path)
        self.state = self.state._replace(files=changed, set_aside=self.state.set_aside + 1, lost=lost)
        return kept

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Errors of the disk as DiskFailed; the file is opened anew next time, and where one is gone the directory."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            self._close_files()
            if not all(os.path.lexists(each.path) for each in self.state.files):
                self._files.leave()
                self.state = State(set_aside=self.state.set_aside)
                self._begun, self._path, self._next = False, "", False
            raise DiskFailed(self._files.words(error)) from error

    def _close_files(self) -> None:
        for file in (self._file, self._reader and self._reader[1]):
            if file is not None:
                with contextlib.suppress(sqlite3.Error):
                    file.close()
        self._file = self._reader = None

    # -- writing

    def write(self) -> None:
        """Store what memory has behind the last round that is stored. Raises DiskFailed; Moved: the file was broken,
        and memory may have rounds that were in it."""
        try:
            self.open()
            with self._failing():
                for each in self.state.files:
                    os.lstat(each.path)  # SQLite writes on to a file that was removed
                while self._write_some():
                    pass
        except Broken as error:
            self._set_aside(self._path or self.state.files[-1].path, str(error))
            raise Moved from error
        self.state = self.state._replace(bytes=self._files.size)

    def _write_some(self) -> bool:
        """Store some rounds; whether there may be more."""
        memory, base = self._memory, self.state.run.base
        stored = max(self.state.last - base, -1)
        there = memory.row(max(stored + 1, memory.first), self._source)
        if there is None:
            late = "SELECT count(*) FROM marks WHERE rowid > ? AND round <= ?"  # of the last round, as the agent ends
            if self._path and self._source.execute(late, (self._mark, stored)).fetchone()[0]:
                self._with_room(_SPARE_BYTES, partial(self._append, self._batch(stored + 1, stored, stored)))
            return False
        first, last = there.round, min(memory.last, there.round + _MOST_ROUNDS - 1)
        if self._is_full():
            if stored // BLOCK != first // BLOCK:
                self._close_files()  # it is never written again
                self._next = True
            else:
                last = min(last, (first // BLOCK + 1) * BLOCK - 1)
        batch = self._batch(first, last, stored)
        size = 2 * (len(batch.samples) * _ROW_BYTES + len(batch.lives) * _LIFE_BYTES) + _SPARE_BYTES
        self._with_room(size, partial(self._append, batch))
        self._with_room(0, self._checkpoint)
        while len(self.state.files) > 1 and _seconds(self.state.files[1:]) >= self._keep:  # no wall clock is asked
            self._drop_oldest()
        return last < memory.last

    def _is_full(self) -> bool:
        """Whether the next block of rounds goes to a new file."""
        if self._next or not self.state.files:
            return False
        latest = self.state.files[-1]
        most = min(_MOST_SECONDS, self._keep / _FILES)
        return os.stat(latest.path).st_size >= self._allowed // _FILES or _seconds((latest,)) >= most

    def _checkpoint(self) -> None:
        """Move what is in the log to the file, once it is long."""
        file = self._current()
        with contextlib.suppress(FileNotFoundError):
            if os.stat(f"{self._path}-wal").st_size >= min(_LOG_BYTES, self._allowed // 32):
                file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _batch(self, first: int, last: int, stored: int) -> _Batch:
        """``stored``: the latest round that is."""
        goes_on = stored == first - 1 and bool(self._path) and not self._next
        begin = stored if goes_on else first // BLOCK * BLOCK  # a row of a round may come with the round behind it
        rounds, lives, samples = (
            self._source.execute(f"SELECT {COLUMNS[table]} FROM {table} WHERE {where}", values).fetchall()
            for table, where, values in (
                ("rounds", "round BETWEEN ? AND ?", (begin if goes_on else first, last)),
                ("lives", "until IS NULL OR until >= ?", (begin if goes_on else first,)),
                ("samples", "round BETWEEN ? AND ?", (begin, last)),
            )
        )
        marks = self._source.execute(
            f"SELECT rowid, {COLUMNS['marks']} FROM marks WHERE rowid > ? AND round BETWEEN ? AND ? ORDER BY rowid",
            (self._mark if goes_on else 0, 0 if goes_on else first, last),
        ).fetchall()
        if not goes_on:  # what held at its beginning: the file has no rows from before
            held = {row[1]: (first, *row[1:]) for row in samples if row[0] <= first}
            samples = [*held.values(), *(row for row in samples if row[0] > first)]
        known = self._known if goes_on else set()
        new = [row for row in lives if row[0] not in known or row[-1] >= stored]
        return _Batch(rounds, new, samples, marks, {row[0]: row[1] for row in lives}, first)

    def _append(self, batch: _Batch) -> None:
        file, run, state = self._current(), self.state.run, self.state
        base, lives = run.base, self._lives
        greedy = self._greedy(batch)
        kept = {key for key, owner in batch.owners.items() if owner not in greedy}
        begin = batch.first if greedy else 0
        before = base - 1 if state.lost else state.last
        samples = [
            (base + row[0], lives + row[1], *row[2:]) for row in batch.samples if row[1] in kept and row[0] >= begin
        ]
        count = Counter(row[0] for row in samples)
        rounds = []
        for number, _, last, time_ms, monotonic, boottime, gap, complete, _, *host in batch.rounds:
            if number >= begin:
                behind, whole, many = (
                    before if last is None else base + last,
                    complete and not greedy,
                    count[base + number],
                )
                rounds.append(
                    (base + number, run.run, behind, time_ms, monotonic, boottime, gap, int(whole), many, *host)
                )
        append(file, {
            "lives": [
                (lives + row[0], *row[1:9], *(None if each is None else base + each for each in row[9:]))
                for row in batch.lives
                if row[0] in kept
            ],
            "samples": samples,
            "marks": [(base + row[1], lives + row[2], *row[3:]) for row in batch.marks if row[2] in kept],
            "rounds": rounds,
        })  # fmt: skip
        self._known |= {row[0] for row in batch.lives if row[0] in kept}
        self._mark = max((row[0] for row in batch.marks), default=self._mark)
        most = max((lives + row[0] for row in batch.lives), default=0)
        self._put(self._held().with_rounds(run, rounds[0], rounds[-1], most))

    def _greedy(self, batch: _Batch) -> set[int]:
        """The users that take more than their share.

        As long as the whole fits the time that is to be kept, all is stored. Beyond that a user that has more of the
        file than an equal part gives way: one that starts containers without pause must not push out what is known of
        the others. Root never does: its history becomes shorter.
        """
        if self._began < 0:
            self._began = batch.rounds[0][0]
        would = dict(self._owned)
        for rows, place, size in ((batch.samples, 1, _ROW_BYTES), (batch.lives, 0, _LIFE_BYTES)):
            for owner, many in Counter(batch.owners.get(row[place], 0) for row in rows).items():
                would[owner] = would.get(owner, 0) + many * size
        seconds = (batch.rounds[-1][0] - self._began + 1) * self._memory.interval_seconds
        allowed = self._allowed / _FILES / 4 + self._allowed / self._keep * seconds
        greedy = set[int]()
        if sum(would.values()) > allowed and len(would) > 1:
            greedy = {uid for uid, size in would.items() if uid and size > allowed / len(would)}
        self._owned |= {uid: size for uid, size in would.items() if uid not in greedy}
        return greedy

    def _store_run(self) -> None:
        file = self._current()
        append(file, {"runs": [self.state.run]})
        self._begun = True
        held = self._held()
        self._put(held._replace(runs=(*(each for each in held.runs if each.run != self.state.run.run), self.state.run)))

    def _held(self) -> Contents:
        """What the file that is written holds."""
        latest = self.state.files[-1:]
        new = Contents(self._path, (), tuple(self.state.runs.values())[-MOST_RUNS:], 0)
        return latest[0] if latest and latest[0].path == self._path else new

    def _put(self, found: Contents) -> None:
        """The file that is written has changed."""
        files = tuple(each for each in self.state.files if each.path != found.path)
        self.state = self.state._replace(files=(*files, found))

    def _with_room(self, size: int, store: Callable[[], None]) -> None:
        """Store something of a size. Where there is no room for it the oldest goes first, however small the disk turns
        out to be."""
        while True:
            self._allowed = self._files.allowed(self._most)
            if self._files.size + size <= self._allowed or not self._give_way():
                break
        while True:
            try:
                return store()
            except (OSError, sqlite3.Error) as error:
                self._close_files()
                if not is_full(error) or not self._give_way():
                    raise

    def _current(self) -> sqlite3.Connection:
        """The file that is written."""
        if self._file is None:
            new = self._next or not self.state.files
            path = self._files.next_path() if new else self.state.files[-1].path
            self._close_files()  # no other descriptor of the file may be closed while it is locked
            try:
                self._file = opened(path, write=True)
                if new:
                    append(self._file, {"runs": list(self.state.runs.values())[-MOST_RUNS:]})
            except BaseException:
                self._close_files()
                if new:
                    self._files.remove(path)  # else there is one more after each attempt
                raise
            self._next = False
            if path != self._path:
                self._path, self._began, self._owned, self._known = path, -1, {}, set()
        return self._file

    def _give_way(self) -> bool:
        """Drop what was set aside, then the oldest file; whether there was one beside that which is written."""
        sizes = self._files.sizes()
        if sizes and self._files.is_aside(sizes[0][0]):
            os.unlink(sizes[0][0])
        elif len(self.state.files) > 1:
            self._drop_oldest()
        else:
            return False
        return True

    def _drop_oldest(self) -> None:
        oldest, *others = self.state.files
        if self._reader is not None and self._reader[0] == oldest.path:
            self._reader[1].close()
            self._reader = None
        self._files.remove(oldest.path)
        self.state = self.state._replace(files=tuple(others))

    def end(self) -> None:
        """This run has ended in order; let go of everything. Raises DiskFailed."""
        try:
            if self._begun:
                with self._failing():
                    last = max(self.state.last, self.state.run.base - 1)
                    append(self._current(), {"runs": [self.state.run._replace(ended=last)]})
        finally:
            self._close_files()
            self._source.close()
            self._files.leave()

    # -- reading

    def fetch(self, first: int, until: int, wanted: Wanted | None, most: int) -> Part:
        """The next rounds of one file from a key on, at most ``most`` and up to ``until``. Raises Moved, DiskFailed."""
        for held in self.state.files:
            if held.last < first or held.first > until:
                continue
            with self._reading(held) as file:
                keys = "SELECT round FROM rounds WHERE round BETWEEN ? AND ? ORDER BY round LIMIT ?"
                found = file.execute(keys, (first, min(until, held.last), most)).fetchall()
                if found:
                    end = found[-1][0]
                    part = Source(file).read(found[0][0], end, wanted)
                    if isinstance(wanted, Everyone):  # those without marks first: clients may have got used to it
                        part.lives.sort(key=lambda life: any(key <= end for key, _ in part.marks.get(life.id, ())))
                    return part
        return Part([], [], [], {})

    def seek(self, held: Contents, part: RunPart, boottime_ns: int) -> int:
        """The key of the last round of a run in a file that is not after a time, else of its first. Raises Moved,
        DiskFailed."""
        with self._reading(held) as file:
            latest = "SELECT max(round) FROM rounds WHERE round BETWEEN ? AND ? AND boottime_nsec <= ?"
            found: int | None = file.execute(latest, (part.first, part.last, boottime_ns)).fetchone()[0]
            return part.first if found is None else found

    def find(self, wanted: str) -> Fit | None:
        """The container with an id, a name or the beginning of an id; the latest where several fit. Raises Ambiguous,
        Moved, DiskFailed."""
        best: Fit | None = None
        for held in reversed(self.state.files):
            with self._reading(held) as file:
                fit = best_fit(file, wanted)
            if fit is not None and (best is None or fit[:2] > best[:2]):
                best = fit
        return best

    @contextlib.contextmanager
    def _reading(self, held: Contents) -> Iterator[sqlite3.Connection]:
        try:
            with self._failing(), corruption():
                yield self._opened(held.path)
        except Broken as error:
            self._set_aside(held.path, str(error))
            raise Moved from error
        except DiskFailed as error:
            if self.state.opened:
                raise
            raise Moved from error  # it is gone: what is left is read

    def _opened(self, path: str) -> sqlite3.Connection:
        if self._file is not None and self._path == path:
            return self._file
        if self._reader is None or self._reader[0] != path:
            if self._reader is not None:
                self._reader[1].close()
                self._reader = None
            recovered(path)
            self._reader = path, opened(path)
            if path not in self._checked:
                check_pages(self._reader[1])
                self._checked.add(path)
        return self._reader[1]


def _seconds(files: tuple[Contents, ...]) -> float:
    """The time that files are about, without that in which the agent did not run."""
    return sum(part.seconds for each in files for part in each.parts)
