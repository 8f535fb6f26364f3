"""The rounds of the last hour: SQLite in memory, within a number of rounds and a number of bytes.

Containers are input: a user may start and end thousands within the hour. Beyond the bytes the owner with the most gives
way first, with its dead before its living. A round of which anything was dropped so says that it is not complete.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from ...sampling.history_model import ContainerSample, Life, Subject, Taken
from ...sampling.pressure.found import Found
from ...sampling.round import Changes
from .marks import RUNS, Mark, happened, stored
from .schema import BLOCK, MOST, PAGE_BYTES, Row, in_memory, insert, make
from .steps import RoundTimes
from .waits import FOREVER_NS, Waits

BUDGET_BYTES = 32 << 20
"""An hour of 100 containers that work takes 4 MB of it."""
_PAGE_BYTES = PAGE_BYTES + 320
"""With what SQLite takes beside each."""
_ROW_BYTES, _LIFE_BYTES, _MARK_BYTES = 110, 600, 120
"""What owners are compared by."""
MOST_DEAD = 6_000
"""Lives that have ended: seven megabytes of short ones, which a user can start by the thousand."""
_DEAD_AT_ONCE = 50
_NOT_READ = (None,) * len(ContainerSample._fields)


class Living:
    """What is known of a life that goes on, or whose end is not told yet."""

    __slots__ = (
        "born",
        "first",
        "health",
        "id",
        "last",
        "life",
        "mark_ms",
        "over",
        "sample",
        "subject",
        "until",
        "written",
    )

    def __init__(self, key: int, life: Life, subject: Subject, born: int) -> None:
        self.id, self.life, self.subject = key, life, subject
        self.born = born
        """The first round that has any part of it."""
        self.first = self.last = self.written = -1
        """The rounds that listed it, the latest with a row; below 0: there is none."""
        self.until: int | None = None
        """The last round that has any part of it, of one that has ended."""
        self.over = False
        """Whether the latest mark is its end."""
        self.health: str | None = None
        """What its check said last; None: that is not known."""
        self.mark_ms = 0
        """Of its latest mark."""
        self.sample: ContainerSample | None = None
        """Of the latest round that listed it; None: it could not be read."""


class Memory:
    """Written in the event loop; any thread may read it with a connection of its own."""

    def __init__(
        self, rounds: int, interval_seconds: float, budget: int = BUDGET_BYTES, name: str = "", boot: str = ""
    ) -> None:
        """``rounds``: points of the grid that are kept; ``name``: of this run of the agent, in cursors; ``boot``: the
        kernel's id of this boot, empty where it is not known."""
        self.name = name or secrets.token_hex(4)
        self.boot = boot
        self.interval_seconds = interval_seconds
        self.rounds = rounds
        self.budget = budget
        self.began_ns: int | None = None
        """Monotonic clock of the grid's point 0."""
        self.last = -1
        """The number of the latest round; -1: there was none."""
        self.incomplete = -1
        """Up to this round some figures were dropped to save memory."""
        self._database = f"{self.name}-{secrets.token_hex(4)}"
        self._connection = self.reader()
        make(self._connection)
        self._living: dict[Life, Living] = {}
        self._short: dict[Life, Living] = {}
        """Those of the living that no round has listed yet, with the round behind their first mark."""
        self._unexplained: dict[Life, Living] = {}
        """Those of the dead whose end is not told yet."""
        self._owned = defaultdict[int, int](int)
        """Bytes by owner, about."""
        self._dead = Counter[int]()
        """Lives that have ended, by owner."""
        self._begun = 0
        self._monotonic_ns = 0
        """Of the latest round."""
        self._waits = Waits()

    def reader(self) -> sqlite3.Connection:
        """Another connection, for one thread at a time."""
        return in_memory(self._database)

    @property
    def first(self) -> int:
        """The oldest round that a client may still ask for."""
        return max(0, self.last - self.rounds + 1)

    @property
    def living(self) -> Collection[Life]:
        """The lives that go on, as far as is known."""
        return self._living.keys()

    @property
    def used(self) -> int:
        """Bytes."""
        pages, free = (self._one(f"PRAGMA {name}") for name in ("page_count", "freelist_count"))
        return (pages - free) * _PAGE_BYTES

    def row(self, number: int, connection: sqlite3.Connection | None = None) -> RoundTimes | None:
        """The first round from a number on. ``connection``: of the thread that asks; None: of the event loop."""
        statement = f"SELECT {', '.join(RoundTimes._fields)} FROM rounds WHERE round >= ? ORDER BY round LIMIT 1"
        found = (connection or self._connection).execute(statement, (number,)).fetchone()
        return None if found is None else RoundTimes(*found)

    def _all(self, statement: str, *values: object) -> list[tuple[int, ...]]:
        return self._connection.execute(statement, values).fetchall()

    def _one(self, statement: str, *values: object) -> int:
        found = self._connection.execute(statement, values).fetchone()
        return found[0] if found else 0

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # -- rounds

    def add(self, number: int, taken: Taken, gap: int) -> None:
        """A round; ``gap``: why there was none at the points of the grid before (:class:`~.gaps.Gap`)."""
        self._note(self._waits.expired(taken.monotonic_ns))
        with self._transaction():
            self._place_marks(number)
            self._insert("samples", self._rows(number, taken))
            for life in (*taken.gone, *(life for life, each in self._short.items() if each.born < number)):
                self._bury(life, number)
            before = self.last if self.last >= 0 else None
            row = (
                number,
                0,
                before,
                taken.time_ms,
                taken.monotonic_ns,
                taken.boottime_ns,
                int(gap),
                1,
                None,
                *taken.host,
            )
            self._insert("rounds", [row])
            self._age(number - self.rounds + 1)
        self.last, self._monotonic_ns = number, taken.monotonic_ns
        self._shrink()

    def _rows(self, number: int, taken: Taken) -> list[Row]:
        """What is new: of each life that differs from its last row in more than the clocks, and of all now and then."""
        rows: list[Row] = []
        before, all_of_them = self.last, number // BLOCK != self.last // BLOCK
        samples, living, owned = taken.samples, self._living, self._owned
        for life, subject in taken.listed.items():
            each = living.get(life) or self._begin(life, subject, number, number)
            if each.first < 0:
                self._short.pop(life, None)
                each.first = number
                self._change(each, number, first=number)
            if each.subject is not subject:
                each.subject = subject
                self._change(each, number, **subject._asdict())
            sample, old, written = samples.get(life), each.sample, each.written
            if sample is None or old is None:
                changed = sample is not old
            else:
                changed = sample[1:14] != old[1:14] or sample[16:] != old[16:]
            if changed and 0 <= written < before:
                rows.append(_row(before, each, self._monotonic_ns))  # as it was last: what changed, changed since then
                owned[life.owner_uid] += _ROW_BYTES
            each.sample, each.last = sample, number
            if changed or all_of_them or written < 0:
                each.written = number
                rows.append(_row(number, each, taken.monotonic_ns))
                owned[life.owner_uid] += _ROW_BYTES
        return rows

    def _begin(self, life: Life, subject: Subject, born: int, first: int = -1) -> Living:
        self._begun += 1
        each = self._living[life] = Living(self._begun, life, subject, born)
        each.first = first
        listed = first if first >= 0 else None
        self._insert("lives", [(each.id, *life[:3], life.inode & MOST, *subject, listed, None, None, born)])
        self._owned[life.owner_uid] += _LIFE_BYTES
        return each

    def _change(self, each: Living, number: int, **columns: int | str | None) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        self._all(f"UPDATE lives SET {names}, changed = ? WHERE id = ?", *columns.values(), number, each.id)

    def _bury(self, life: Life, number: int) -> None:
        self._short.pop(life, None)
        each = self._living.pop(life, None)
        if each is None:
            return
        if each.written < each.last:
            self._insert("samples", [_row(each.last, each, self._monotonic_ns)])
            self._owned[life.owner_uid] += _ROW_BYTES
        each.until = number
        self._dead[life.owner_uid] += 1
        self._change(each, number, last=each.last if each.first >= 0 else None, until=number)
        if not each.over:
            self._unexplained[life] = each

    def _insert(self, table: str, rows: list[Row]) -> None:
        try:
            self._connection.executemany(insert(table), rows)
        except OverflowError:  # what no kernel counts to is not known
            known = [[None if isinstance(each, int) and abs(each) > MOST else each for each in row] for row in rows]
            self._connection.executemany(insert(table, "REPLACE"), known)

    # -- what happens between them

    def hear(self, found: Changes, now_ms: int) -> None:
        """What happened, whether or not a round sees the lives; ``now_ms``: milliseconds since the epoch."""
        for life, subject, mark in happened(found, now_ms):
            each = self._living.get(life) or self._unexplained.get(life)
            if each is None:
                each = self._short[life] = self._begin(life, subject, self.last + 1)
            self._mark(each, mark)
            if mark.event in RUNS:
                each.over = mark.event == "exit"
            if each.over:
                self._unexplained.pop(life, None)
                if each.first < 0:
                    self._bury(life, self.last + 1)
        self._shrink()

    def looked(self, found: Found) -> None:
        """What waits, and why."""
        self._note(self._waits.looked(found))

    def checked(self, found: Iterable[tuple[Life, str]], now_ms: int) -> None:
        """What the health checks of containers say now; a change is a mark."""
        for life, health in found:
            each = self._living.get(life)
            if each is not None and each.health != health:
                if each.health is not None:
                    self._mark(each, Mark("health", now_ms, health=health))
                each.health = health

    def _note(self, marks: Iterable[tuple[Life, Mark]]) -> None:
        """Of lives that go on; of others nothing more is kept."""
        for life, mark in marks:
            if (each := self._living.get(life)) is not None:
                self._mark(each, mark)

    def _mark(self, each: Living, mark: Mark) -> None:
        number = self.last + 1
        each.mark_ms = max(each.mark_ms, mark.time_ms)
        self._insert("marks", [(number, each.id, *stored(mark._replace(time_ms=each.mark_ms)))])
        self._owned[each.life.owner_uid] += _MARK_BYTES
        if each.until is not None:
            each.until = number
            self._change(each, number, until=number)

    def settle(self) -> None:
        """No round will follow: what has happened since the last one goes with it, and no wait is seen any longer."""
        self._note(self._waits.expired(FOREVER_NS))
        if self.last >= 0:
            self._place_marks(self.last)

    def _place_marks(self, number: int) -> None:
        """Those since the round before are told by this one, whichever points of the grid had none."""
        expected = self.last + 1
        if number != expected:
            self._all("UPDATE marks SET round = ? WHERE round = ?", number, expected)
            self._all("UPDATE lives SET until = ?, changed = ? WHERE until = ?", number, number, expected)
            for each in (*self._short.values(), *self._unexplained.values()):
                each.born = number if each.born == expected else each.born
                each.until = number if each.until == expected else each.until

    # -- what is kept

    def _age(self, oldest: int) -> None:
        """Forget rounds that are too old, as soon as no later one needs what they say; few at a time, and so more than
        come."""
        oldest -= oldest % BLOCK
        old = self._all("SELECT round FROM rounds WHERE round < ? ORDER BY round LIMIT 2", oldest)
        if old:
            last = old[-1][0]
            for table in ("samples", "marks", "rounds"):
                self._delete(table, "round <= ?", last)
            if self._delete("lives", "until <= ?", last):
                left = "SELECT owner_uid, count(*) FROM lives WHERE until IS NOT NULL GROUP BY 1"
                self._dead = Counter(dict(self._connection.execute(left)))
            self._unexplained = {life: each for life, each in self._unexplained.items() if (each.until or 0) > last}

    def _delete(self, table: str, where: str, *values: object) -> int:
        """How many rows it was."""
        weight = {"samples": _ROW_BYTES, "marks": _MARK_BYTES, "lives": _LIFE_BYTES}.get(table, 0)
        owners = [(next(iter(self._owned), 0), 0)]
        if weight and len(self._owned) > 1:
            joined = table if table == "lives" else f"{table} JOIN lives ON lives.id = life"
            owners = self._connection.execute(
                f"SELECT owner_uid, count(*) FROM {joined} WHERE {where} GROUP BY 1", values
            ).fetchall()
        gone = self._connection.execute(f"DELETE FROM {table} WHERE {where}", values).rowcount
        for owner, count in owners:
            self._owned[owner] -= weight * (count or gone)
            if self._owned[owner] <= 0:
                del self._owned[owner]
        return gone

    def _shrink(self) -> None:
        """Back within the bounds: the owner with the most gives way."""
        while self._dead.total() > MOST_DEAD and self._dropped(self._dead, self._drop_dead):
            pass
        while self.used > self.budget and self._dropped(
            self._owned, lambda owner: self._drop_dead(owner) or self._drop_round(owner)
        ):
            pass

    def _dropped(self, by_owner: Mapping[int, int], drop: Callable[[int], bool]) -> bool:
        """Whether there was anything that could go, of the owner with the most."""
        if not by_owner:
            return False
        with self._transaction():
            found = drop(max(by_owner, key=lambda uid: by_owner[uid]))
            self._all("UPDATE rounds SET complete = 0 WHERE round <= ? AND complete", self.incomplete)
        return found

    def _drop_dead(self, owner: int) -> bool:
        """Forget what ended first of an owner's."""
        ended = "SELECT id, until FROM lives WHERE until IS NOT NULL AND owner_uid = ? ORDER BY until, id LIMIT ?"
        dead = self._all(ended, owner, _DEAD_AT_ONCE)
        for key, until in dead:
            rounds = "SELECT round FROM rounds JOIN lives ON round BETWEEN first AND last WHERE id = ?"
            self._delete("samples", f"life = ? AND round IN ({rounds})", key, key)
            self._delete("marks", "life = ?", key)
            self._delete("lives", "id = ?", key)
            self.incomplete = max(self.incomplete, until)
        self._dead[owner] -= len(dead)
        gone = {key for key, _ in dead}
        self._unexplained = {life: each for life, each in self._unexplained.items() if each.id not in gone}
        return bool(dead)

    def _drop_round(self, owner: int) -> bool:
        """Forget the figures of an owner's living in the oldest round that has some, but not in the latest rounds."""
        its = "life IN (SELECT id FROM lives WHERE owner_uid = ?)" if len(self._owned) > 1 else "? IS NOT NULL"
        oldest = self._all(f"SELECT round FROM samples WHERE {its} ORDER BY round LIMIT 1", owner)
        if not oldest or oldest[0][0] // BLOCK == self.last // BLOCK:
            return False
        self._delete("samples", f"round = ? AND {its}", oldest[0][0], owner)
        self.incomplete = max(self.incomplete, oldest[0][0] // BLOCK * BLOCK + BLOCK - 1)
        return True


def _row(number: int, each: Living, clock_ns: int) -> Row:
    """The latest sample of a life as a row of a round, which was at ``clock_ns``."""
    sample = each.sample
    if sample is None:
        return (number, each.id, *_NOT_READ)
    network, block = sample.network_ns, sample.block_ns
    return (
        number, each.id, sample.monotonic_ns - clock_ns, *sample[1:14],
        None if network is None else network - clock_ns, None if block is None else block - clock_ns, *sample[16:],
    )  # fmt: skip
