"""The tables of the history, the same in memory and in a file, and the connections to them.

A row of ``samples`` holds from its round on until the next row of the same life: what does not change takes no row.
With each ``BLOCK`` rounds every life that goes on has a row again, so nothing is looked for further back than that. A
row without ``after_nsec`` says that the container could not be read. Clocks of a container are nanoseconds after those
of its round. ``rounds.before`` is the round that was taken before: where that is not there, rounds are lost.
``lives.first`` and ``last`` are the rounds that listed it; ``until`` is the last that has any part of it, NULL while it
goes on; ``changed`` is the round as of which the row says what it says. Rounds are numbered over all runs of the agent:
``runs.base`` is the first of a run. In a file each row has a checksum, and ``rounds.samples`` is how many rows of
``samples`` its round has: a bit that flipped never comes to be a figure.

    sqlite3 history-00000001.db "SELECT * FROM figures WHERE name = 'web' ORDER BY round DESC LIMIT 10"
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from ...sampling.history_model import ContainerSample, HostSample

Row = tuple[Any, ...]
BLOCK = 30
VERSION = 3
"""``user_version`` of a file. What 1 and 2 stored was packed."""
APPLICATION = 0x63677374
"""``cgst``, in SQLite's header."""
PAGE_BYTES = 4096
MOST = (1 << 63) - 1
"""The largest number that SQLite stores. No counter gets there."""
_CLOCKS = {"monotonic_ns": "after_nsec", "network_ns": "network_after_nsec", "block_ns": "block_after_nsec"}
SAMPLE = ", ".join(_CLOCKS.get(name, name) for name in ContainerSample._fields)
HOST = ", ".join(HostSample._fields)
LIFE = "owner_uid, runtime, container, inode"
SUBJECT = "name, image, project, workload"
MARK = "event, time_ms, kills, exit_code, oom_killed, signal, restarting"
WAIT = "resource, cause, seconds, limited_by, throttled_percent"
RUN = "run, name, boot, interval_seconds, base, ended"
ROUND = "round, run, before, time_ms, monotonic_nsec, boottime_nsec, gap, complete, samples"
COLUMNS = {
    "runs": RUN,
    "rounds": f"{ROUND}, {HOST}",
    "lives": f"id, {LIFE}, {SUBJECT}, first, last, until, changed",
    "samples": f"round, life, {SAMPLE}",
    "marks": f"round, life, {MARK}, {WAIT}, health",
}
_TEXT = {*SUBJECT.split(", "), "boot", "runtime", "container", "event", "resource", "cause", "limited_by", "health"}
_REAL = {"interval_seconds", "seconds", "throttled_percent"}


class Broken(Exception):
    """A file does not hold what was written to it, or is of another program or version."""


def _table(name: str, key: str, options: str = "") -> str:
    columns = COLUMNS[name].split(", ")
    kinds = {each: "TEXT" if each in _TEXT else "REAL" if each in _REAL else "INTEGER" for each in columns}
    typed = ", ".join(f"{each} {kind}{' PRIMARY KEY' * (each == key)}" for each, kind in kinds.items())
    return f"CREATE TABLE {name}({typed}, crc INTEGER{options}"


SCHEMA = (
    _table("runs", "run", ")"),
    _table("rounds", "round", ")"),
    _table("lives", "id", ")"),
    _table("marks", "", ")"),
    _table("samples", "", ", PRIMARY KEY(round, life)) WITHOUT ROWID"),
    "CREATE INDEX lives_container ON lives(container)",
    "CREATE INDEX lives_name ON lives(name)",
    "CREATE INDEX lives_workload ON lives(workload)",
    "CREATE INDEX lives_until ON lives(until) WHERE until IS NOT NULL",
    "CREATE INDEX marks_round ON marks(round)",
    "CREATE VIEW figures AS SELECT datetime(time_ms / 1000, 'unixepoch') AS time, name, container, samples.* "
    "FROM samples JOIN rounds USING (round) JOIN lives ON lives.id = samples.life",
)


def insert(table: str, word: str = "INSERT", *, crc: bool = False) -> str:
    """The statement that adds a whole row. ``crc``: with its checksum."""
    columns = f"{COLUMNS[table]}, crc" if crc else COLUMNS[table]
    return f"{word} INTO {table}({columns}) VALUES({', '.join('?' * len(columns.split(', ')))})"


def sealed(row: Row) -> Row:
    """A row as a file has it."""
    return (*row, zlib.crc32(repr(tuple(row)).encode()))


def checked(rows: Iterable[Row]) -> list[Row]:
    """Rows of a file that are what was written, without their checksums. Raises Broken."""
    found = []
    for row in rows:
        found.append(row[:-1])
        if sealed(found[-1]) != row:
            raise Broken("a checksum is wrong")
    return found


def make(connection: sqlite3.Connection) -> None:
    """The tables, in a database that has none."""
    connection.execute("BEGIN")
    for statement in (*SCHEMA, f"PRAGMA application_id={APPLICATION}", f"PRAGMA user_version={VERSION}"):
        connection.execute(statement)
    connection.execute("COMMIT")


class Connection(sqlite3.Connection):
    """A connection that is closed when nothing has it any more: readers come and go with what they read."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # its directory is gone, say
            self.close()


def in_memory(name: str) -> sqlite3.Connection:
    """A connection to the database of a name, which is there as long as one connection is. A reader neither waits for
    the writer nor holds it up: it reads rounds that are whole, and nothing changes those."""
    uri = f"file:cgstatd-{quote(name)}?mode=memory&cache=shared"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection)
    connection.execute("PRAGMA read_uncommitted=ON")
    return connection
