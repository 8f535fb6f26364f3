"""One file of the history: opened, looked at before it is believed, and what can be had of one that is broken.

Used in the disk's thread.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from .disk_model import Contents, Run, RunPart
from .rows import Source
from .schema import (
    APPLICATION,
    BLOCK,
    COLUMNS,
    PAGE_BYTES,
    SCHEMA,
    VERSION,
    Broken,
    Connection,
    Row,
    insert,
    make,
    sealed,
)

_SETTINGS = ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "cache_size=-256", "temp_store=MEMORY")
_WRITER = (f"page_size={PAGE_BYTES}", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0")
_BROKEN = frozenset((sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT,
                     sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_FORMAT))  # fmt: skip
MOST_RUNS = 1000
"""That a file knows, the latest: an agent may be restarted every few seconds for days."""


@contextlib.contextmanager
def corruption() -> Iterator[None]:
    """SQLite's own words for a broken file, as Broken. Others are left as they are: a disk that is full, say."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF not in _BROKEN:
            raise
        raise Broken(str(error)) from error  # without a code: Python could not make a value of what it found


def opened(path: str, *, write: bool = False) -> sqlite3.Connection:
    """A connection to a file. ``write``: it is made where it is not there; else nothing may write it meanwhile. Raises
    Broken, sqlite3.Error."""
    mode = "rwc" if write else "ro&immutable=1"
    uri = f"file:{quote(path)}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=0.0, factory=Connection
    )
    try:
        with corruption():
            new = write and not _pragma(connection, "page_count")
            for setting in (*_SETTINGS, *(_WRITER if write else ())):
                connection.execute(f"PRAGMA {setting}").fetchall()
            if new:
                make(connection)
            _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def recovered(path: str) -> None:
    """Take over what a kill or a power cut left in the log, where there is one. It takes no room on the disk. Raises
    Broken, sqlite3.Error."""
    if os.path.lexists(f"{path}-wal"):
        with corruption(), contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    found: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return found


def _check(connection: sqlite3.Connection) -> None:
    if _pragma(connection, "application_id") != APPLICATION:
        raise Broken("it is of another program")
    version = _pragma(connection, "user_version")
    if version < VERSION:
        raise Broken("an earlier version of cgstatd wrote it, whose history this one does not take over")
    if version > VERSION:
        raise Broken(f"it is of another version ({version}; this one writes {VERSION})")
    statements = connection.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL")
    if sorted(sql for (sql,) in statements) != sorted(SCHEMA):
        raise Broken("its tables are not those of a history")


def check_pages(connection: sqlite3.Connection) -> None:
    """Look at every page. Raises Broken, sqlite3.Error."""
    with corruption():
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise Broken(said.replace("\n", " "))


def contents(connection: sqlite3.Connection, path: str) -> Contents:
    """What a file holds. Raises Broken, sqlite3.Error."""
    source, parts = Source(connection), []
    with corruption():
        latest = "run IN (SELECT run FROM rounds) OR run > (SELECT max(run) FROM runs) - :most"
        rows = source.select("runs", f"FROM runs WHERE {latest} ORDER BY run", {"most": MOST_RUNS})
        runs = {row[0]: Run(*row) for row in rows}
        found = connection.execute("SELECT run, min(round), max(round) FROM rounds GROUP BY run ORDER BY 2").fetchall()
        for run, first, last in found:
            begin, end = source.rounds(first, first)[0], source.rounds(last, last)[0]
            if run not in runs or first < runs[run].base:
                raise Broken(f"run {run} is missing")
            times = begin.boottime_ns, end.boottime_ns, begin.time_ms, end.time_ms
            parts.append(RunPart(runs[run], first, last, *times))
        lives = connection.execute("SELECT max(id) FROM lives").fetchone()[0] or 0
    return Contents(path, tuple(parts), tuple(runs.values()), lives)


def append(connection: sqlite3.Connection, rows: Mapping[str, Iterable[Row]], word: str = "REPLACE") -> None:
    """Rows by their tables: all of them, or none. Raises Broken, sqlite3.Error."""
    with corruption():
        connection.execute("BEGIN")
        try:
            for table, each in rows.items():
                connection.executemany(insert(table, word, crc=True), map(sealed, each))
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def salvage(path: str, new: str, known: Iterable[Run]) -> bool:
    """Write what can still be read of a broken file to a new one. A bad page of figures costs the block of rounds that
    it is of. ``known``: runs that other files name too. Whether there was anything. Raises Broken, sqlite3.Error."""
    with contextlib.closing(opened(path)) as old, contextlib.closing(opened(new, write=True)) as file:
        runs, _ = _readable(old, "runs", "run", 0, 1 << 40)
        lives, whole_lives = _in_blocks(old, "lives", "id")
        marks, whole_marks = _in_blocks(old, "marks", "rowid")
        whole = whole_lives and whole_marks
        append(file, {"runs": [*known, *runs], "lives": lives, "marks": marks})
        ends = [*_ends(old, "rounds", "round"), *_ends(old, "samples", "round")]
        for first in range(min(ends, default=0) // BLOCK * BLOCK, max(ends, default=-1) + 1, BLOCK):
            rounds, _ = _readable(old, "rounds", "round", first, first + BLOCK)
            samples, right = _readable(old, "samples", "round", first, first + BLOCK)
            if not right or Counter(row[0] for row in samples) != Counter({row[0]: row[8] for row in rounds}):
                samples, right = [], False
                rounds = [(*row[:8], 0, *row[9:]) for row in rounds]
            whole_rounds = [(*row[:7], int(row[7] and whole and right), *row[8:]) for row in rounds]
            append(file, {"rounds": whole_rounds, "samples": samples})
        return bool(file.execute("SELECT count(*) FROM rounds").fetchone()[0])


def _ends(connection: sqlite3.Connection, table: str, key: str) -> list[int]:
    """The first and the last key, as far as either can be read."""
    found = []
    for word in ("min", "max"):
        with contextlib.suppress(Broken), corruption():
            found += connection.execute(f"SELECT coalesce({word}({key}), 0) FROM {table}").fetchone()
    return [each for each in found if isinstance(each, int)]


def _in_blocks(connection: sqlite3.Connection, table: str, key: str) -> tuple[list[Row], bool]:
    ends, rows = _ends(connection, table, key), list[Row]()
    whole = len(ends) == len(("first", "last"))
    for first in range(min(ends, default=0), max(ends, default=-1) + 1, BLOCK):
        some, right = _readable(connection, table, key, first, first + BLOCK)
        rows, whole = rows + some, whole and right
    return rows, whole


def _readable(connection: sqlite3.Connection, table: str, key: str, first: int, end: int) -> tuple[list[Row], bool]:
    """Rows from one key to before another that are as they were written, and whether all could be read."""
    rows, whole = list[Row](), True
    with contextlib.suppress(Broken), corruption():
        statement = f"SELECT {COLUMNS[table]}, crc FROM {table} WHERE {key} >= ? AND {key} < ?"
        for *row, crc in connection.execute(statement, (first, end)):
            if sealed(tuple(row))[-1] == crc:
                rows.append(tuple(row))
            else:
                whole = False
        return rows, whole
    return rows, False
