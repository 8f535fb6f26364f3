"""Hears what runtimes record of containers' lives, at the moment when they write it (inotify).

The listing watches some of the same directories (:mod:`cgstatd.host.state_changes`), with an inotify instance of its
own. That one stops watching when the cgroup is gone, which is when an end is waited for here. It never watches users'
directories, whose owners could fill its queue. And its events wake no one: those of an end wake the event loop at once.
"""

from __future__ import annotations

import contextlib
import logging

from cgroupfs import CgroupGone, Root

from ...host.identity import Names
from ...host.inotify import IN_Q_OVERFLOW, Inotify
from ...host.runtimes.base import Metadata, State, Unreadable
from ...sampling.container import Container
from ...sampling.reading_failed import ReadingFailed
from .followed_container import Followed

log = logging.getLogger(__name__)


class Records:
    """Used in the sampling thread."""

    def __init__(self, root: Root, names: Names, *, notice: bool = True) -> None:
        """``notice`` False: a recorded tree, where nothing changes."""
        self._root = root
        self._names = names
        self._notice = notice
        self._inotify: Inotify | None = None
        """Made when the first end is near."""
        self._watches: dict[str, tuple[int, set[Container]]] = {}

    @property
    def fd(self) -> int | None:
        """A descriptor that is readable when a runtime has written a watched record; None: there is none."""
        return None if self._inotify is None else self._inotify.fd

    def _look_for_recorder(self, container: Container, known: Followed) -> None:
        if known.recorder is None and not known.silent:
            known.recorder = self._names.recorder(container.ref)

    def hear(self, container: Container, known: Followed, before_seconds: float | None = None) -> Metadata | None:
        """Read the container's record and remember what it says of this life; None: there is none."""
        self._look_for_recorder(container, known)
        if known.recorder is None:
            found: Metadata | None = self._names.identify(container.ref).metadata
            known.silent = known.silent or found is not None
            return found
        read = known.recorder.get(container.ref.match.id)
        if read is None:
            return None
        if isinstance(read, Metadata):
            self.take(container, known, read, before_seconds)
            return read
        return container.identity.metadata  # it cannot be read now (a journal)

    @staticmethod
    def take(container: Container, known: Followed, record: Metadata, before_seconds: float | None = None) -> None:
        """Remember what a record says of this life."""

        def holds(pid: int) -> bool:
            try:
                with container.reading() as cgroup:
                    return pid in cgroup.procs()
            except (CgroupGone, ReadingFailed, OSError):
                return False

        known.life.hear(record, holds, before_seconds)

    def exit_code(self, container: Container, known: Followed) -> int | None:
        """Of a life whose record is gone (the container was removed, or started again), if what the runtime keeps
        beside the record must be of that life."""
        key, recorder = container.ref.match.id, known.recorder
        kept = recorder.exit_code(key) if recorder else None
        if kept is None or recorder is None:
            return None
        record = recorder.get(key)
        if isinstance(record, Unreadable):
            return None
        return known.life.kept_code(kept, record, self._runs)

    def _runs(self, pid: int) -> bool:
        try:
            self._root.identity(f"/proc/{pid}")
        except OSError:
            return False
        return True

    def watch(self, container: Container, known: Followed) -> None:
        """Its end is near: watch for its record to be written."""
        self._look_for_recorder(container, known)
        folder = known.recorder.record_folder(container.ref.match.id) if known.recorder else None
        if folder is None or not self._noticing():
            return
        watch, those = self._watches.get(folder, (0, set()))
        if not those and self._inotify is not None:
            with contextlib.suppress(OSError):
                watch = self._inotify.add(self._root.join(folder))
                self._watches[folder] = watch, those
        those.add(container)

    def _noticing(self) -> bool:
        if self._inotify is None and self._notice:
            try:
                self._inotify = Inotify()
            except OSError as error:
                self._notice = False
                log.info("inotify: %s: how containers ended is looked for four times a second", error.strerror)
        return self._inotify is not None

    def forget(self, container: Container) -> None:
        """Its end was heard, or it lives on."""
        for folder, (watch, those) in list(self._watches.items()):
            those.discard(container)
            if not those:
                del self._watches[folder]
                if self._inotify is not None:
                    self._inotify.remove(watch)

    def written(self) -> set[Container] | None:
        """The watched containers whose records may have been written since the last call; None: that is not known."""
        if self._inotify is None:
            return None
        events = self._inotify.events()
        if any(event.mask & IN_Q_OVERFLOW for event in events):
            return None
        numbers = {event.watch for event in events}
        return {each for watch, those in self._watches.values() if watch in numbers for each in those}

    def close(self) -> None:
        """Release the inotify instance."""
        self._watches.clear()
        self._notice = False
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None


def tells_ends(found: Metadata | None) -> bool:
    """Whether a runtime's record can be expected to say how the container ended."""
    return found is not None and found.state is not State.UNKNOWN
