"""One file of the history: an SQLite database that only grows, and is looked at closely before it is believed.

A minute of rounds is a row of ``rounds`` (the host, the marks) and one of ``parts`` (the containers). A file that is
full is never written again. Used in the disk's thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from . import sealed
from .disk_model import Contents, RunPart
from .pages import SIZE
from .sealed import VERSION, Broken, Parts, Rounds, Run, Track, run_of
from .steps import host_row

APPLICATION = 0x63677374
"""``cgst``, in SQLite's header."""
READ = (1, VERSION)
"""Versions that are read; a file of an earlier one is not written any more."""
_TABLES = {
    "parts": "CREATE TABLE parts(first INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "rounds": "CREATE TABLE rounds(first INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "runs": "CREATE TABLE runs(run INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "tracks": "CREATE TABLE tracks(track INTEGER PRIMARY KEY, data BLOB NOT NULL)",
}
_BROKEN = frozenset((sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT,
                     sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_FORMAT))  # fmt: skip
_MOST_BEGUN = 1000
"""Runs without rounds that are known of a file, the latest: an agent may be restarted every few seconds for days."""
_SETTINGS = ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "cache_size=-256", "temp_store=MEMORY")
_WRITER = ("locking_mode=EXCLUSIVE", "journal_mode=TRUNCATE", "synchronous=FULL")


def _run_part(run: int, what: Run, first: Rounds, last: Rounds) -> RunPart:
    """Raises Broken."""
    begin, end = host_row(next(iter(first.rows())))[0], host_row(list(last.rows())[-1])[0]
    if what.ended is not None and what.ended != last.last:
        raise Broken(f"the last rounds of run {run} are missing")
    return RunPart(run, what, first.first, last.last, begin.boottime_ns, end.boottime_ns, begin.time_ms, end.time_ms)


