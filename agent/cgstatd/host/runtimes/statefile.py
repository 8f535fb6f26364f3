"""The one way to read a runtime's state file: bounded, confined to the host's root, and only from its owner.

Such a file is input. A user can plant a link, a FIFO, a huge or a broken file where a rootless runtime keeps its own,
and the agent may read more than that user may (CAP_DAC_READ_SEARCH). So: no link as the last component, regular files
only, a size cap, the owner the source expects, not writable by others. Bounds hold for the bytes that are kept, and
that are read, of all files of an owner (:mod:`.budget`). No error is raised: a file that cannot be read, parsed or
trusted is an Unreadable, whose sentence holds none of the file's content (it may be a secret).
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import is_dataclass, replace
from itertools import islice
from typing import Any, TypeVar, cast

from cgroupfs import Root
from cgroupfs.hangs import StillHangs
from cgroupfs.pseudofs import release

from ...basics.file_look import look, version_of
from .base import Unreadable
from .beneath import open_directory
from .budget import ENTRY_BYTES, READ_BYTES, Budget, Kept, weigh
from .labels import Labels, Wanted
from .refused import Later, Refused, unreadable
from .state_values import is_not_utf8
from .trusted_file import OPEN, check, content

log = logging.getLogger(__name__)
T = TypeVar("T")

FILE_LIMIT = 4 << 20
"""Bytes. A container's config is some 10 kB; Podman's list of 1,000 containers some 800 kB. A user's file is never
larger, whatever it is: parsing takes memory beside what is kept."""
MOST_NAMES = 20_000
USERS_NAMES = 1_000
"""Names of one directory that are looked at: the system's and a user's. Docker has a directory for each container."""
MOST_HUNG = 8
"""If so many files hang at once, no other is tried: half of the threads that there may be. A dead disk below an
engine's state costs names, never the figures."""
_CROWDED_NS = 10_000_000_000
"""How long a file that found no room is not looked at again."""
HANGS = "an earlier reading still hangs"


