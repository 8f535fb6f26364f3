"""Tells counter readers when their rarely changing files did: a limit that was set, a pause.

inotify on memory.max (memory.limit_in_bytes) and cgroup.events (freezer.state) spares two reads per container and pass.
It cannot tell everything (an ancestor frozen on v1), so every file is read again once in a while. Where no watch can be
had, the files are read each time.
"""

from __future__ import annotations

import logging

from cgroupfs import CounterReader

from .inotify import IN_IGNORED, IN_Q_OVERFLOW, Inotify

log = logging.getLogger(__name__)
LOOK_AGAIN_NS = 10_000_000_000


class LimitChanges:
    """The watched files of all containers. Any thread may use it: one that was left behind with a slow file goes on
    beside the next."""

    def __init__(self, follow: bool) -> None:
        """``follow`` False: watch nothing (a recorded tree, whose files are read each time)."""
        self._inotify: Inotify | None = None
        self._readers: dict[int, CounterReader] = {}
        self._watches: dict[CounterReader, list[int]] = {}
        self._look_again_ns = 0
        if follow:
            try:
                self._inotify = Inotify()
            except OSError:
                log.debug("inotify: no instance to be had: limits and pauses are read each time")

    def follow(self, reader: CounterReader) -> None:
        """Watch a reader's files, if a watch can be had."""
        if self._inotify is None:
            return
        paths = reader.rarely_changing()
        watches: list[int] = []
        try:
            for path in paths:
                watches.append(self._inotify.add_file(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            log.info("inotify: %s: limits and pauses of further containers are read each time", error.strerror)
        for watch in watches:
            self._readers[watch] = reader
        self._watches[reader] = watches
        reader.followed = bool(watches) and len(watches) == len(paths)

    def forget(self, reader: CounterReader) -> None:
        """The reader is about to be closed."""
        for watch in self._watches.pop(reader, ()):
            if self._readers.pop(watch, None) is not None and self._inotify is not None:
                self._inotify.remove(watch)

    def refresh(self, now_ns: int) -> None:
        """Pass on what changed since the last call."""
        if self._inotify is None:
            return
        everything = now_ns >= self._look_again_ns
        for event in self._inotify.events():
            everything = everything or bool(event.mask & IN_Q_OVERFLOW)
            reader = self._readers.get(event.watch)
            if reader is not None:
                reader.changed()
                if event.mask & IN_IGNORED:
                    self._readers.pop(event.watch, None)
                    reader.followed = False
        if everything:
            self._look_again_ns = now_ns + LOOK_AGAIN_NS
            for reader in list(self._watches):
                reader.changed()

    def close(self) -> None:
        """Release the inotify instance."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