@contextlib.contextmanager
def corruption() -> Iterator[None]:
    """SQLite's own words for a broken file, as Broken. Others are left as they are: a disk that is full, say."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF not in _BROKEN:
            raise
        raise Broken(str(error)) from error  # without a code: Python could not make a value of what it found
    except (OverflowError, UnicodeError, MemoryError, TypeError) as error:
        raise Broken(repr(error)) from error


class SqliteFile:
    """An open file."""

    def __init__(self, path: str, *, write: bool = False) -> None:
        """``write``: it is made where it is not there, and no other process may open it. Raises Broken, sqlite3.Error,
        OSError."""
        self.path = path
        self.version = VERSION
        mode = "rwc" if write else "ro&immutable=1"
        self._connection = sqlite3.connect(
            f"file:{quote(path)}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=0.0
        )
        try:
            with corruption():
                for setting in (*_SETTINGS, *(_WRITER if write else ())):
                    self._all(f"PRAGMA {setting}")
                self._empty = not self._all("PRAGMA page_count")[0][0]
                if self._empty and write:
                    self._make()
                if write or not self._empty:
                    self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def _all(self, statement: str, *values: object) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def _make(self) -> None:
        self._all(f"PRAGMA page_size={SIZE}")
        self._all("BEGIN EXCLUSIVE")
        try:
            for statement in _TABLES.values():
                self._all(statement)
            self._all(f"PRAGMA application_id={APPLICATION}")
            self._all(f"PRAGMA user_version={VERSION}")
            self._all("COMMIT")
        except BaseException:
            self._back()
            raise
        self._empty = False

    def _back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._all("ROLLBACK")

    def _check(self) -> None:
        application, version = (self._all(f"PRAGMA {name}")[0][0] for name in ("application_id", "user_version"))
        if application != APPLICATION:
            raise Broken("it is of another program")
        self.version = version
        if version not in READ:
            raise Broken(f"it is of another version ({version}; this one writes {VERSION})")
        schema = {name: sql for name, sql in self._all("SELECT name, sql FROM sqlite_schema")}
        if schema != _TABLES:
            raise Broken("its tables are not those of a history")

    # -- reading

    def contents(self) -> Contents:
        """Everything but the containers' figures is looked at. Raises Broken, sqlite3.Error."""
        if self._empty:
            return Contents(self.path, (), 0, 0)
        with corruption():
            stored = self._all("SELECT run, data FROM runs ORDER BY run")
            runs = {run: sealed.open_run(run, data) for run, data in stored}
            tracks = self._count_tracks()
            ends, count = self._ends(runs)
            if self._all("SELECT count(*) FROM parts")[0][0] != count:
                raise Broken("rounds without containers")
        begun = tuple((run, what) for run, what in runs.items() if run not in ends)[-_MOST_BEGUN:]
        if not ends:
            return Contents(self.path, (), 0, 0, begun)
        parts = tuple(_run_part(run, runs[run], *each) for run, each in ends.items())
        if list(ends.values())[-1][1].tracks != tracks:
            raise Broken("a track is missing")
        return Contents(self.path, parts, next(iter(ends.values()))[0].before, tracks, begun)

    def _count_tracks(self) -> int:
        count = 0
        for key, data in self._connection.execute("SELECT track, data FROM tracks ORDER BY track"):
            count += 1
            sealed.open_track(key, data)
            if key != count:
                raise Broken(f"track {count} is missing")
        return count

    def _ends(self, runs: Mapping[int, Run]) -> tuple[dict[int, tuple[Rounds, Rounds]], int]:
        """The first and the last row of each run, and how many rows there are."""
        ends: dict[int, tuple[Rounds, Rounds]] = {}
        before, count = None, 0
        for first, data in self._connection.execute("SELECT first, data FROM rounds ORDER BY first"):
            found, run = sealed.open_rounds(first, data), run_of(first)
            if before is not None and found.before != before.last and not found.lost:
                raise Broken(f"rounds before {first:#x} are missing")
            if run not in runs:
                raise Broken(f"run {run} is missing")
            ends[run] = (ends[run][0] if run in ends else found, found)
            before, count = found, count + 1
        return ends, count

    def segments(self, after: int, until: int, most: int) -> list[Rounds]:
        """The first rows with rounds behind ``after`` and up to ``until``. Raises Broken, sqlite3.Error."""
        with corruption():
            begin = self._all("SELECT max(first) FROM rounds WHERE first <= ?", after + 1)[0][0] or 0
            rows = self._all(
                "SELECT first, data FROM rounds WHERE first >= ? AND first <= ? ORDER BY first LIMIT ?",
                begin, until, most + 1,
            )  # fmt: skip
        return [found for found in (sealed.open_rounds(*row) for row in rows) if found.last > after][:most]

    def row_at(self, key: int) -> Rounds:
        """The row that begins with a round, or the one before. Raises Broken, sqlite3.Error."""
        with corruption():
            rows = self._all("SELECT first, data FROM rounds WHERE first <= ? ORDER BY first DESC LIMIT 1", key)
        if not rows:
            raise Broken(f"no rounds at {key:#x}")
        return sealed.open_rounds(*rows[0])

    def parts(self, key: int) -> Parts:
        """The containers of a row. Raises Broken, sqlite3.Error."""
        with corruption():
            rows = self._all("SELECT data FROM parts WHERE first = ?", key)
        if not rows:
            raise Broken(f"no containers at {key:#x}")
        return Parts(key, rows[0][0])

    def track(self, key: int) -> Track:
        """What a track is. Raises Broken, sqlite3.Error."""
        with corruption():
            rows = self._all("SELECT data FROM tracks WHERE track = ?", key)
        if not rows:
            raise Broken(f"track {key} is missing")
        return sealed.open_track(key, rows[0][0])

    def mentioning(self, text: str) -> list[tuple[int, Track]]:
        """The tracks that have a text anywhere. Raises Broken, sqlite3.Error."""
        with corruption():
            rows = self._all("SELECT track, data FROM tracks WHERE instr(data, ?)", msgspec.json.encode(text)[1:-1])
        return [(key, sealed.open_track(key, data)) for key, data in rows]

    # -- writing

    def append(
        self,
        runs: Sequence[tuple[int, Run]],
        tracks: Sequence[tuple[int, Track]],
        segments: Sequence[tuple[Rounds, bytes]],
    ) -> None:
        """All of it, or nothing. Raises Broken, sqlite3.Error."""
        with corruption():
            self._all("BEGIN IMMEDIATE")
            try:
                many = self._connection.executemany
                many("REPLACE INTO runs VALUES(?, ?)", [(run, sealed.seal_run(run, what)) for run, what in runs])
                many("INSERT INTO tracks VALUES(?, ?)", [(key, sealed.seal_track(key, what)) for key, what in tracks])
                rows = [(each.first, sealed.seal_rounds(each)) for each, _ in segments]
                many("INSERT INTO rounds VALUES(?, ?)", rows)
                many("INSERT INTO parts VALUES(?, ?)", [(each.first, data) for each, data in segments])
                self._all("COMMIT")
            except BaseException:
                self._back()
                raise
