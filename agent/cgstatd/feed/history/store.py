"""The rounds on disk: written to files that follow one another, and read from them.

The oldest file goes as a whole, so that nothing is ever deleted within one. A file that is broken is set aside; the
rounds that the ring still has are then written once more. Used in the disk's thread; ``state`` may be read by any.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial

from .disk_model import Contents, DiskFailed, Fetched, Moved, RunPart, Segment, State, Wanted, Who, fits
from .file_rows import Prepared, Writing
from .own_files import OwnFiles, is_full
from .sealed import VERSION, Broken, Rounds, Run, Track, run_of
from .sqlite_file import SqliteFile
from .stored_rounds import Fit, best_fit, key_before, with_all, with_these
from .tracks import Snapshot

_FILES = 8
"""A file is full with this part of the bytes, or of the time, that are kept."""
_MOST_SECONDS = 86_400.0
"""The same at most."""
_SPARE_BYTES = 128 << 10
"""What a transaction takes beside its rows: SQLite's journal, pages that are not full."""


class Store:
    """Opened at the first use; what fails is tried again at the next."""

    def __init__(self, directory: str, keep_seconds: float, most_bytes: int, run: Run) -> None:
        self._keep = keep_seconds
        self._most = most_bytes
        self._run = run
        self._files = OwnFiles(directory)
        self._file: SqliteFile | None = None
        """The one that is written."""
        self._path = ""
        """Of the one that is written."""
        self._begun = False
        """Whether it is stored that this run has begun."""
        self._cut = False
        """Whether the end of the file that was set aside last is lost."""
        self._reader: SqliteFile | None = None
        self._writing = Writing(keep_seconds, most_bytes)
        self._of: tuple[str, Wanted, dict[int, Track]] | None = None
        """The tracks of who was asked for last."""
        self.state = State()

    # -- the directory

    def open(self) -> None:
        """Take possession of the directory, look at every file, and store that this run has begun: a client that has
        rounds of it goes on behind them, also where none of them came to be stored. Raises DiskFailed."""
        self._look_through()
        if not self._begun:
            with self._failing():
                self._begin()

    def _look_through(self) -> None:
        if self.state.opened:
            return
        with self._failing():
            self._files.take()
            kept: list[Contents] = []
            last, hole = 0, False
            for path in self._files.paths():
                self._cut = False
                found = self._look(path)
                if found is not None and found.runs and found.first <= last:
                    self._set_aside(path, "its rounds are not behind those of the file before")
                    continue
                if found is None or found.runs:
                    hole = found is None or self._cut
                if found is not None and (found.runs or found.begun):
                    kept.append(found)
                    last = found.last if found.runs else last
            state = self.state._replace(opened=True, files=tuple(kept), bytes=self._files.size, hole=hole)
            self.state = state._replace(run=1 + max(state.named, default=0))

    def _begin(self) -> None:
        self._with_room(_SPARE_BYTES, self._store_run)

    def _store_run(self) -> None:
        file, contents = self._open_current()
        run = (self.state.run, self._run)
        file.append([run], [], [])
        self._begun = True
        if self.state.run not in self.state.named:
            self._put(contents._replace(begun=(*contents.begun, run)))

    def _look(self, path: str) -> Contents | None:
        """What a file holds; None: it was set aside."""
        try:
            return self._files.look(path)
        except Broken as error:
            return self._set_aside(path, str(error))

    def _put(self, contents: Contents) -> None:
        """The file that is written has changed."""
        self.state = self.state._replace(
            files=(*(each for each in self.state.files if each.path != contents.path), contents)
        )

    def _set_aside(self, path: str, why: str) -> Contents | None:
        """Never look at a file again, but for what could be kept of it."""
        self._close_files()
        self._begun = False
        known = self.state.files
        salvaged = self._files.set_aside(path, why)
        kept = None if salvaged is None else self._files.look(path)
        files = tuple(kept if kept and each.path == path else each for each in known if kept or each.path != path)
        hole = self.state.hole
        if known and known[-1].path == path:
            hole |= salvaged.cut if salvaged else any(part.run != self.state.run for part in known[-1].runs)
        self._cut = bool(salvaged and salvaged.cut)
        self.state = self.state._replace(files=files, set_aside=self.state.set_aside + 1, hole=hole)
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
            raise DiskFailed(self._files.words(error)) from error

    def _close_files(self) -> None:
        for file in (self._file, self._reader):
            if file is not None:
                with contextlib.suppress(sqlite3.Error):
                    file.close()
        self._file = self._reader = None

    # -- writing

    def write(self, snapshot: Snapshot) -> None:
        """Store what the ring has behind the last round that is stored. Raises DiskFailed; Moved: the file was broken,
        and the ring may have rounds that were in it."""
        self._look_through()
        try:
            with self._failing():
                self._write(snapshot)
        except Broken as error:
            self._set_aside(self._path, str(error))
            raise Moved from error
        self.state = self.state._replace(bytes=self._files.size)

    def _write(self, snapshot: Snapshot) -> None:
        while True:
            state = self.state
            stored = state.last if run_of(state.last) == state.run else 0
            rows = self._writing.rows(snapshot, state.run, stored, state.last, state.hole)
            if rows is None:
                return
            self._with_room(rows.size + _SPARE_BYTES, partial(self._append, rows))
            self._full()
            self._age()

    def _append(self, rows: Prepared) -> None:
        file, contents = self._open_current()
        try:
            after = self._writing.append(file, contents, rows, self._run)
        except BaseException:
            self._writing.forget()
            raise
        self._begun = True
        self._put(after)

    def _with_room(self, size: int, store: Callable[[], None]) -> None:
        """Store something of a size. Where there is no room for it the oldest goes first, however small the disk turns
        out to be."""
        self._room(size)
        while True:
            try:
                return store()
            except (OSError, sqlite3.Error) as error:
                if not is_full(error) or not self._give_way():
                    raise
                self._close_files()

    def _open_current(self) -> tuple[SqliteFile, Contents]:
        """The file that is written; its contents have no runs where it is new."""
        files = self.state.files
        if self._file is None:
            new = not files or self._writing.full
            if not new:
                self._path = files[-1].path
            else:
                self._path = self._files.next_path()
            self._close_files()  # no other descriptor of the file may be closed while it is locked
            try:
                self._file = SqliteFile(self._path, write=True)
            except BaseException:
                if new:
                    with contextlib.suppress(OSError):
                        os.unlink(self._path)  # else there is one more after each attempt
                raise
            self._writing.begin()
            if self._file.version != VERSION:
                self._close_files()
                self._writing.full = True
                return self._open_current()
        if files and files[-1].path == self._path:
            return self._file, files[-1]
        return self._file, Contents(self._path, (), 0, 0)

    def _full(self) -> None:
        """Whether the next rounds go to a new file."""
        last = self.state.files[-1]
        most = min(_MOST_SECONDS, self._keep / _FILES)
        if os.stat(last.path).st_size >= self._writing.most // _FILES or _seconds(last) >= most:
            self._close_files()
            self._writing.full = True

    def _age(self) -> None:
        """Forget the oldest file where the others alone have all the time that is kept. No wall clock is asked."""
        while len(self.state.files) > 1 and sum(map(_seconds, self.state.files[1:])) >= self._keep:
            self._drop_oldest()

    def _room(self, size: int) -> None:
        """Keep within the bytes, and within what the disk has."""
        while True:
            most = self._writing.most = self._files.allowed(self._most)
            if self._files.size + size <= most or not self._give_way():
                return

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
        oldest = self.state.files[0]
        if self._reader is not None and self._reader.path == oldest.path:
            self._reader.close()
            self._reader = None
        for path in (oldest.path, f"{oldest.path}-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self.state = self.state._replace(files=self.state.files[1:])

    def end(self) -> None:
        """This run has ended in order; let go of everything. Raises DiskFailed."""
        state = self.state
        try:
            if state.run in state.named:
                self._writing.full = False
                with self._failing():
                    file, _ = self._open_current()
                    last = state.last if run_of(state.last) == state.run else 0
                    ended = Run(self._run.name, self._run.boot, self._run.interval_seconds, last)
                    file.append([(self.state.run, ended)], [], [])
        finally:
            self._close_files()
            self._files.leave()

    # -- reading

    def fetch(self, after: int, until: int, most: int, who: Wanted | None, everything: bool) -> Fetched:
        """Rounds behind a key and up to another, in order: at most ``most`` rows of one file.

        ``who``: with these; ``everything``: with all. Raises Moved, DiskFailed.
        """
        for contents in self.state.files:
            if not contents.runs or contents.last <= after or contents.first > until:
                continue
            with self._reading(contents) as file:
                found = file.segments(after, until, most)
                segments = [self._segment(file, contents, rounds, who, everything) for rounds in found]
            if segments:
                return Fetched(segments, segments[-1].rounds.last < min(until, self.state.last))
        return Fetched([], False)

    def seek(self, contents: Contents, part: RunPart, boottime_ns: int) -> int:
        """The key behind which all rounds of a run are that are not before a time, and some that are. Raises Moved,
        DiskFailed."""
        with self._reading(contents) as file:
            return key_before(file, part, boottime_ns)

    @contextlib.contextmanager
    def _reading(self, contents: Contents) -> Iterator[SqliteFile]:
        try:
            with self._failing():
                yield self._opened(contents.path)
        except Broken as error:
            self._set_aside(contents.path, str(error))
            raise Moved from error
        except DiskFailed as error:
            if self.state.opened:
                raise
            raise Moved from error  # it is gone: what is left is read

    def _opened(self, path: str) -> SqliteFile:
        if self._file is not None and self._file.path == path:
            return self._file
        if self._reader is None or self._reader.path != path:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            if os.path.lexists(f"{path}-journal") and os.lstat(f"{path}-journal").st_size:
                raise DiskFailed(f"{path} was left half written")
            self._reader = SqliteFile(path)
        return self._reader

    def _segment(
        self, file: SqliteFile, contents: Contents, rounds: Rounds, who: Wanted | None, everything: bool
    ) -> Segment:
        if who is not None:
            return with_these(file, rounds, self._tracks_of(file, contents, who))
        return with_all(file, rounds) if everything else Segment(rounds, [], {})

    def _tracks_of(self, file: SqliteFile, contents: Contents, who: Wanted) -> dict[int, Track]:
        path = f"{contents.path} {contents.tracks}"
        if self._of is None or self._of[:2] != (path, who):
            found = {key: track for key, track in file.mentioning(who[-1]) if fits(who, track.life, track.subject)}
            self._of = (path, who, found)
        return self._of[2]

    def find(self, wanted: str) -> Who | None:
        """The container with an id, a name or the beginning of an id; the latest where several fit. Raises Moved,
        DiskFailed."""
        best: Fit | None = None
        for contents in reversed(self.state.files):
            with self._reading(contents) as file:
                fit = best_fit(file, wanted)
            if fit is not None and (best is None or fit[:2] > best[:2]):
                best = fit
        return None if best is None else best.who


def _seconds(contents: Contents) -> float:
    """The time that a file is about, without that in which the agent did not run."""
    return sum(
        max(0, each.last_boottime_ns - each.first_boottime_ns) / 1e9 + each.what.interval_seconds
        for each in contents.runs
    )  # fmt: skip
