"""Tells which runtime state was written: a rename, a restart, a removal show in the state files of a container alone.

Docker renames a new config.v2.json over the old one in the container's own directory; Podman deletes the journal beside
db.sql when a transaction is over. So one inotify watch on the directory tells it, and the time of the directory's last
change does where no watch may be had. Directories of unprivileged users are never watched: events cost their maker
nothing, and the queue is for all.
"""

from __future__ import annotations

import logging
import os

from cgroupfs import Root
from cgroupfs.hangs import StillHangs
from cgroupfs.pseudofs import release

from ..basics.file_look import FileLook, is_same, look
from .inotify import IN_DELETE, IN_IGNORED, IN_MOVED_TO, IN_ONLYDIR, IN_Q_OVERFLOW, Inotify
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
    """Directories of state files, by their host paths. Used by one thread at a time, :meth:`pending` by any."""

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
        known = self._places.get(place)
        new = known is None
        if known is None:
            known = self._places[place] = _Place()
            self._begin(place, known, trusted)
        known.users += 1
        return new

    def _begin(self, place: str, known: _Place, trusted: bool) -> None:
        try:
            with self._root.readers.of(place):
                fd, real = open_directory(self._root, place)
                release(fd)
            known.real = self._root.join(real)
        except (OSError, ValueError):
            known.real = self._root.join(place)
        if trusted and self._inotify is not None and len(self._by_watch) < MOST_WATCHES:
            try:
                known.watch = self._inotify.watch(known.real, _EVENTS)
            except OSError as error:
                log.debug("inotify: %s: %s", known.real, error.strerror)
            else:
                self._by_watch.setdefault(known.watch, set()).add(place)
                return
        known.look = self._look(known.real, None)
        self._unwatched.add(place)

    def forget(self, place: str) -> None:
        """One container less keeps its state in ``place``."""
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
                if self._inotify is not None:
                    self._inotify.remove(known.watch)

    def changed(self, now_ns: int, hurry: bool = False) -> set[str]:
        """The places where something was written since the last call."""
        found: set[str] = set()
        for event in self._inotify.events() if self._inotify is not None else ():
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
        if self._unwatched and now_ns - self._looked_ns >= (_HURRY_NS if hurry else _LOOK_NS):
            self._looked_ns = now_ns
            found.update(self._looked_at())
        return found

    def _looked_at(self) -> list[str]:
        found = []
        for place in list(self._unwatched):
            known = self._places[place]
            now = self._look(known.real, known.look)
            if not is_same(known.look, now):
                found.append(place)
            known.look = now
        return found

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
