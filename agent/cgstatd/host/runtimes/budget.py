"""How many bytes are kept of users' and runtimes' files, and how many are read: one budget for all owners.

It counts the bytes of the objects that are kept, not of the files they came from. A shelf is what is kept of one
owner's files. When it is full, files that are gone leave it, then those that no reader asked for lately. When users
together have too much, the user with the most gives way, so that a greedy user costs no other one a name.
"""

from __future__ import annotations

import enum
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakValueDictionary

from ...basics.file_look import Version
from .labels import Wanted


class Share(NamedTuple):
    """What one owner may have: ``kept`` bytes, and ``burst`` bytes read at once that come back at ``rate`` a second."""

    kept: int
    burst: int
    rate: int


SYSTEM = Share(24 << 20, 128 << 20, 16 << 20)
"""Some 8,000 containers with ten labels each; a database of 64 MiB is read twice at once."""
USER = Share(4 << 20, 16 << 20, 1 << 20)
"""Some 1,500 containers. Parsing a million bytes takes some 7 ms, a file that changes costs its size each time."""
USERS_BYTES = 12 << 20
"""What is kept of all unprivileged users together."""
UNLIMITED = Share(1 << 62, 1 << 62, 1 << 62)
ENTRY_BYTES = 1024
"""Bytes for a file that is kept, beside what was made of it: its paths, its version, its place."""
READ_BYTES = 4096
"""The cost of opening a file, as bytes that are read."""
_IDLE_NS = 6_000_000_000
"""Containers that run are asked for each four seconds."""
_SWEEP_NS = 10_000_000_000
_SHORT_NS = 1_000_000_000
"""The least time between two looks for files that are gone: the usual one, and the one when there is no room."""


@dataclass(slots=True)
class Kept:
    """One file."""

    real: str
    version: Version
    value: object
    again_ns: int
    """CLOCK_MONOTONIC when to read it again though it looks the same; 0: never."""
    round: int
    """Which labels were wanted when it was parsed: Budget.round."""
    size: int
    asked_ns: int


class Shelf:
    """What is kept of one owner's files; first those that no reader asked for longest."""

    def __init__(self, budget: Budget, share: Share, uid: int = 0) -> None:
        self.bytes = 0
        self.share = share
        self.uid = uid
        self._budget = budget
        self._lock = budget.lock
        self._files: OrderedDict[str, Kept] = OrderedDict()
        self._allowed = float(share.burst)
        self._counted_ns = 0
        self._swept_ns: int | None = None

    def get(self, path: str, now_ns: int) -> Kept | None:
        """The file, if it is kept. It counts as asked for now."""
        with self._lock:
            kept = self._files.get(path)
            if kept is not None:
                kept.asked_ns = now_ns
                self._files.move_to_end(path)
            return kept

    def drop(self, path: str) -> None:
        """Give its bytes back."""
        with self._lock:
            if (kept := self._files.pop(path, None)) is not None:
                self._count(-kept.size)

    def put(self, path: str, kept: Kept) -> bool:
        """Keep it in place of the version before, if there is room. Files that were not asked for lately make room."""
        with self._lock:
            self.drop(path)
            if not self._budget.room(self, kept.size, kept.asked_ns):
                return False
            self._files[path] = kept
            self._count(kept.size)
            return True

    def _count(self, size: int) -> None:
        self.bytes += size
        self._budget.count(self)

    def wait_ns(self, size: int, now_ns: int) -> int:
        """0: so many bytes may be read now, and count as read; else how many nanoseconds until they may."""
        with self._lock:
            elapsed = max(0, now_ns - self._counted_ns)
            self._allowed = min(self.share.burst, self._allowed + elapsed * self.share.rate / 1e9)
            self._counted_ns = now_ns
            if self._allowed >= min(size, self.share.burst):
                self._allowed -= size
                return 0
            return int((min(size, self.share.burst) - self._allowed) * 1e9 / self.share.rate) + _SHORT_NS

    def sweep(self, now_ns: int, gone: Callable[[Kept], bool], short: bool = False) -> None:
        """Drop the files that are gone: each ten seconds of those that no reader asked for lately, if ``short`` of room
        of all. ``gone`` looks at the file, which may hang: nothing is locked meanwhile."""
        with self._lock:
            if self._swept_ns is not None and now_ns - self._swept_ns < (_SHORT_NS if short else _SWEEP_NS):
                return
            first, self._swept_ns = self._swept_ns is None, now_ns
            if first and not short:
                return
            idle = [(path, each) for path, each in self._files.items() if short or now_ns - each.asked_ns > _IDLE_NS]
        for path, each in idle:
            if gone(each):
                with self._lock:
                    if self._files.get(path) is each:  # else it was read anew meanwhile
                        self.drop(path)

    def give_way(self, now_ns: int | None = None) -> bool:
        """Drop the file that no reader asked for longest; with ``now_ns`` only if it was not asked for lately."""
        with self._lock:
            if not self._files:
                return False
            path, oldest = next(iter(self._files.items()))
            if now_ns is not None and now_ns - oldest.asked_ns <= _IDLE_NS:
                return False
            self.drop(path)
            return True