class StateFiles:
    """The state files of one owner below one root; an unchanged file costs one stat and is not parsed again.

    ``budget``: the one that all files of all owners share; without it these files have one of their own.
    """

    __slots__ = ("_budget", "_said", "_shelf", "owner_uid", "root")

    def __init__(self, root: Root, owner_uid: int = 0, budget: Budget | None = None) -> None:
        self.root = root
        self.owner_uid = owner_uid
        self._budget = budget or Budget()
        self._shelf = self._budget.shelf(owner_uid)
        self._said: set[str] = set()

    @property
    def wanted(self) -> Wanted:
        """The labels that are always kept: for parsers."""
        return self._budget.wanted

    def read(self, path: str, parse: Callable[[bytes], T], limit: int = FILE_LIMIT) -> T | Unreadable | None:
        """What ``parse`` makes of the file at an absolute host path; None: there is none.

        ``parse`` raises ValueError for content that it does not like. One path is always read with the same ``parse``.
        As long as the result is equal it stays the same object, so that no two copies live.
        """
        now_ns = self.root.clock().monotonic_ns
        self._shelf.sweep(now_ns, self._is_gone)
        kept = self._shelf.get(path, now_ns)
        if kept is not None and self._is_current(kept, now_ns):
            return cast("T | Unreadable", kept.value)
        try:
            fresh = self._load(path, parse, min(limit, FILE_LIMIT) if self.owner_uid else limit, kept)
        except StillHangs as error:  # what was known of it is as good as before
            return cast("T | Unreadable", kept.value) if kept is not None else Unreadable(f"{error.strerror}", path)
        except OSError as error:
            self._shelf.drop(path)
            return None if error.errno == errno.ENOENT else unreadable(error, path)
        except ValueError:  # NUL or an unencodable character in a path that came from a file
            return Unreadable("not a possible path", ascii(path))
        return cast("T | Unreadable", self._put(path, fresh).value)

    def _put(self, path: str, fresh: Kept) -> Kept:
        """Keep it whole, else without its labels, else as an Unreadable that there is no room for."""
        if self._shelf.put(path, fresh):
            return fresh
        self._shelf.sweep(fresh.asked_ns, self._is_gone, short=True)
        for value in (fresh.value, _without_labels(fresh.value, self.wanted)):
            fresh.value, fresh.size = value, weigh(value) + ENTRY_BYTES
            if self._shelf.put(path, fresh):
                return fresh
        most = self._shelf.share.kept
        words = f"no room: of the files of uid {self.owner_uid} at most {most} bytes are kept (fewer if many users)"
        fresh.value, fresh.again_ns = Unreadable(words, fresh.real), fresh.asked_ns + _CROWDED_NS
        fresh.size = weigh(fresh.value) + ENTRY_BYTES
        self._shelf.put(path, fresh)
        return fresh

    def once(self, path: str, limit: int) -> bytes | None:
        """The bytes of a file, under the same rules, not kept; None: there is none, or it is not believed."""
        try:
            found = self._load(path, bytes, limit, None).value
        except (OSError, ValueError):
            return None
        return found if isinstance(found, bytes) else None

    def forget(self, path: str) -> None:
        """Read the file again next time, changed or not."""
        self._shelf.drop(path)

    def names(self, directory: str) -> list[str] | Unreadable:
        """The sorted names in a directory; of very many only some; empty if there is no directory."""
        most = USERS_NAMES if self.owner_uid else MOST_NAMES
        try:
            with self.root.readers.of(directory):
                fd, real = open_directory(self.root, directory)
                release(fd)
                found = os.scandir(self.root.join(real))
            with found:
                names = [each.name for each in islice(found, most + 1)]
        except StillHangs:
            return Unreadable(HANGS, directory)
        except OSError as error:
            return [] if error.errno == errno.ENOENT else unreadable(error, directory)
        except ValueError:
            return Unreadable("not a possible path", ascii(directory))
        if len(names) > most and directory not in self._said and len(self._said) < 100:
            self._said.add(directory)
            log.warning("uid=%d more than %d names in %s: the others are left out", self.owner_uid, most, directory)
        return sorted(names[:most])

    def size_beside(self, path: str, suffix: str) -> int:
        """The size of a file's companion (a database's journal), 0 where there is none."""
        try:
            if (kept := self._shelf.get(path, self.root.clock().monotonic_ns)) is not None:
                with self.root.readers.of(kept.real + suffix):
                    return os.lstat(self.root.join(kept.real + suffix)).st_size
            with self.root.readers.of(path + suffix):
                fd, real = open_directory(self.root, os.path.dirname(path))
                release(fd)
                return os.lstat(self.root.join(f"{real}/{os.path.basename(path)}{suffix}")).st_size
        except (OSError, ValueError):
            return 0

    def _is_current(self, kept: Kept, now_ns: int) -> bool:
        try:
            with self.root.readers.of(kept.real):
                now = version_of(os.lstat(self.root.join(kept.real)))
        except StillHangs:
            return True
        except OSError:
            return False
        if now != kept.version:
            return False
        return kept.round == self._budget.round and (kept.again_ns == 0 or now_ns < kept.again_ns)

    def _is_gone(self, kept: Kept) -> bool:
        try:
            with self.root.readers.of(kept.real):
                os.lstat(self.root.join(kept.real))
        except StillHangs:
            return False
        except OSError:
            return True
        return False

    def _load(self, path: str, parse: Callable[[bytes], object], limit: int, before: Kept | None) -> Kept:
        if self.root.readers.count >= MOST_HUNG:
            raise StillHangs(path)
        with self.root.readers.of(path if before is None else before.real):
            return self._load_now(path, parse, limit, before)

    def _load_now(self, path: str, parse: Callable[[bytes], object], limit: int, before: Kept | None) -> Kept:
        directory, name = os.path.split(path)
        parent, real = open_directory(self.root, directory)
        try:
            fd = os.open(name, OPEN, dir_fd=parent)
        finally:
            release(parent)
        real = f"{real.rstrip('/')}/{name}"
        round_, again_ns = self._budget.round, 0
        try:
            now = self.root.clock()
            found = os.fstat(fd)
            try:
                value = self._parsed(fd, found, real, parse, limit)
                if before is not None:
                    value = _shared(before.value, value)
            except Later as later:
                again_ns = now.monotonic_ns + later.wait_ns
                # What was known of it stays true for a moment; its owner and mode were checked just now.
                usable = before is not None and not isinstance(before.value, Unreadable)
                value = before.value if before is not None and usable else Unreadable(str(later), real)
            after = os.fstat(fd)
        finally:
            release(fd)
        seen = look(found, now.time_ms * 1_000_000)
        if not again_ns and seen.version != version_of(after):
            again_ns = now.monotonic_ns
        elif not again_ns and seen.unsettled_ns:
            again_ns = now.monotonic_ns + seen.unsettled_ns
        size = weigh(value) + ENTRY_BYTES
        return Kept(real, seen.version, value, again_ns, round_, size, now.monotonic_ns)

    def _parsed(
        self, fd: int, found: os.stat_result, real: str, parse: Callable[[bytes], object], limit: int
    ) -> object:
        try:
            check(self.root, self.owner_uid, fd, found, real, limit)
            if wait_ns := self._shelf.wait_ns(found.st_size + READ_BYTES, self.root.clock().monotonic_ns):
                rate = self._shelf.share.rate
                raise Later(f"read later: of the files of uid {self.owner_uid} at most {rate} bytes a second", wait_ns)
            return parse(content(fd, found.st_size, limit))
        except Later:
            raise
        except Refused as error:
            return Unreadable(str(error), real)
        except RecursionError:
            return Unreadable("nested too deeply", real)
        except ValueError as error:  # msgspec's errors too: they name fields and types, never values
            if is_not_utf8(error):
                return Unreadable("not valid UTF-8", real)
            return Unreadable(f"malformed: {str(error)[:200]}", real)


def _shared(before: object, now: object) -> object:
    """The earlier object where the new one equals it: of a whole file, or of one row of it."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key, value in now.items():
            if before.get(key) == value:
                now[key] = before[key]
        return now
    return before if type(before) is type(now) and before == now else now


def _without_labels(value: Any, wanted: Wanted) -> object:
    """A record, or a dict of records, with those of its labels alone that are wanted."""
    if isinstance(value, dict):
        return {key: _without_labels(each, wanted) for key, each in value.items()}
    labels = getattr(value, "labels", None)
    if not isinstance(labels, Labels) or not is_dataclass(value):
        return value
    return replace(cast("Any", value), labels=wanted.only(labels))
