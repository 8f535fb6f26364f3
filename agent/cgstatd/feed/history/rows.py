"""Reads rounds of one database: in memory or of a file. Used in a thread that may wait for it."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ...sampling.history_model import ContainerSample, HostSample, Life, Subject
from ...sampling.lookup import Ambiguous
from .marks import Mark, mark_of
from .schema import BLOCK, COLUMNS, LIFE, ROUND, SUBJECT, Broken, Row, checked

Who = tuple[int, str, str]
"""Owner, runtime and id of a container."""
_MOST_FITS = 100
"""Of so many ids with the same beginning the latest is looked for; where there are more, a client has to say more."""
_KEYS = ("round", "before", "first", "last")
_HEAD = len(ROUND.split(", "))
_LIFE = 1 + len(LIFE.split(", "))
_SUBJECT = _LIFE + len(SUBJECT.split(", "))


class Workload(NamedTuple):
    """All lives of what stays the same when a container is made anew."""

    text: str


class Everyone(NamedTuple):
    """All containers."""


Wanted = Who | Workload | Everyone


class RoundRow(NamedTuple):
    """A round as it is stored, with a key in place of its number."""

    key: int
    run: int
    before: int | None
    """The key of the round that was taken before."""
    time_ms: int
    monotonic_ns: int
    boottime_ns: int
    gap: int
    complete: int
    samples: int | None
    """How many rows of its own it has, in a file."""
    host: HostSample


class LifeRow(NamedTuple):
    """A life of a container as it is stored, with keys in place of numbers."""

    id: int
    life: Life
    subject: Subject
    first: int | None
    """The first round that listed it; None: none has."""
    last: int | None
    """The last one; None: it goes on, or did when its run was killed."""


class Part(NamedTuple):
    """Some rounds of a database."""

    rounds: list[RoundRow]
    lives: list[LifeRow]
    """Those that were asked for and have a part in these rounds, in the order in which they began."""
    samples: list[tuple[Any, ...]]
    """Rows of these lives, by round: the key, the number of the life, the columns; some are of rounds before."""
    marks: dict[int, list[tuple[int, Mark]]]
    """life -> each with the key of the first round behind it, which may be still to come."""


class Source(NamedTuple):
    """A database, and what its numbers mean."""

    connection: sqlite3.Connection
    base: int = 0
    """The key of its round 0."""
    run: int | None = None
    """Of all of its rounds; None: each says its own, as in a file, whose rows have checksums."""
    ahead: int = 0
    """Rounds still to come whose marks count."""

    def select(self, table: str, where: str, values: Mapping[str, object]) -> list[Row]:
        """Rows with keys in place of numbers. Raises Broken, sqlite3.Error."""
        columns = {each: f"{table}.{each}" for each in COLUMNS[table].split(", ")}
        if self.run is None:
            return checked(
                self.connection.execute(f"SELECT {', '.join(columns.values())}, {table}.crc {where}", values)
            )
        keys = {each: f"{name} + {self.base}" for each, name in columns.items() if each in _KEYS}
        columns |= keys | ({"run": str(self.run)} if table == "rounds" else {})
        return self.connection.execute(f"SELECT {', '.join(columns.values())} {where}", values).fetchall()

    def rounds(self, first: int, last: int) -> list[RoundRow]:
        """From one key to another. Raises Broken, sqlite3.Error."""
        where = "FROM rounds WHERE round BETWEEN :first AND :last ORDER BY round"
        rows = self.select("rounds", where, {"first": first - self.base, "last": last - self.base})
        return [RoundRow._make((*row[:_HEAD], HostSample._make(row[_HEAD:]))) for row in rows]

    def lives(self, first: int, last: int, wanted: Wanted) -> list[LifeRow]:
        """Those that are asked for and have a part in these rounds, in the order in which they began. Raises Broken,
        sqlite3.Error."""
        which, values = _which(wanted)
        marked = "SELECT life FROM marks WHERE round BETWEEN :begin AND :marked"
        there = f"(first <= :end AND (until IS NULL OR until >= :begin) OR id IN ({marked})) AND {which}"
        values |= {"begin": first - self.base, "end": last - self.base, "marked": last - self.base + self.ahead}
        return [
            LifeRow(row[0], Life(*row[1:_LIFE]), Subject(*row[_LIFE:_SUBJECT]), *row[_SUBJECT : _SUBJECT + 2])
            for row in self.select("lives", f"FROM lives WHERE {there} ORDER BY id", values)
        ]

    def read(self, first: int, last: int, wanted: Wanted | None) -> Part:
        """The rounds from one key to another. ``wanted``: with these containers. Raises Broken, sqlite3.Error."""
        rounds = self.rounds(first, last)
        if wanted is None:
            return Part(rounds, [], [], {})
        lives = self.lives(first, last, wanted)
        values = {"first": (first - self.base) // BLOCK * BLOCK, "last": last - self.base}
        if isinstance(wanted, Everyone):
            where = "FROM samples WHERE round BETWEEN :first AND :last ORDER BY round, life"
            samples = self.select("samples", where, values)
            if self.run is None:
                count = Counter(row[0] for row in samples)
                if any(count[each.key] != each.samples for each in rounds):
                    raise Broken("figures are missing")
        else:
            where = """FROM rounds AS each CROSS JOIN samples ON samples.round = each.round AND life = :life
                WHERE each.round BETWEEN max(:first, :begun) AND :last"""
            listed = ({"life": each.id, "begun": each.first - self.base} for each in lives if each.first is not None)
            samples = [row for each in listed for row in self.select("samples", where, values | each)]
        which, more = _which(wanted)
        where = f"""FROM marks WHERE round BETWEEN :begin AND :marked
            AND life IN (SELECT id FROM lives WHERE {which}) ORDER BY marks.rowid"""
        marks = defaultdict[int, list[tuple[int, Mark]]](list)
        more |= {"begin": first - self.base, "marked": last - self.base + self.ahead}
        for key, life, *row in self.select("marks", where, more):
            marks[life].append((key, mark_of(row)))
        return Part(rounds, lives, samples, marks)

    def latest(self, first: int, last: int) -> dict[int, Row]:
        """life -> its latest row of these rounds, in memory. Raises sqlite3.Error."""
        columns = COLUMNS["samples"].removeprefix("round")
        statement = f"SELECT max(round) {columns} FROM samples WHERE round BETWEEN ? AND ? GROUP BY life"
        return {row[1]: row for row in self.connection.execute(statement, (first, last))}


def _which(wanted: Wanted) -> tuple[str, dict[str, object]]:
    """A condition for lives, and its values."""
    if isinstance(wanted, Everyone):
        return "true", {}
    if isinstance(wanted, Workload):
        return "workload = :workload", {"workload": wanted.text}
    columns = ("owner_uid", "runtime", "container")
    return " AND ".join(f"{name} = :{name}" for name in columns), dict(zip(columns, wanted, strict=True))


def sample_of(row: Row | None, each: RoundRow) -> ContainerSample | None:
    """What a life's latest row says of a round; None: the container could not be read, or what it would say is lost."""
    if row is None or row[2] is None or row[0] // BLOCK != each.key // BLOCK:
        return None
    values, monotonic_ns = row[2:], each.monotonic_ns
    clocks = (None if each is None else monotonic_ns + each for each in values[14:16])
    return ContainerSample._make((monotonic_ns + values[0], *values[1:14], *clocks, *values[16:]))