class Budget:
    """All shelves of one host. Any thread may use them: one that was left behind with a slow file goes on beside the
    next."""

    def __init__(
        self,
        named: Iterable[str] = (),
        system: Share = SYSTEM,
        user: Share = USER,
        users_bytes: int = USERS_BYTES,
    ) -> None:
        """``named``: labels that are kept in any case."""
        self._system, self._user, self._most = system, user, users_bytes
        self.lock = threading.RLock()
        """Of all shelves: held for a few steps, and never while a file is looked at."""
        self._shelves: WeakValueDictionary[int, Shelf] = WeakValueDictionary()
        """A shelf exists for as long as its owner's files are read."""
        self._of_users: dict[int, int] = {}
        """uid -> bytes of its shelf, and their sum: thousands of users are not added up for each file. One whose shelf
        is gone is counted until its bytes are wanted."""
        self._together = 0
        self.wanted = Wanted(named)
        self.round = 0
        """Counts up when other labels are wanted: what was parsed before is parsed again."""

    def want(self, named: Sequence[str]) -> None:
        """Keep these labels in any case from now on."""
        wanted = Wanted(named)
        if wanted.keys != self.wanted.keys:
            self.wanted = wanted
            self.round += 1

    def shelf(self, uid: int) -> Shelf:
        """What is kept of an owner's files."""
        with self.lock:
            found = self._shelves.get(uid)
            if found is None:
                found = self._shelves[uid] = Shelf(self, self._user if uid else self._system, uid)
                self.count(found)
            return found

    def count(self, shelf: Shelf) -> None:
        """Take note of the bytes of a shelf. For shelves: the lock is held."""
        if shelf.uid:
            self._together += shelf.bytes - self._of_users.get(shelf.uid, 0)
            self._of_users[shelf.uid] = shelf.bytes

    def _forget_gone(self) -> None:
        for uid in self._of_users.keys() - self._shelves.keys():
            self._together -= self._of_users.pop(uid)

    def room(self, shelf: Shelf, size: int, now_ns: int) -> bool:
        """Whether a shelf may have so much more, after unused files have given way. For shelves: the lock is held."""
        while shelf.bytes + size > shelf.share.kept:
            if not shelf.give_way(now_ns):
                return False
        if not shelf.uid:
            return True
        if self._together + size > self._most:
            self._forget_gone()
        while self._together + size > self._most:
            greediest = self._shelves.get(max(self._of_users, key=self._of_users.__getitem__))
            if greediest is None:  # gone just now
                self._forget_gone()
            elif greediest.bytes <= shelf.bytes + size or not greediest.give_way():
                return False
        return True


def unlimited() -> Budget:
    """The budget of a command that reads everything once and ends."""
    return Budget(system=UNLIMITED, user=USER)


def weigh(value: object) -> int:
    """The bytes of a value and of all that it refers to. An object that several values share counts for each."""
    if value is None or isinstance(value, bool | enum.Enum | type):
        return 0
    size = sys.getsizeof(value)
    if isinstance(value, str | bytes | int | float):
        return size
    if isinstance(value, dict):
        return size + sum(weigh(key) + weigh(each) for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return size + sum(map(weigh, value))
    kind = type(value)
    named: Iterable[str] = getattr(kind, "__struct_fields__", ()) or getattr(kind, "__dataclass_fields__", ())
    names = named or getattr(kind, "__slots__", ())  # a subclass' __slots__ are its own alone
    return size + sum(weigh(getattr(value, name, None)) for name in names)
