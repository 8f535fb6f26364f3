"""The directory of the history: files that follow one another, within a number of bytes.

The oldest file goes as a whole, so that nothing is ever deleted within one. A file that is broken, or of another
program, is set aside under another name; the rounds that the ring still has are then written once more. Used in the
disk's thread; ``state`` may be read by any.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import sqlite3
import stat
from collections.abc import Iterator

from cgroupfs.pseudofs import release

from ...basics.private_directory import NotPrivate, private_directory
from ...basics.text import is_number
from .disk_model import Contents, DiskFailed, Fetched, Moved, RunPart, Segment, State, Who
from .file_rows import Writing
from .ring import Snapshot
from .sealed import Broken, Rounds, Run, Track
from .sqlite_file import SqliteFile
from .steps import host_row

log = logging.getLogger(__name__)
_NAME = re.compile(r"history-([0-9]{8})\.db")
_ASIDE = ".set-aside"
_FILES = 8
"""A file is full with this part of the bytes, or of the time, that are kept."""
_MOST_SECONDS = 86_400.0
"""The same at most."""
_SPARE_BYTES = 128 << 10
"""What a transaction takes beside its rows: SQLite's journal, pages that are not full."""


class Store:
    """Opened at the first use; what fails is tried again at the next."""

    def __init__(self, directory: str, keep_seconds: float, most_bytes: int, run: Run) -> None:
        self._wanted = directory
        self._keep = keep_seconds
        self._most = most_bytes
        self._run = run
        self._directory = ""
        self._lock = -1
        self._file: SqliteFile | None = None
        """The one that is written."""
        self._path = ""
        """Of the one that is written."""
        self._reader: SqliteFile | None = None
        self._writing = Writing(keep_seconds, most_bytes)
        self._bad: set[str] = set()
        """Paths that are broken and cannot be renamed."""
        self._of: tuple[str, Who, dict[int, Track]] | None = None
        """The tracks of who was asked for last."""
        self.state = State()

    # -- the directory

    def open(self) -> None:
        """Take possession of the directory, and look at every file. Raises DiskFailed."""
        if self.state.opened:
            return
        with self._failing():
            self._take_directory()
            kept: list[Contents] = []
            hole = False
            for path in self._paths():
                found = self._look(path)
                if found is not None and kept and found.first <= kept[-1].last:
                    self._set_aside(path, "its rounds are not behind those of the file before")
                    continue
                hole = found is None
                kept += [found] if found is not None else []
            run = 1 + max((each.runs[-1].run for each in kept), default=0)
            self.state = self.state._replace(opened=True, run=run, files=tuple(kept), bytes=self._size(), hole=hole)

    def _take_directory(self) -> None:
        if self._lock >= 0:
            return
        with contextlib.suppress(FileExistsError, FileNotFoundError, OSError):
            os.mkdir(self._wanted, 0o700)
        try:
            directory = private_directory(self._wanted)
        except NotPrivate as error:
            raise DiskFailed(str(error)) from error
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            release(lock)
            raise DiskFailed(f"{directory} is in use by another agent") from error
        self._directory, self._lock = directory, lock

    def _paths(self) -> list[str]:
        names = sorted(name for name in os.listdir(self._directory) if _NAME.fullmatch(name))
        return [path for name in names if (path := os.path.join(self._directory, name)) not in self._bad]

    def _look(self, path: str) -> Contents | None:
        """What a file holds; None: nothing, or it was set aside."""
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
                raise Broken("it is no file of this agent's own")
            if os.path.lexists(f"{path}-journal") and os.lstat(f"{path}-journal").st_size:
                SqliteFile(path, write=True).close()  # takes back what a power cut left half written
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{path}-journal")  # it says nothing: SQLite would have emptied it
            file = SqliteFile(path)
            try:
                found = file.contents()
            finally:
                file.close()
            if found is None:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            return found
        except Broken as error:
            self._set_aside(path, str(error))
            return None

    def _set_aside(self, path: str, why: str) -> None:
        """Never look at a file again."""
        self._close_files()
        self._bad.add(path)
        files = tuple(each for each in self.state.files if each.path != path)
        gone = self.state.files[-1] if self.state.files and self.state.files[-1].path == path else None
        hole = self.state.hole or (gone is not None and any(part.run != self.state.run for part in gone.runs))
        self.state = self.state._replace(files=files, set_aside=self.state.set_aside + 1, hole=hole)
        try:
            for end in ("", "-journal"):
                if os.path.lexists(path + end):
                    os.rename(path + end, path + _ASIDE + end)
        except OSError as error:
            log.error("history: %s is not used: %s; it cannot be renamed: %s", path, why, error.strerror)
        else:
            log.error("history: %s is not used: %s; it is %s%s now", path, why, os.path.basename(path), _ASIDE)

    def _size(self) -> int:
        return sum(size for _, size in self._sizes())

    def _sizes(self) -> list[tuple[str, int]]:
        """Every file of the history that is in the directory."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.startswith("history-"):
                    with contextlib.suppress(OSError):
                        found.append((entry.path, entry.stat(follow_symlinks=False).st_size))
        return found

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Errors of the disk as DiskFailed; the file is opened anew next time."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            self._close_files()
            raise DiskFailed(_words(error, self._directory or self._wanted)) from error

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
        self.open()
        try:
            with self._failing():
                self._write(snapshot)
        except Broken as error:
            self._set_aside(self._path, str(error))
            raise Moved from error
        self.state = self.state._replace(bytes=self._size())

    def _write(self, snapshot: Snapshot) -> None:
        while True:
            state = self.state
            stored = state.last if state.files and state.files[-1].runs[-1].run == state.run else 0
            rows = self._writing.rows(snapshot, state.run, stored, state.last, state.hole)
            if rows is None:
                return
            file, contents = self._open_current()
            self._room(rows.size + _SPARE_BYTES)
            try:
                after = self._writing.append(file, contents, rows, self._run)
            except BaseException:
                self._writing.forget()
                raise
            files = self.state.files
            self.state = self.state._replace(files=(*(files[:-1] if contents.runs else files), after))
            self._full()
            self._age()

    def _open_current(self) -> tuple[SqliteFile, Contents]:
        """The file that is written; its contents have no runs where it is new."""
        files = self.state.files
        if self._file is None:
            new = not files or self._writing.full
            if not new:
                self._path = files[-1].path
            else:
                self._path = os.path.join(self._directory, f"history-{self._next_serial():08}.db")
            self._close_files()  # no other descriptor of the file may be closed while it is locked
            self._file = SqliteFile(self._path, write=True)
            self._writing.begin()
        if files and files[-1].path == self._path:
            return self._file, files[-1]
        return self._file, Contents(self._path, (), 0, 0)

    def _next_serial(self) -> int:
        names = [name for name in os.listdir(self._directory) if name.startswith("history-")]
        return 1 + max((int(name[8:16]) for name in names if is_number(name[8:16])), default=0)

    def _full(self) -> None:
        """Whether the next rounds go to a new file."""
        last = self.state.files[-1]
        most = min(_MOST_SECONDS, self._keep / _FILES)
        if os.stat(last.path).st_size >= self._most // _FILES or _seconds(last) >= most:
            self._close_files()
            self._writing.full = True

    def _age(self) -> None:
        """Forget the oldest file where the others alone have all the time that is kept. No wall clock is asked."""
        while len(self.state.files) > 1 and sum(map(_seconds, self.state.files[1:])) >= self._keep:
            self._drop_oldest()

    def _room(self, size: int) -> None:
        """Keep within the bytes: what was set aside goes first, then the oldest file."""
        while (sizes := self._sizes()) and sum(size for _, size in sizes) + size > self._most:
            aside = sorted(path for path, _ in sizes if _ASIDE in path)
            if aside:
                os.unlink(aside[0])
            elif len(self.state.files) > 1:
                self._drop_oldest()
            else:
                return

    def _drop_oldest(self) -> None:
        oldest = self.state.files[0]
        if self._reader is not None and self._reader.path == oldest.path:
            self._reader.close()
            self._reader = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(oldest.path)
        self.state = self.state._replace(files=self.state.files[1:])

    def end(self) -> None:
        """This run has ended in order; let go of everything. Raises DiskFailed."""
        files = self.state.files
        try:
            if files and files[-1].runs[-1].run == self.state.run:
                self._writing.full = False
                with self._failing():
                    file, _ = self._open_current()
                    ended = Run(self._run.name, self._run.boot, self._run.interval_seconds, files[-1].last)
                    file.append([(self.state.run, ended)], [], [])
        finally:
            self._close_files()
            if self._lock >= 0:
                release(self._lock)
                self._lock = -1

    # -- reading

    def fetch(self, after: int, until: int, most: int, who: Who | None, everything: bool) -> Fetched:
        """Rounds behind a key and up to another, in order: at most ``most`` rows of one file.

        ``who``: with this container; ``everything``: with all. Raises Moved, DiskFailed.
        """
        for contents in self.state.files:
            if contents.last <= after or contents.first > until:
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
            low, high = part.first, part.last
            while low < high:
                middle = (low + high + 1) // 2
                found = file.row_at(middle)
                if host_row(next(iter(found.rows())))[0].boottime_ns <= boottime_ns:
                    low = middle
                else:
                    high = found.first - 1
            return file.row_at(max(low, part.first)).first - 1

    @contextlib.contextmanager
    def _reading(self, contents: Contents) -> Iterator[SqliteFile]:
        try:
            with self._failing():
                yield self._opened(contents.path)
        except Broken as error:
            self._set_aside(contents.path, str(error))
            raise Moved from error

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
        self, file: SqliteFile, contents: Contents, rounds: Rounds, who: Who | None, everything: bool
    ) -> Segment:
        if who is None and not everything:
            return Segment(rounds, [], {})
        parts = file.parts(rounds.first)
        if who is not None:
            mine = self._tracks_of(file, contents, who)
            found = [(track, part) for key, track in mine.items() if (part := parts.get(key)) is not None]
            marks = {each.track: mine[each.track] for each in rounds.marked() if each.track in mine}
        else:
            found = [(file.track(part.track), part) for part in parts.all()]
            marks = {each.track: file.track(each.track) for each in rounds.marked()}
        return Segment(rounds, found, marks)

    def _tracks_of(self, file: SqliteFile, contents: Contents, who: Who) -> dict[int, Track]:
        path = f"{contents.path} {contents.tracks}"
        if self._of is None or self._of[:2] != (path, who):
            found = {key: track for key, track in file.mentioning(who[2]) if track.life[:3] == who}
            self._of = (path, who, found)
        return self._of[2]

    def find(self, wanted: str) -> Who | None:
        """The container with an id, a name or the beginning of an id; the latest where several fit. Raises Moved,
        DiskFailed."""
        best: tuple[int, bool, Who] | None = None
        for contents in reversed(self.state.files):
            with self._reading(contents) as file:
                for _, track in sorted(file.mentioning(wanted), key=lambda pair: -pair[0]):
                    life = track.life
                    fits = [life.id == wanted, track.subject.name == wanted, life.id.startswith(wanted)]
                    if True in fits:
                        rank = (3 - fits.index(True), not life.owner_uid, life[:3])
                        if best is None or rank[:2] > best[:2]:
                            best = rank
        return None if best is None else best[2]


def _seconds(contents: Contents) -> float:
    """The time that a file is about, without that in which the agent did not run."""
    return sum(
        max(0, each.last_boottime_ns - each.first_boottime_ns) / 1e9 + each.what.interval_seconds
        for each in contents.runs
    )  # fmt: skip


def _words(error: Exception, directory: str) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    number = getattr(error, "errno", None)
    if code == sqlite3.SQLITE_FULL or number == errno.ENOSPC:
        return f"{directory}: no space left on the disk"
    if code == sqlite3.SQLITE_READONLY or number == errno.EROFS:
        return f"{directory}: read-only"
    if isinstance(error, OSError):
        return f"{error.filename or directory}: {error.strerror}"
    return f"{directory}: {error}"