def samples_of(part: Part, last: dict[int, int]) -> Iterator[tuple[RoundRow, list[tuple[LifeRow, ContainerSample]]]]:
    """Each round with all that it has. ``last``: life -> the key of the last round that listed it."""
    rows, latest = iter([*part.samples, (1 << 64,)]), dict[int, tuple[Any, ...]]()
    row = next(rows)
    for each in part.rounds:
        while row[0] <= each.key:
            latest[row[1]] = row
            row = next(rows)
        found = []
        for life in part.lives:
            if life.first is not None and life.first <= each.key <= last[life.id]:
                sample = sample_of(latest.get(life.id), each)
                if sample is not None:
                    found.append((life, sample))
        yield each, found


class Fit(NamedTuple):
    """How well a container fits the word of a client; the larger the better."""

    how: int
    """3: its id, 2: its name, 1: the beginning of its id."""
    systems: bool
    who: Who


def best_fit(connection: sqlite3.Connection, wanted: str, first: int = 0) -> Fit | None:
    """The container with an id, a name or the beginning of an id, that has a part of a round from ``first`` on; the
    latest where several fit, the system's first. Raises Ambiguous, sqlite3.Error."""
    order = "owner_uid = 0 DESC, coalesce(until, 1 << 62) DESC, id DESC"
    named = "owner_uid = 0 DESC, until IS NULL DESC, id DESC"
    prefix = (wanted, f"{wanted}\U0010ffff")
    for how, which, values, by in (
        (3, "container = ?", (wanted,), order),
        (2, "name = ?", (wanted,), named),
        (1, "container >= ? AND container < ?", prefix, order),
    ):
        there = f"FROM lives WHERE {which} AND (until IS NULL OR until >= ?)"
        if how == 1:
            many = connection.execute(f"SELECT count(DISTINCT container) {there}", (*values, first)).fetchone()[0]
            if many > _MOST_FITS:
                raise Ambiguous(f"{wanted} is the beginning of the ids of {many} containers")
        statement = f"SELECT owner_uid, runtime, container {there} ORDER BY {by} LIMIT 1"
        for owner, runtime, container in connection.execute(statement, (*values, first)):
            return Fit(how, not owner, (owner, runtime, container))
    return None
