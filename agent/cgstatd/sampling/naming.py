"""When the identity of a container is looked up again: by the clock, and when its state files were written."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cgroupfs import CgroupGone

from ..basics.file_look import SETTLED_NS
from ..host.identity import Names
from ..host.starting import behind, living, promised_limit
from ..host.state_changes import StateWatch
from .container import Container
from .lived import NOTHING, last_end
from .reading_failed import ReadingFailed

_IDENTITY_NS = 4_000_000_000
"""A container's identity is looked up again after this time, even if no event tells of its state files."""
_STARTING_NS = 100_000_000
"""The same, doubled each time, where its engine has not yet written that it runs."""
_SETTLED_NS = SETTLED_NS * 3 // 2
"""The same once after a change: what is read at once may not be settled."""
_NAMELESS_NS = tuple(seconds * 1_000_000_000 for seconds in (1, 8, 30, 300))
"""The same where no name was found and no place of names changed: the runtime may write its files late."""
_VAIN_LOOKUPS = 6
"""After so many only time counts: a user can change the places where names come from as often as they like."""
_SAID_AFTER = 2
"""After so many lookups in vain the log says that a container's state is not found."""
_VAIN = 10
"""After so many changes of state files that told nothing new (health checks), they count as news less and less
often."""
_QUIET_SECONDS = 3.2


class Naming:
    """State files are read without the registry's lock, each container's by one thread at a time."""

    def __init__(self, names: Names, states: StateWatch) -> None:
        self._names = names
        self._states = states
        self._told: set[Container] = set()
        """Containers whose state was written and has not been read yet: a thread that hangs meanwhile does not lose
        them."""
        self._folders: set[str] = set()
        """Directories in which the removal of a container shows that does not run."""
        self._generation = 0
        self._vain = 0
        """How many times in a row state files were written and told nothing new."""
        self._quiet_until = 0.0
        self.changed = False
        """Whether an identity has become another one; the registry takes note, and sets it back."""
        self.written = 0
        """How often state files were found written: containers that are on disk only may have changed too."""

    def pending(self) -> bool:
        """Whether state files were written; cheap, and from any thread."""
        return time.monotonic() >= self._quiet_until and self._states.pending()

    def forget(self, container: Container) -> None:
        """The container is gone."""
        self._told.discard(container)
        self._keep_in(container, "")

    def close(self) -> None:
        """Follow no state directory any more."""
        self._states.close()

    def look_up_due(self, several: Sequence[Container], now: int, hurry: bool) -> None:
        """Look up again the identities that are due; ``hurry``: also look at the state directories that no event tells
        of."""
        for folder in self._names.folders() - self._folders:
            self._folders.add(folder)
            self._states.follow(folder, trusted=True)
        written = self._states.changed(now, hurry)
        generation = self._names.generation()
        if written or generation != self._generation:
            self._generation = generation
            self.written += 1
        if written:
            self._told.update(each for each in several if each.kept_in in written)
        changed, every_told = not written.isdisjoint(self._folders - {each.kept_in for each in several}), self._told
        # Each request comes by here, and of a thousand containers hardly one is due: a comprehension finds it sooner.
        for container in [
            each
            for each in several
            if each.due_ns <= now or each in every_told or (each.generation != generation and _may_be_found(each))
        ]:
            told = container in every_told
            changed |= self.look_up(container, now)
            if told:
                every_told.discard(container)
                container.due_ns = min(container.due_ns, now + _SETTLED_NS)
        if written:
            self._vain = 0 if changed else self._vain + 1
            quiet = 0.0 if self._vain < _VAIN else min(0.1 * 2.0 ** min(self._vain - _VAIN, 8), _QUIET_SECONDS)
            self._quiet_until = time.monotonic() + quiet

    def look_up(self, container: Container, now: int) -> bool:
        """Look up one identity; whether it is another than before. If a state file hangs, the identity stays what it
        was."""
        if not container.naming.acquire(blocking=False):
            return False
        try:
            changed = self._look(container, now)
        finally:
            if container.closed:  # it was retired meanwhile
                self._keep_in(container, "")
            container.naming.release()
        self.changed = self.changed or changed
        return changed

    def _look(self, container: Container, now: int) -> bool:
        # First the places: what is written between the two looks is found at the next one.
        container.generation = self._names.generation()
        found = self._names.identify(container.ref)
        kept_in = found.metadata.kept_in if found.metadata else ""
        if self._keep_in(container, kept_in, trusted=bool(found.metadata and not found.metadata.owner_uid)):
            found = self._names.identify(container.ref)  # it may have been written between the look and the watch
        on_disk, found = found.metadata, found._replace(metadata=living(found.metadata))
        if on_disk is not None and on_disk.exit_code is not None:  # its engine has not yet written that it runs again
            container.last_end = last_end(on_disk, found.id, NOTHING, running=False)
        age = None if container.since_ns is None else now - container.since_ns
        container.promised_limit = promised_limit(on_disk, age)
        container.due_ns = now + self._wait(container, found.metadata is not None, behind(on_disk))
        if container.lookups == _SAID_AFTER and found.metadata is None and _has_process(container):
            self._names.say_missing(container.ref)
        if found == container.identity:
            return False
        container.identity = found
        return True

    @staticmethod
    def _wait(container: Container, named: bool, starting: bool) -> int:
        """How long a container's identity is believed, in nanoseconds."""
        if named and not starting:
            container.lookups = 0
            return _IDENTITY_NS
        lookups = container.lookups
        container.lookups += 1
        if named:
            return min(_STARTING_NS << min(lookups, 8), _IDENTITY_NS)
        return _NAMELESS_NS[min(lookups, len(_NAMELESS_NS) - 1)]

    def _keep_in(self, container: Container, place: str, trusted: bool = False) -> bool:
        """Follow the directory of its state files; whether that is new."""
        before, container.kept_in = container.kept_in, place  # in one step: another thread may retire the container
        if place == before:
            return False
        if before:
            self._states.forget(before)
        return bool(place) and self._states.follow(place, trusted)


def _may_be_found(container: Container) -> bool:
    """Whether a change of the places of names is worth a look: it has no name yet, and was not looked for often."""
    return container.identity.metadata is None and container.lookups < _VAIN_LOOKUPS


def _has_process(container: Container) -> bool:
    """Whether it has one; False also if that cannot be read."""
    try:
        with container.reading() as cgroup:
            return bool(cgroup.procs(1))
    except (CgroupGone, ReadingFailed, OSError):
        return False
