"""Tells which runtime state was written: a rename, a restart, a removal show in the state files of a container alone.

Docker renames a new config.v2.json over the old one in the container's own directory; Podman deletes the journal beside
db.sql when a transaction is over. So one inotify watch on the directory tells it, and the time of the directory's last
change does where no watch may be had. Directories of unprivileged users are never watched: events cost their maker
nothing, and the queue is for all.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable

from cgroupfs import Root
from cgroupfs.hangs import StillHangs
from cgroupfs.pseudofs import release

from ..basics.file_look import FileLook, is_same, look
from .inotify import IN_DELETE, IN_IGNORED, IN_MOVED_TO, IN_ONLYDIR, IN_Q_OVERFLOW, Event, Inotify
from .runtimes.beneath import open_directory

log = logging.getLogger(__name__)
_EVENTS = IN_MOVED_TO | IN_DELETE | IN_ONLYDIR
MOST_WATCHES = 16_384
"""Further directories are looked at by their time of change."""
_LOOK_NS = 250_000_000
"""How often the directories without a watch are looked at; 1.5 us each."""
_HURRY_NS = 50_000_000
"""The same where a client asks for a name that is not known."""


class _Place:
    """A directory of state files."""

    __slots__ = ("look", "real", "users", "watch")

    def __init__(self) -> None:
        self.users = 0
        """How many containers keep their state in it."""
        self.watch: int | None = None
        self.real = ""
        """Its path for this process, without links."""
        self.look: FileLook | None = None


class StateWatch:
    """Directories of state files, by their host paths. Any thread may use it: one that was left behind with a slow file
    goes on beside the next."""

    def __init__(self, root: Root, follow: bool) -> None:
        """``follow`` False: nothing ever changes (a recorded tree)."""
        self._root = root
        self._follow = follow
        self._inotify: Inotify | None = None
        self._places: dict[str, _Place] = {}
        self._by_watch: dict[int, set[str]] = {}
        """One directory may have several paths, and has one watch."""
        self._unwatched: set[str] = set()
        self._looked_ns = 0
        self._lock = threading.Lock()
        """Held for a few steps, and never while a file is looked at."""
        if follow:
            try:
                self._inotify = Inotify()
            except OSError:
                log.debug("inotify: no instance to be had: state directories are looked at by their time")

    def follow(self, place: str, trusted: bool) -> bool:
        """One more container keeps its state in ``place``; whether the place is new, so that earlier reads of it may be
        out of date.

        ``trusted``: only root can write there.
        """
        if not self._follow:
            return False
        with self._lock:
            known = self._places.get(place)
            new = known is None
            if known is None:
                known = self._places[place] = _Place()
            known.users += 1
        if new:
            self._begin(place, known, trusted)
        return new

    def _begin(self, place: str, known: _Place, trusted: bool) -> None:
        try:
            with self._root.readers.of(place):
                fd, real = open_directory(self._root, place)
                release(fd)
            known.real = self._root.join(real)
        except (OSError, ValueError):
            known.real = self._root.join(place)
        watch = self._watched(known.real) if trusted else None
        if watch is None:
            known.look = self._look(known.real, None)
        with self._lock:
            if self._places.get(place) is not known:  # forgotten meanwhile
                self._unwatch(watch)
            elif watch is None:
                self._unwatched.add(place)
            else:
                known.watch = watch
                self._by_watch.setdefault(watch, set()).add(place)

    def _watched(self, real: str) -> int | None:
        """A watch on a directory; None: there is none to be had."""
        if self._inotify is None or len(self._by_watch) >= MOST_WATCHES:
            return None
        try:
            return self._inotify.watch(real, _EVENTS)
        except OSError as error:
            log.debug("inotify: %s: %s", real, error.strerror)
            return None

    def _unwatch(self, watch: int | None) -> None:
        """Remove a watch that no place has any more."""
        if watch is not None and self._inotify is not None and watch not in self._by_watch:
            self._inotify.remove(watch)

    def forget(self, place: str) -> None:
        """One container less keeps its state in ``place``."""
        with self._lock:
            known = self._places.get(place)
            if known is None:
                return
            known.users -= 1
            if known.users > 0:
                return
            del self._places[place]
            self._unwatched.discard(place)
            others = self._by_watch.get(known.watch) if known.watch is not None else None
            if others is not None and known.watch is not None:
                others.discard(place)
                if not others:
                    del self._by_watch[known.watch]
                    self._unwatch(known.watch)

    def changed(self, now_ns: int, hurry: bool = False) -> set[str]:
        """The places where something was written since the last call."""
        events = self._inotify.events() if self._inotify is not None else ()
        due: list[tuple[str, _Place]] = []
        with self._lock:
            found = self._told(events)
            if self._unwatched and now_ns - self._looked_ns >= (_HURRY_NS if hurry else _LOOK_NS):
                self._looked_ns = now_ns
                due = [(place, self._places[place]) for place in self._unwatched]
        return found | {place for place, known in due if self._is_changed(known)}

    def _told(self, events: Iterable[Event]) -> set[str]:
        """The places that events tell of. The lock is held."""
        found: set[str] = set()
        for event in events:
            if event.mask & IN_Q_OVERFLOW:
                found.update(self._places)
            places = self._by_watch.get(event.watch)
            if places is None:
                continue
            found |= places
            if event.mask & IN_IGNORED:  # the directory is gone; one made anew at its path has another watch
                del self._by_watch[event.watch]
                for place in places:
                    self._places[place].watch = None
                    self._unwatched.add(place)
        return found

    def _is_changed(self, known: _Place) -> bool:
        now = self._look(known.real, known.look)
        changed = not is_same(known.look, now)
        known.look = now
        return changed

    def _look(self, path: str, before: FileLook | None) -> FileLook | None:
        try:
            with self._root.readers.of(path):
                return look(os.stat(path), self._root.clock().time_ms * 1_000_000)
        except StillHangs:
            return before
        except (OSError, ValueError):
            return None

    def pending(self) -> bool:
        """Whether anything was written since :meth:`changed`; False where there is no watch."""
        return self._inotify is not None and self._inotify.pending()

    def close(self) -> None:
        """Release the inotify instance."""
        if self._inotify is not None:
            self._inotify.close()
